package handlers

import (
	"loradeck/internal/intake"
	"loradeck/internal/plan"
	"loradeck/web/templates"
)

// deployTwins writes out the calls that deploying what was chosen leads to.
func (h *Handlers) deployTwins(u intake.Upload, ch choice, s scene) templates.Twins {
	if ch.base == nil {
		return templates.Twins{}
	}
	return h.twins(ch.base.PlaceID, plan.Deploy(plan.Shipment{
		Tenant: ch.tenant, Adapter: ch.adapter, Version: ch.version, Digest: u.Digest, Bucket: s.placeOf(ch.base.PlaceID).Bucket,
		Key: plan.ArtifactKey(ch.tenant, ""), Endpoint: ch.base.Endpoint, Base: ch.base.Name, Component: ch.component,
	}))
}

// twins writes out calls as a reader could make them. A place that this deck was started without is called by nobody.
func (h *Handlers) twins(placeID string, calls []plan.Call) templates.Twins {
	at, err := h.Jobs.Place(placeID)
	if err != nil {
		return templates.Twins{}
	}
	return templates.Twins{Boto3: plan.Boto3(at, calls), CLI: plan.CLI(at, calls)}
}

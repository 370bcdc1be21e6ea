package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// deck is the home page.
func (h *Handlers) deck(c echo.Context) error {
	if h.Levers != nil {
		h.Levers.RefreshFaults(c.Request().Context())
	}
	view, err := h.deckView(c.Request().Context())
	if err != nil {
		return err
	}
	shell, err := h.shell(c, "Deck", "deck", "page=deck")
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.DeckPage(shell, view))
}

// old is when a place's facts are old enough to say so: looks come at least once a minute.
const old = 3 * time.Minute

func (h *Handlers) deckView(ctx context.Context) (templates.Deck, error) {
	s, err := h.look(ctx)
	if err != nil {
		return templates.Deck{}, err
	}
	now := h.Now()
	view := templates.Deck{Icons: h.static.Assets().Icons}
	bases, adapters, proven := 0, 0, 0
	for _, p := range s.places {
		view.Waiting = view.Waiting || p.SyncedAt == 0
		if p.Trouble != "" {
			view.Needs = append(view.Needs, troubleOf(p, now))
		}
	}
	for _, e := range s.endpoints {
		place := s.placeOf(e.PlaceID)
		rack := rackOf(e, place, now)
		if rack.Local && h.Levers != nil {
			rack.Levers, rack.Faults = templates.Link{Href: localPath, Text: "Levers"}, h.faultsSet()
		}
		rack.ID = "ep-" + strconv.Itoa(len(view.Racks))
		for i, base := range s.bases(e.PlaceID, e.Name) {
			drawn := baseOf(base)
			drawn.ID = fmt.Sprintf("base-%d-%d", len(view.Racks), i)
			found := s.adapters(base)
			if count := lost(base, found); count > 0 {
				view.Needs = append(view.Needs, lostNeed(base, count, drawn.ID, now))
			}
			for _, a := range found {
				slot := slotOf(a, base, now)
				if need, asks := needOf(slot); asks {
					view.Needs = append(view.Needs, need)
				}
				adapters++
				if slot.State.Mark == "proven" {
					proven++
				}
				drawn.Slots = append(drawn.Slots, slot)
			}
			drawn.Offers = h.offers(place, base, found, drawn.Limits != nil)
			rack.Bases = append(rack.Bases, drawn)
			bases++
		}
		view.Racks = append(view.Racks, rack)
	}
	view.Figures = []templates.Figure{
		{Label: "Endpoints", Value: strconv.Itoa(len(s.endpoints))},
		{Label: "Bases", Value: strconv.Itoa(bases)},
		{Label: "Adapters", Value: strconv.Itoa(adapters)},
		{Label: "Proven", Value: strconv.Itoa(proven), Unit: "of " + strconv.Itoa(adapters)},
	}
	return view, nil
}

func (s scene) placeOf(id string) db.Place {
	if i := slices.IndexFunc(s.places, func(p db.Place) bool { return p.ID == id }); i >= 0 {
		return s.places[i]
	}
	return db.Place{ID: id}
}

func troubleOf(p db.Place, now time.Time) templates.Need {
	text := p.Trouble + " It has not answered since this deck was started with it."
	if p.SyncedAt != 0 {
		text = p.Trouble + " What is shown of it was seen " + templates.Ago(now, db.Time(p.SyncedAt)) + "."
	}
	return templates.Need{Mark: "warn", Title: p.Name + " did not answer.", Text: text}
}

func rackOf(e db.Endpoint, place db.Place, now time.Time) templates.Rack {
	rack := templates.Rack{
		Name: e.Name, Local: place.Local != 0, State: templates.ServiceState(lora.Status(e.Status)), Status: e.Status, Note: e.FailureReason,
	}
	if rack.Local {
		rack.Specs = append(rack.Specs, "This machine")
	} else {
		rack.Specs = append(rack.Specs, place.Name)
	}
	rack.Specs = append(rack.Specs, "account "+place.Account, place.Region)
	if e.InstanceType != "" && !rack.Local {
		rack.Specs = append(rack.Specs, e.InstanceType, templates.Plural(int(e.InstanceCount), "instance"))
	}
	if synced := db.Time(place.SyncedAt); rack.Note == "" && now.Sub(synced) > old {
		rack.Note = "Last seen " + templates.Ago(now, synced) + ". It may have changed since."
	}
	return rack
}

func baseOf(base db.Component) templates.Base {
	view := templates.Base{Name: base.Name, State: templates.ServiceState(lora.Status(base.Status)), Status: base.Status}
	m := modelOf(base)
	if len(m.Architectures) > 0 {
		view.Specs = append(view.Specs, m.Architectures[0])
	}
	if m.DType != "" {
		view.Specs = append(view.Specs, m.DType)
	}
	if m.Context > 0 {
		view.Specs = append(view.Specs, templates.Count(m.Context)+" tokens")
	}
	if base.Copies > 1 {
		view.Specs = append(view.Specs, templates.Count(base.Copies)+" copies")
	}
	if lora.Status(base.Status) == lora.StatusInService {
		view.TryURL = playgroundPath(base.PlaceID, base.Name)
	}
	none := idle(base)
	view.Idle = none != ""
	set, known := settings(base)
	notes := []string{base.FailureReason, none}
	switch {
	case known && !set.Enabled:
		notes = append(notes, "SM_VLLM_ENABLE_LORA is not on, so this base serves no adapters. It is set in its model's environment.")
	case known && !set.RuntimeUpdate:
		notes = append(notes, "VLLM_ALLOW_RUNTIME_LORA_UPDATING is not on: an adapter can be InService here and still not be loaded.")
	}
	view.Notes = slices.DeleteFunc(notes, func(note string) bool { return note == "" })
	if known && set.Enabled {
		view.Limits = limitsOf(set)
	}
	return view
}

// limitsOf draws the limits of a base that takes adapters, as its variables set them.
func limitsOf(set lora.Settings) *templates.Limits {
	limits := templates.Limits{
		Batch: templates.Limit{Variable: lora.EnvMaxLoras, Most: set.MaxLoras},
		Cache: templates.Limit{Variable: lora.EnvMaxCPULoras, Most: set.MaxCPULoras},
		Rank:  templates.Limit{Variable: lora.EnvMaxLoraRank, Most: set.MaxRank},
	}
	for _, limit := range []*templates.Limit{&limits.Batch, &limits.Cache, &limits.Rank} {
		if _, wrong := set.Wrong[limit.Variable]; wrong {
			limit.Wrong = set.Refusal(limit.Variable)
		}
	}
	if limits.Cache.Most == 0 && limits.Cache.Wrong == "" {
		limits.Cache.Most, limits.Cache.Note = set.MaxLoras, " not set: as many as in a batch"
	}
	return &limits
}

func slotOf(a adapter, base db.Component, now time.Time) templates.Slot {
	state := a.state(base, now)
	slot := templates.Slot{ID: "slot-" + a.name(), Name: a.name(), Component: a.name(), State: templates.ScreenState(state), Status: a.component.Status}
	if a.inService() && state != lora.StateDeleting {
		slot.TryURL = playgroundPath(base.PlaceID, base.Name, a.name())
	}
	if !a.moving() && state != lora.StateDeleting {
		slot.RemoveURL = removePath(base.PlaceID, a.name())
	}
	if !a.ours {
		slot.About = "not shipped from this deck"
		if a.component.FailureReason != "" {
			slot.Note = a.component.FailureReason
		}
		return slot
	}
	d := a.deployment
	slot.Name, slot.Version, slot.About, slot.Href = d.Adapter, "v"+strconv.FormatInt(d.Version, 10), d.About, jobPath(d.JobID)
	slot.Size = fmt.Sprintf("rank %d · %s", d.Rank, lora.Bytes(d.Bytes))
	slot.Note, slot.NoteLink = noteOf(a, base, state, now)
	slot.ProveURL = a.provePath(base)
	if state == lora.StateProven {
		slot.Href, slot.Proof = jobPath(d.ProofJobID), templates.Ago(now, db.Time(d.ProvedAt))
	}
	return slot
}

// noteOf says of an adapter that is moving or stands badly what it is doing or why, and where to read on.
func noteOf(a adapter, base db.Component, state lora.State, now time.Time) (string, templates.Link) {
	d := a.deployment
	watch := templates.Link{Href: jobPath(d.JobID), Text: "Watch"}
	switch {
	case a.moving() && d.StepNote != "":
		return d.StepName + ": " + d.StepNote, watch
	case a.moving():
		return d.StepName, watch
	}
	switch state {
	case lora.StateNoEffect, lora.StateUnclear:
		return d.VerdictReason, templates.Link{Href: jobPath(d.ProofJobID), Text: "See the proof"}
	case lora.StateGone:
		return "It was in service and is no longer in the endpoint's list. Somebody else may have removed it.", templates.Link{}
	case lora.StateNotProven:
		if why := a.staleSays(base, now); why != "" && !(d.JobKind == lora.JobProve && d.JobState == lora.JobFailed) {
			return why, templates.Link{Href: jobPath(d.ProofJobID), Text: "See the old proof"}
		}
	case lora.StateFailed:
		reason := d.JobReason
		if a.component.FailureReason != "" {
			reason = a.component.FailureReason
		}
		if reason == "" {
			reason = d.VerdictReason
		}
		return reason, templates.Link{Href: jobPath(d.JobID), Text: "See the cause"}
	}
	if d.JobState == lora.JobFailed { // in service, but its newest job broke: a proof or a removal
		return d.JobReason, templates.Link{Href: jobPath(d.JobID), Text: "See the cause"}
	}
	return "", templates.Link{}
}

// needOf lifts what asks for a person to the top of the deck.
func needOf(s templates.Slot) (templates.Need, bool) {
	title := map[string]string{"failed": " failed.", "noeffect": " changes nothing.", "unclear": " is not proven.", "gone": " is gone."}[s.State.Mark]
	if title == "" {
		return templates.Need{}, false
	}
	mark := "failed"
	if s.State.Mark == "unclear" || s.State.Mark == "gone" {
		mark = "warn"
	}
	name := s.Name
	if s.Version != "" {
		name += " " + s.Version
	}
	act := s.NoteLink
	if act.Href != "" {
		act.Text = "See why"
	}
	return templates.Need{Mark: mark, Title: name + title, Text: s.Note, Act: act}, true
}

// offers lists the samples that are not on a base yet. They are made for the demo base, so only the local place offers them.
func (h *Handlers) offers(place db.Place, base db.Component, found []adapter, takesAdapters bool) []templates.Offer {
	if place.Local == 0 || !takesAdapters || lora.Status(base.Status) != lora.StatusInService {
		return nil
	}
	var offers []templates.Offer
	for _, s := range h.Samples {
		if slices.ContainsFunc(found, func(a adapter) bool {
			return a.ours && a.deployment.Adapter == s.Name && (a.seen || a.moving())
		}) {
			continue
		}
		offers = append(offers, templates.Offer{
			ID: "offer-" + base.Name + "-" + s.Name, Name: s.Name, Title: s.Title, Blurb: s.Blurb, Action: "/samples/" + url.PathEscape(s.Name) + "/deploy", Place: place.ID, Base: base.Name,
		})
	}
	return offers
}

// playgroundPath leads to the form with a base and adapters chosen.
func playgroundPath(place, base string, adapters ...string) string {
	return "/playground?" + url.Values{"base": {baseKey(place, base)}, "adapter": adapters}.Encode()
}

// provePath is where an adapter is proven again; "" while its proof counts or it cannot be asked.
func (a adapter) provePath(base db.Component) string {
	if !a.inService() || a.moving() || idle(base) != "" || a.stale(base) == lora.StaleNot {
		return ""
	}
	return provePath(a.deployment.ID)
}

func provePath(deployment int64) string {
	return "/deployments/" + strconv.FormatInt(deployment, 10) + "/prove"
}

func removePath(place, component string) string {
	return "/remove?" + url.Values{"place": {place}, "component": {component}}.Encode()
}

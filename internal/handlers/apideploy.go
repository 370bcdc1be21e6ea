package handlers

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/intake"
	"loradeck/internal/jobs"
	"loradeck/internal/lora"
)

// shipment asks for a deployment: of an upload that is ready, or of a version that is here already.
type shipment struct {
	Upload    int64  `json:"upload"`
	Version   int64  `json:"version"`   // its id, not its number
	Adapter   string `json:"adapter"`   // "" for the name proposed for the upload, or the version's own
	Tenant    string `json:"tenant"`    // "" for "default", or the version's own
	Place     string `json:"place"`     // name or id; "" when the base's name says enough
	Base      string `json:"base"`      // name of the base component
	Component string `json:"component"` // "" for the proposed name
}

// deployAdapter makes a deployment. Deploying the same upload again answers what it became, and so does deploying the same
// content on the same base while it is there: a script that is run again does no harm.
func (h *Handlers) deployAdapter(c echo.Context) error {
	ctx := c.Request().Context()
	var asked shipment
	if err := decode(c, &asked); err != nil {
		return err
	}
	if (asked.Upload == 0) == (asked.Version == 0) {
		return lora.Errorf(lora.Invalid, "Name what to deploy: either an upload or a version.")
	}
	s, err := h.look(ctx)
	if err != nil {
		return err
	}
	deployment, code, err := h.deployAsked(ctx, asked, s)
	if err != nil {
		return err
	}
	answer, err := h.tellDeployment(ctx, deployment)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", deploymentPath(deployment))
	return c.JSON(code, answer)
}

// deployAsked gives the deployment, and 201 when it is a new one.
func (h *Handlers) deployAsked(ctx context.Context, asked shipment, s scene) (deployment int64, code int, err error) {
	var u intake.Upload
	source := jobs.Source{Tenant: asked.Tenant, Adapter: asked.Adapter, Component: asked.Component}
	if asked.Upload != 0 {
		if u, err = h.Desk.Find(ctx, asked.Upload); err != nil {
			return 0, 0, err
		}
		if u.Job != nil {
			deployment, err = h.deploymentOf(ctx, *u.Job)
			return deployment, http.StatusOK, err
		}
		if err := ready(u); err != nil {
			return 0, 0, err
		}
		source = named(source, u.Name, tenant)
		source.Digest = u.Digest
	} else if source, err = h.versionToShip(ctx, asked.Version, source); err != nil {
		return 0, 0, err
	}
	base, err := s.baseNamed(asked.Place, asked.Base)
	if err != nil {
		return 0, 0, err
	}
	var job int64
	if asked.Upload != 0 {
		job, err = h.ship(ctx, u, source, base)
	} else {
		var added db.Job
		added, err = h.Jobs.Ship(ctx, source, base.PlaceID, base.Name)
		job = added.ID
	}
	if lora.KindOf(err) == lora.Conflict {
		if there, same, lookErr := h.sameThere(ctx, source, base); lookErr != nil || same {
			return there, http.StatusOK, lookErr
		}
	}
	if err != nil {
		return 0, 0, err
	}
	deployment, err = h.deploymentOf(ctx, job)
	return deployment, http.StatusCreated, err
}

// ready says why an upload cannot be deployed yet, or ever.
func ready(u intake.Upload) error {
	switch u.State {
	case intake.Ready:
		return nil
	case intake.Refused:
		return lora.Errorf(lora.Invalid, "This upload was refused: %s", u.Reason)
	case intake.Receiving, intake.Reading:
		return lora.Errorf(lora.Conflict, "This upload is not ready: it is %s. Wait until its state is %s, then deploy it.", u.State, intake.Ready)
	}
	return lora.Errorf(lora.Conflict, "This upload is %s, so it cannot be deployed. Send the adapter again.", u.State)
}

// named fills in the names that were not given.
func named(source jobs.Source, adapter, tenant string) jobs.Source {
	if source.Adapter == "" {
		source.Adapter = adapter
	}
	if source.Tenant == "" {
		source.Tenant = tenant
	}
	return source
}

func (h *Handlers) versionToShip(ctx context.Context, id int64, source jobs.Source) (jobs.Source, error) {
	version, err := h.DB.Read().Version(ctx, id)
	if err != nil {
		return source, db.Found(err, "There is no version with the id %d. GET /api/v1/adapters/ID/versions lists an adapter's.", id)
	}
	owner, err := h.DB.Read().Adapter(ctx, version.AdapterID)
	if err != nil {
		return source, fmt.Errorf("read the adapter of version %d: %w", id, err)
	}
	if owner.RemovedAt != nil {
		return source, lora.Errorf(lora.Conflict, "%s has been removed, and its files with it. Send the adapter again.", owner.Name)
	}
	source.Digest = version.Digest
	return named(source, owner.Name, owner.Tenant), nil
}

// sameThere finds the live deployment that a refused one would have doubled: the same content under the same names.
func (h *Handlers) sameThere(ctx context.Context, source jobs.Source, base db.Component) (deployment int64, same bool, err error) {
	rows, err := h.DB.Read().LiveDeployments(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("read deployments: %w", err)
	}
	i := slices.IndexFunc(rows, func(d db.LiveDeploymentsRow) bool {
		return d.Digest == source.Digest && d.Adapter == source.Adapter && d.Tenant == source.Tenant && d.PlaceID == base.PlaceID && d.BaseName == base.Name &&
			d.JobKind != lora.JobRemove && (source.Component == "" || source.Component == d.ComponentName)
	})
	if i < 0 {
		return 0, false, nil
	}
	return rows[i].ID, true, nil
}

func (h *Handlers) deploymentOf(ctx context.Context, job int64) (int64, error) {
	row, err := h.DB.Read().Job(ctx, job)
	if err != nil {
		return 0, fmt.Errorf("read job %d: %w", job, err)
	}
	if row.DeploymentID == nil {
		return 0, fmt.Errorf("job %d has no deployment", job)
	}
	return *row.DeploymentID, nil
}

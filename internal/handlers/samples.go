package handlers

import (
	"slices"

	"github.com/labstack/echo/v4"

	"loradeck/internal/jobs"
	"loradeck/internal/lora"
)

// tenant is whose adapters the samples are. Tenants are a later page's matter; until then all is one team's.
const tenant = "default"

// deploySample ships a sample to a base and goes to the job's page. Pressing twice leads to the same job.
func (h *Handlers) deploySample(c echo.Context) error {
	ctx := c.Request().Context()
	name, place, base := c.Param("name"), c.FormValue("place"), c.FormValue("base")
	i := slices.IndexFunc(h.Samples, func(s Sample) bool { return s.Name == name })
	if i < 0 {
		return lora.Errorf(lora.NotFound, "There is no sample %q. The deck lists the ones there are.", name)
	}
	sample := h.Samples[i]
	job, err := h.Jobs.Ship(ctx, jobs.Source{Tenant: tenant, Adapter: sample.Name, About: sample.Blurb, Files: sample.Files, Prompts: sample.Prompts}, place, base)
	if lora.KindOf(err) == lora.Conflict {
		rows, listErr := h.DB.Read().LiveDeployments(ctx)
		if listErr != nil {
			return listErr
		}
		for _, d := range rows {
			if d.Adapter == name && d.PlaceID == place && d.BaseName == base && (d.JobState == lora.JobQueued || d.JobState == lora.JobRunning) {
				return see(c, jobPath(d.JobID))
			}
		}
	}
	if err != nil {
		return err
	}
	return see(c, jobPath(job.ID))
}

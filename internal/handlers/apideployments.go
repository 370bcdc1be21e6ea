package handlers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/internal/lora"
)

// deploymentAnswer is a deployment as the API shows it.
type deploymentAnswer struct {
	ID            int64      `json:"id"`
	Adapter       string     `json:"adapter"`
	Tenant        string     `json:"tenant"`
	Version       int64      `json:"version"` // its number
	Digest        string     `json:"digest"`
	Place         string     `json:"place"`
	Endpoint      string     `json:"endpoint"`
	Base          string     `json:"base"`
	Component     string     `json:"component"`
	ARN           string     `json:"arn"`   // "" until the component has been created
	State         lora.State `json:"state"` // the deck's word for it
	Verdict       string     `json:"verdict"`
	VerdictReason string     `json:"verdict_reason"`
	Stale         string     `json:"stale"`  // why the proof no longer counts; "" while it does
	JobID         int64      `json:"job_id"` // the newest
	CreatedAt     time.Time  `json:"created_at"`
	EndedAt       *time.Time `json:"ended_at"` // null while it is live
}

// shippedAnswer is a deployment with its newest job.
type shippedAnswer struct {
	deploymentAnswer
	Job jobAnswer `json:"job"`
}

// deploymentList is one page of deployments, newest first.
type deploymentList struct {
	Deployments []deploymentAnswer `json:"deployments"`
	Older       string             `json:"older"`
}

func (s scene) tell(row db.DeploymentsBetweenRow, now time.Time) deploymentAnswer {
	answer := deploymentAnswer{
		ID: row.ID, Adapter: row.Adapter, Tenant: row.Tenant, Version: row.Version, Digest: row.Digest, Place: s.placeOf(row.PlaceID).Name,
		Endpoint: row.Endpoint, Base: row.BaseName, Component: row.ComponentName, ARN: row.ComponentARN, State: lora.StateGone,
		Verdict: row.Verdict, VerdictReason: row.VerdictReason, JobID: row.JobID, CreatedAt: db.Time(row.CreatedAt).UTC(), EndedAt: hook.Instant(row.EndedAt),
	}
	if row.EndedAt == nil {
		a := s.shipped(db.LiveDeploymentsRow(row))
		base := s.components[where{row.PlaceID, row.BaseName}]
		answer.State, answer.Stale = a.state(base, now), a.staleSays(base, now)
	}
	return answer
}

// tellDeployment reads a deployment with its newest job.
func (h *Handlers) tellDeployment(ctx context.Context, id int64) (shippedAnswer, error) {
	var answer shippedAnswer
	rows, err := h.DB.Read().DeploymentsBetween(ctx, db.DeploymentsBetweenParams{First: id, Last: id, Most: 1})
	if err != nil {
		return answer, fmt.Errorf("read deployment %d: %w", id, err)
	}
	if len(rows) == 0 {
		return answer, lora.Errorf(lora.NotFound, "There is no deployment %d. It may belong to another data folder.", id)
	}
	s, err := h.look(ctx)
	if err != nil {
		return answer, err
	}
	answer.deploymentAnswer = s.tell(rows[0], h.Now())
	answer.Job, err = h.tellJob(ctx, rows[0].JobID)
	return answer, err
}

// listDeployments gives a page of deployments: all, or with live=true only those that have not ended.
func (h *Handlers) listDeployments(c echo.Context) error {
	ctx := c.Request().Context()
	before, err := beforeOf(c)
	if err != nil {
		return err
	}
	live := int64(0)
	switch c.QueryParam("live") {
	case "", "false":
	case "true":
		live = 1
	default:
		return lora.Errorf(lora.Invalid, "live is true or false, and not %q.", c.QueryParam("live"))
	}
	s, err := h.look(ctx)
	if err != nil {
		return err
	}
	rows, err := h.DB.Read().DeploymentsBetween(ctx, db.DeploymentsBetweenParams{First: 0, Last: before - 1, Live: live, Most: perPage + 1})
	if err != nil {
		return fmt.Errorf("read deployments: %w", err)
	}
	list := deploymentList{Deployments: []deploymentAnswer{}}
	rows, list.Older = pageOf(c, rows, func(r db.DeploymentsBetweenRow) int64 { return r.ID })
	for _, row := range rows {
		list.Deployments = append(list.Deployments, s.tell(row, h.Now()))
	}
	return c.JSON(http.StatusOK, list)
}

// showDeployment gives one deployment.
func (h *Handlers) showDeployment(c echo.Context) error {
	id, err := pathID(c, "deployment")
	if err != nil {
		return err
	}
	answer, err := h.tellDeployment(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answer)
}

// endDeployment removes a deployment's component and answers the job that does it.
func (h *Handlers) endDeployment(c echo.Context) error {
	ctx := c.Request().Context()
	id, err := pathID(c, "deployment")
	if err != nil {
		return err
	}
	row, err := h.DB.Read().Deployment(ctx, id)
	if err != nil {
		return db.Found(err, "There is no deployment %d. It may belong to another data folder.", id)
	}
	if row.EndedAt != nil {
		return lora.Errorf(lora.Conflict, "Deployment %d has ended already, so there is nothing to remove.", id)
	}
	job, err := h.Jobs.Remove(ctx, row.PlaceID, row.ComponentName)
	if err != nil {
		return err
	}
	return h.answerJob(c, job.ID)
}

func deploymentPath(id int64) string { return "/api/v1/deployments/" + strconv.FormatInt(id, 10) }

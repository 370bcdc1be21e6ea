package handlers

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// perPage is how many jobs one page of the history shows.
const perPage = 50

// jobs is the history. Only its first page is live: older ones do not change.
func (h *Handlers) jobs(c echo.Context) error {
	before, live := int64(math.MaxInt64), "page=jobs"
	if asked := c.QueryParam("before"); asked != "" {
		id, err := strconv.ParseInt(asked, 10, 64)
		if err != nil {
			return lora.Wrap(err, lora.Invalid, "%q is not the number of a job. Start from the newest jobs.", asked)
		}
		before, live = id, ""
	}
	view, err := h.jobsView(c.Request().Context(), before)
	if err != nil {
		return err
	}
	shell, err := h.shell(c, "Jobs", "jobs", live)
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.JobsPage(shell, view))
}

func (h *Handlers) jobsView(ctx context.Context, before int64) (templates.Jobs, error) {
	view := templates.Jobs{Icons: h.static.Assets().Icons}
	rows, err := h.DB.Read().JobsBefore(ctx, db.JobsBeforeParams{Before: before, Most: perPage + 1})
	if err != nil {
		return view, fmt.Errorf("read jobs: %w", err)
	}
	places, err := h.placesByID(ctx)
	if err != nil {
		return view, err
	}
	if before != math.MaxInt64 {
		view.Newer = "/jobs"
	}
	if len(rows) > perPage {
		rows = rows[:perPage]
		view.Older = "/jobs?before=" + strconv.FormatInt(rows[perPage-1].ID, 10)
	}
	now := h.Now()
	for _, j := range rows {
		row := templates.JobRow{
			ID: "job-" + strconv.FormatInt(j.ID, 10), Href: jobPath(j.ID), Title: j.Title, State: jobState(j.State, j.Verdict, j.CancelAskedAt), Where: places[j.PlaceID].Name,
			When: templates.Clock(now, db.Time(j.CreatedAt)), Took: took(j.StartedAt, j.EndedAt, now),
		}
		if j.State != lora.JobDone {
			row.Step = j.StepName
		}
		view.Rows = append(view.Rows, row)
	}
	return view, nil
}

// jobState draws a job's state; one that ended in a proof is drawn as what the proof concluded.
func jobState(state, verdict string, cancelAsked *int64) templates.State {
	switch {
	case state == lora.JobCancelled:
		return templates.State{Mark: "cancelled", Word: "Cancelled"}
	case cancelAsked != nil && (state == lora.JobQueued || state == lora.JobRunning):
		return templates.State{Mark: "deleting", Word: "Cancelling"}
	case verdict != "" && (state == lora.JobDone || state == lora.JobFailed):
		return templates.VerdictState(lora.Verdict(verdict))
	case state == lora.JobQueued:
		return templates.State{Mark: "queued", Word: "Queued"}
	case state == lora.JobRunning:
		return templates.State{Mark: "running", Word: "Running"}
	case state == lora.JobDone:
		return templates.State{Mark: "done", Word: "Done"}
	}
	return templates.State{Mark: "failed", Word: "Failed"}
}

// took writes how long something has lasted, and nothing for what has not begun.
func took(started, ended *int64, now time.Time) string {
	if started == nil {
		return ""
	}
	end := now
	if ended != nil {
		end = db.Time(*ended)
	}
	return templates.Took(end.Sub(db.Time(*started)))
}

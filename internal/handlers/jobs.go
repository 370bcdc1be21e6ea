package handlers

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// perPage is how many jobs one page of the history shows.
const perPage = 50

// jobFilter reads which jobs are asked for.
func jobFilter(form url.Values) db.JobFilter {
	return db.JobFilter{State: form.Get("state"), Adapter: form.Get("adapter"), Base: form.Get("base"), PlaceID: form.Get("place")}
}

// jobsPath is the list with a filter, from a job on; 0 for the newest.
func jobsPath(f db.JobFilter, before int64) string {
	query := jobsQuery(f)
	if before > 0 {
		query.Set("before", strconv.FormatInt(before, 10))
	}
	if len(query) == 0 {
		return "/jobs"
	}
	return "/jobs?" + query.Encode()
}

func jobsQuery(f db.JobFilter) url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"state": f.State, "adapter": f.Adapter, "base": f.Base, "place": f.PlaceID} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// jobs is the history. Only its first page is live: older ones do not change.
func (h *Handlers) jobs(c echo.Context) error {
	filter, before := jobFilter(c.QueryParams()), int64(math.MaxInt64)
	live := jobsQuery(filter)
	live.Set("page", "jobs")
	if asked := c.QueryParam("before"); asked != "" {
		id, err := strconv.ParseInt(asked, 10, 64)
		if err != nil {
			return lora.Wrap(err, lora.Invalid, "%q is not the number of a job. Start from the newest jobs.", asked)
		}
		before, live = id, url.Values{}
	}
	view, err := h.jobsView(c.Request().Context(), filter, before)
	if err != nil {
		return err
	}
	form, err := h.jobsForm(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	shell, err := h.shell(c, "Jobs", "jobs", live.Encode())
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.JobsPage(shell, view, form))
}

// jobsForm is what the list can be narrowed to.
func (h *Handlers) jobsForm(ctx context.Context, f db.JobFilter) (templates.JobsForm, error) {
	form := templates.JobsForm{Any: f != db.JobFilter{}}
	q := h.DB.Read()
	adapters, err := q.AdapterNames(ctx)
	if err != nil {
		return form, fmt.Errorf("read the names of adapters: %w", err)
	}
	bases, err := q.BaseNames(ctx)
	if err != nil {
		return form, fmt.Errorf("read the names of bases: %w", err)
	}
	places, err := q.Places(ctx)
	if err != nil {
		return form, fmt.Errorf("read places: %w", err)
	}
	choose := func(label, name, all, chosen string, values ...templates.Option) {
		field := templates.Select{Label: label, Name: name, Options: []templates.Option{{Text: all}}}
		field.Options = append(field.Options, values...)
		for i := range field.Options {
			field.Options[i].Chosen = field.Options[i].Value == chosen
		}
		form.Fields = append(form.Fields, field)
	}
	choose("State", "state", "Any state", f.State, options(lora.JobQueued, lora.JobRunning, db.Cancelling, lora.JobDone, lora.JobFailed, lora.JobCancelled)...)
	choose("Adapter", "adapter", "Any adapter", f.Adapter, options(adapters...)...)
	choose("Base", "base", "Any base", f.Base, options(bases...)...)
	if len(places) > 1 {
		var named []templates.Option
		for _, p := range places {
			named = append(named, templates.Option{Value: p.ID, Text: p.Name})
		}
		choose("Place", "place", "Any place", f.PlaceID, named...)
	}
	return form, nil
}

// options are values that are shown as they are.
func options(values ...string) []templates.Option {
	list := make([]templates.Option, len(values))
	for i, value := range values {
		list[i] = templates.Option{Value: value, Text: value}
	}
	return list
}

func (h *Handlers) jobsView(ctx context.Context, filter db.JobFilter, before int64) (templates.Jobs, error) {
	view := templates.Jobs{Icons: h.static.Assets().Icons, Narrowed: filter != db.JobFilter{}}
	ids, err := h.DB.JobNumbers(ctx, filter, before, perPage+1)
	if err != nil {
		return view, err
	}
	if len(ids) > perPage {
		ids = ids[:perPage]
		view.Older = jobsPath(filter, ids[perPage-1])
	}
	if before != math.MaxInt64 {
		view.Newer = jobsPath(filter, 0)
	}
	if len(ids) == 0 {
		return view, nil
	}
	rows, err := h.DB.Read().JobsNumbered(ctx, ids)
	if err != nil {
		return view, fmt.Errorf("read jobs: %w", err)
	}
	places, err := h.placesByID(ctx)
	if err != nil {
		return view, err
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
		if at := nextTry(j.State, j.StartedAt, j.CancelAskedAt, j.RunAt); at.After(now) {
			row.Step += fmt.Sprintf(", again at %s, %s", templates.Clock(now, at), templates.In(now, at))
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

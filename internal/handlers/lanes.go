package handlers

import (
	"fmt"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// lanesOf draws a job's steps and their attempts on one time axis, from when it was first started.
func lanesOf(r record, now time.Time) templates.Lanes {
	start, end := db.Time(r.job.CreatedAt), now
	if r.job.StartedAt != nil {
		start = db.Time(*r.job.StartedAt)
	}
	if r.job.EndedAt != nil {
		end = db.Time(*r.job.EndedAt)
	}
	axis := templates.AxisFor(start, end)
	lanes := templates.Lanes{Ticks: axis.Ticks()}
	if r.moving() {
		lanes.Now = axis.At(now)
	}
	for _, s := range r.steps {
		lanes.Rows = append(lanes.Rows, laneOf(r, s, axis, end))
	}
	return lanes
}

func laneOf(r record, s db.Step, axis templates.TimeAxis, end time.Time) templates.Lane {
	lane := templates.Lane{
		State: templates.State{Mark: s.State, Word: s.State}, Name: title(s.Name), Note: s.Note, Current: r.moving() && s.N == r.job.Step,
	}
	count := 0
	for _, a := range r.attempts {
		if a.Step != s.N {
			continue
		}
		count++
		from, to := db.Time(a.StartedAt), end
		if a.EndedAt != nil {
			to = db.Time(*a.EndedAt)
		}
		mark := attemptState(a.Outcome).Mark
		lane.Bars = append(lane.Bars, templates.Span{
			Mark: mark, X: axis.At(from), Width: axis.Width(to.Sub(from)),
			Title: fmt.Sprintf("Attempt %d, %s: %s", a.Number, a.Outcome, templates.Took(to.Sub(from))),
		})
		lane.Reason = ""
		if a.Outcome == "failed" || a.Outcome == "again" {
			lane.Reason = a.Reason
		}
	}
	if count > 1 {
		lane.Tries = templates.Plural(count, "attempt")
	}
	if s.State == "failed" && lane.Reason == "" && r.job.State == lora.JobFailed {
		lane.Reason = r.job.Reason
	}
	lane.Took = took(s.StartedAt, s.EndedAt, end)
	return lane
}

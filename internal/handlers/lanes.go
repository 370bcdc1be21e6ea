package handlers

import (
	"fmt"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// lanesOf draws a job's steps and their attempts on one time axis, from when it was first started to when it has ended or is
// expected to.
func lanesOf(r record, past usual, now time.Time) templates.Lanes {
	start, end := db.Time(r.job.CreatedAt), now
	if r.job.StartedAt != nil {
		start = db.Time(*r.job.StartedAt)
	}
	if r.job.EndedAt != nil {
		end = db.Time(*r.job.EndedAt)
	}
	left, _ := past.left(r.steps, now)
	axis := templates.AxisFor(start, end.Add(left))
	lanes := templates.Lanes{Ticks: axis.Ticks()}
	if len(past.steps) > 0 {
		lanes.Past = templates.Plural(past.jobs, "past job")
	}
	if r.moving() {
		lanes.Now = axis.At(now)
	}
	begins := start
	for _, s := range r.steps {
		lane := laneOf(r, s, axis, end)
		if s.StartedAt != nil {
			begins = db.Time(*s.StartedAt)
		} else if begins.Before(now) {
			begins = now
		}
		if span, known := past.steps[s.Name]; known && (s.StartedAt != nil || r.moving()) {
			lane.Usual = &templates.Usual{
				X: axis.At(begins.Add(span.low)), End: axis.At(begins.Add(span.high)),
				Title: fmt.Sprintf("Usually %s to %s, from %s", templates.Took(span.low), templates.Took(span.high), templates.Plural(span.count, "past step")),
			}
			begins = begins.Add(span.middle)
		}
		lanes.Rows = append(lanes.Rows, lane)
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
	if lane.Note == lane.Reason { // what a step that is tried again was left with
		lane.Note = ""
	}
	if lane.Current && !r.nextTry().IsZero() {
		lane.State = templates.State{Mark: "waiting", Word: "waiting to try again"}
	}
	if s.State == "failed" && lane.Reason == "" && r.job.State == lora.JobFailed {
		lane.Reason = r.job.Reason
	}
	lane.Took = took(s.StartedAt, s.EndedAt, end)
	return lane
}

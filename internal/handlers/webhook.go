package handlers

import (
	"fmt"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/web/templates"
)

// webhookOf says what became of each event that the webhook was to be told of a job.
func webhookOf(r record, now time.Time) []templates.Try {
	var rows []templates.Try
	for _, d := range r.deliveries {
		row := templates.Try{Text: d.Event + ":", Outcome: d.Answer}
		switch {
		case d.State == hook.Sent:
			row.State, row.Outcome = templates.State{Mark: "done", Word: "sent"}, "sent, "+d.Answer
		case d.State == hook.GivenUp:
			row.State, row.Outcome = templates.State{Mark: "failed", Word: "given up"}, fmt.Sprintf("given up after %s; the last: %s", templates.Plural(int(d.Attempts), "attempt"), d.Answer)
		case d.Attempts == 0:
			row.State, row.Outcome = templates.State{Mark: "queued", Word: "waiting"}, "not sent yet"
		default:
			row.State = templates.State{Mark: "queued", Word: "waiting"}
			when := "is due" // it is being made now, or the program was started without its webhook
			if next := db.Time(d.NextAt); next.After(now) {
				when = "at " + templates.Clock(now, next)
			}
			row.Outcome = fmt.Sprintf("%s; attempt %d of %d %s", d.Answer, d.Attempts+1, hook.Attempts(), when)
		}
		if d.EndedAt != nil {
			row.When = templates.Clock(now, db.Time(*d.EndedAt))
		}
		rows = append(rows, row)
	}
	return rows
}

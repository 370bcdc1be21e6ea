package handlers_test

import (
	"strings"
	"testing"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/internal/people"
)

func TestTheJobPageSaysWhatTheWebhookWasTold(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	job := d.seed(t)
	path := "/jobs/1"
	if page := d.get(t, path); strings.Contains(page.body, "Webhook") {
		t.Error("without events the page speaks of a webhook")
	}
	at := db.Millis(d.now)
	tests := []struct {
		event    string
		attempts int
		tried    db.DeliveryTriedParams
		want     string
	}{
		{"job.done", 0, db.DeliveryTriedParams{}, "not sent yet"},
		{"job.failed", 1, db.DeliveryTriedParams{State: hook.Sent, Answer: "answered 204", EndedAt: &at}, "sent, answered 204"},
		{"job.cancelled", 2, db.DeliveryTriedParams{State: hook.Waiting, Answer: "answered 500", NextAt: db.Millis(d.now.Add(time.Minute))}, "answered 500; attempt 3 of 8 at 14:11:00"},
		{"proof.failed", 1, db.DeliveryTriedParams{State: hook.Waiting, Answer: "answered 302", NextAt: at}, "answered 302; attempt 2 of 8 is due"},
		{"other", 8, db.DeliveryTriedParams{State: hook.GivenUp, Answer: "answered <410>", EndedAt: &at}, "given up after 8 attempts; the last: answered &lt;410&gt;"},
	}
	d.write(t, func(q *db.Queries) error {
		for _, test := range tests {
			test.tried.ID = test.event
			if err := q.AddDelivery(t.Context(), db.AddDeliveryParams{ID: test.event, JobID: job.ID, Event: test.event, CreatedAt: at}); err != nil {
				return err
			}
			for range test.attempts {
				if err := q.DeliveryTried(t.Context(), test.tried); err != nil {
					return err
				}
			}
		}
		return nil
	})
	page := d.get(t, path)
	for _, test := range tests {
		if want := test.event + ":</b> " + test.want + "<"; !strings.Contains(page.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if !strings.Contains(page.body, `aria-labelledby="h-webhook"`) {
		t.Error("the panel has no name")
	}
}

package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/live"
)

// States of a delivery.
const (
	Waiting = "waiting"  // for its first or its next attempt
	Sent    = "sent"     // the receiver took it
	GivenUp = "given up" // the receiver never took it, or answered 410 Gone
)

const (
	together   = 8                   // attempts at once
	longestAsk = 24 * time.Hour      // a Retry-After beyond it is cut
	kept       = 30 * 24 * time.Hour // how long an event stays in the database
	cleanEvery = 24 * time.Hour
	afterFault = time.Minute // until the database is tried again
	maxAnswer  = 200         // bytes kept of what came back
)

// Attempts is how often an event is sent before it is given up.
func Attempts() int { return len(pauses()) + 1 }

// pauses come between the attempts: 31 hours in all, so that a receiver may be down over a night and a morning.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour}
}

// Run sends what is due until ctx ends. It is woken by the hub when a job has ended, and by the time of the next attempt. An
// attempt that ctx cuts off does not count and is made again at the next start.
func (h *Hook) Run(ctx context.Context) {
	watch := h.config.Hub.Watch(live.Jobs) // before the first look, so that no end falls between them
	defer watch.Close()
	defer h.client.CloseIdleConnections()
	var cleaned time.Time
	for ctx.Err() == nil {
		now := h.config.Now()
		if now.Sub(cleaned) >= cleanEvery {
			cleaned = now
			err := h.config.DB.Write(ctx, func(q *db.Queries) error { return q.DropDeliveries(ctx, db.Millis(now.Add(-kept))) })
			h.complain(ctx, "old webhook events not dropped", err)
		}
		tried, err := h.round(ctx)
		if tried > 0 && err == nil {
			continue
		}
		until, wake := cleaned.Add(cleanEvery), watch.Wake()
		if err != nil {
			h.complain(ctx, "webhook held up", err)
			until, wake = now.Add(afterFault), nil // a result that cannot be stored would be sent again with every wake
		} else if next, err := h.config.DB.Read().NextDeliveryAt(ctx); err == nil && next > 0 && db.Time(next).Before(until) {
			until = db.Time(next)
		}
		timer := time.NewTimer(max(until.Sub(h.config.Now()), time.Millisecond))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-wake:
			watch.Take()
		}
		timer.Stop()
	}
}

func (h *Hook) complain(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		h.config.Log.ErrorContext(ctx, what, "err", err)
	}
}

// round makes one attempt at each of the next due events, together, and reports how many there were. A slow answer holds up
// the round after it for its timeout at most, and never a job. The error is one of the database.
func (h *Hook) round(ctx context.Context) (int, error) {
	due, err := h.config.DB.Read().DueDeliveries(ctx, db.DueDeliveriesParams{NextAt: db.Millis(h.config.Now()), Limit: together})
	if err != nil {
		return 0, fmt.Errorf("read due webhook events: %w", err)
	}
	faults := make([]error, len(due))
	var sending sync.WaitGroup
	for n, delivery := range due {
		sending.Go(func() { faults[n] = h.try(ctx, delivery) })
	}
	sending.Wait()
	return len(due), errors.Join(faults...)
}

// try makes one attempt and stores what came of it.
func (h *Hook) try(ctx context.Context, d db.Delivery) error {
	got := h.post(ctx, d)
	if got.status == 0 && ctx.Err() != nil {
		return nil
	}
	now := h.config.Now()
	ended := db.Millis(now)
	tried := db.DeliveryTriedParams{ID: d.ID, State: Waiting, Answer: got.text, NextAt: d.NextAt}
	log := h.config.Log.With("event", d.Event, "job", d.JobID, "id", d.ID, "attempt", d.Attempts+1)
	switch rest := pauses()[min(int(d.Attempts), len(pauses())):]; {
	case got.status/100 == 2:
		tried.State, tried.EndedAt = Sent, &ended
		log.InfoContext(ctx, "webhook sent")
	case got.status == http.StatusGone || len(rest) == 0:
		tried.State, tried.EndedAt = GivenUp, &ended
		log.ErrorContext(ctx, "webhook given up", "answer", got.text)
	default:
		wait := max(jitter(rest[0]), got.wait)
		tried.NextAt = db.Millis(now.Add(wait))
		log.WarnContext(ctx, "webhook not taken", "answer", got.text, "again_in", wait.Round(time.Second))
	}
	keep := context.WithoutCancel(ctx) // what the receiver has taken must not be sent again
	if err := h.config.DB.Write(keep, func(q *db.Queries) error { return q.DeliveryTried(keep, tried) }); err != nil {
		return fmt.Errorf("store the attempt at event %s: %w", d.ID, err)
	}
	h.config.Hub.Changed(live.Job(d.JobID))
	return nil
}

// jitter spreads a pause by a tenth to both sides, so that what failed together does not come back together.
func jitter(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) * (0.9 + 0.2*rand.Float64()))
}

// answer is what came back from one attempt.
type answer struct {
	status int           // HTTP; 0 when nothing came back
	text   string        // for people
	wait   time.Duration // as the receiver asked
}

func (h *Hook) post(ctx context.Context, d db.Delivery) answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.config.URL, strings.NewReader(d.Body))
	if err != nil {
		return answer{text: "no answer: the address cannot be used"}
	}
	now := h.config.Now()
	request.Header = http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {"Loradeck"},
		"Webhook-Id":        {d.ID},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {h.config.Secret.sign(d.ID, now, d.Body)},
	}
	response, err := h.client.Do(request)
	if err != nil {
		return answer{text: h.noAnswer(err)}
	}
	defer response.Body.Close()
	io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again; what it says does not matter
	got := answer{status: response.StatusCode, text: fmt.Sprintf("answered %d", response.StatusCode), wait: retryAfter(response.Header.Get("Retry-After"), now)}
	if got.status/100 == 3 {
		got.text += ", and redirects are not followed"
	}
	return got
}

// noAnswer says why nothing came back, without the address that url.Error puts before it.
func (h *Hook) noAnswer(err error) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		if failed.Timeout() {
			return fmt.Sprintf("no answer within %g s", h.config.Timeout.Seconds())
		}
		err = failed.Err
	}
	text := err.Error()
	return "no answer: " + strings.ToValidUTF8(text[:min(len(text), maxAnswer)], "")
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110 §10.2.3). What cannot be read asks for nothing.
func retryAfter(header string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.Atoi(header); err == nil {
		wait = time.Duration(min(seconds, int(longestAsk/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longestAsk)
}

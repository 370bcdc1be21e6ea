// Package hook tells one receiver how jobs ended, by the Standard Webhooks specification
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). An event is stored in the
// transaction that ends its job and sent afterwards, again and again for more than a day, so a crash loses none and a dead
// receiver holds up nobody.
//
// It promises neither order nor "once only": events carry the time of what they tell, and a repeat has the id of the first.
// It knows how a job ended and nothing of how jobs run; no prompt, weight or secret is in what it sends.
package hook

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// Config is what a hook needs.
type Config struct {
	DB      *db.DB
	Hub     *live.Hub
	Log     *slog.Logger
	URL     string // where events go, as CheckURL takes it
	Secret  Secret
	Deck    string           // the dashboard's own address, without a slash at its end, for links; "" leaves them out
	Timeout time.Duration    // of one attempt; 0 means 10 s
	Now     func() time.Time // the clock; nil means time.Now
}

// Hook stores events and sends them.
type Hook struct {
	config Config
	client *http.Client
}

// New makes a hook. Ended may be called at once; nothing is sent until Run is called. Its errors are of kind Invalid: a URL
// that CheckURL refuses, or no secret.
func New(config Config) (*Hook, error) {
	if err := CheckURL(config.URL); err != nil {
		return nil, err
	}
	if !config.Secret.Given() {
		return nil, lora.Errorf(lora.Invalid, "The webhook has no secret to sign with.")
	}
	if config.Timeout == 0 {
		config.Timeout = 10 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Hook{config: config, client: &http.Client{
		Timeout:       config.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: together, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
	}}, nil
}

// CheckURL says what is wrong with a webhook's address, as an error of kind Invalid that does not repeat it: the paths of
// many receivers are secrets.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return lora.Errorf(lora.Invalid, "The webhook's address is no http address; use the form https://ci.example.com/hooks/loradeck.")
	case u.User != nil:
		return lora.Errorf(lora.Invalid, "The webhook's address has a name or a password in it. Leave them out: events are signed with the webhook's secret.")
	case u.Scheme == "http" && !thisMachine(u.Hostname()):
		return lora.Errorf(lora.Invalid, "The webhook's address would send events unencrypted to %s. Use https; http is for this machine only.", u.Hostname())
	}
	return nil
}

func thisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Event is the body of what is sent.
type Event struct {
	Type string    `json:"type"`      // job.done, job.failed, job.cancelled or proof.failed
	Time time.Time `json:"timestamp"` // of the job's end, not of the sending
	Job  Job       `json:"data"`
}

// ProofFailed is the type of the event for a job whose proof found anything but "proven". It is sent beside the job's own.
const ProofFailed = "proof.failed"

// Job is a job as events and the API tell of it.
type Job struct {
	ID            int64      `json:"id"`
	Kind          string     `json:"kind"`
	Title         string     `json:"title"`
	State         string     `json:"state"`
	Step          string     `json:"step"` // it is in, or failed or was cancelled in; "" when it is done
	Reason        string     `json:"reason"`
	Verdict       string     `json:"verdict"` // "" when it proved nothing
	VerdictReason string     `json:"verdict_reason"`
	Adapter       string     `json:"adapter"`
	Base          string     `json:"base"`
	Place         string     `json:"place"`
	Component     string     `json:"component"`
	CreatedAt     time.Time  `json:"created_at"`
	StartedAt     *time.Time `json:"started_at"` // null for a job that has not begun or was cancelled before it did
	EndedAt       *time.Time `json:"ended_at"`   // null for a job that has not ended
	Page          string     `json:"page,omitempty"`
}

// Tell gives a job without its page's address.
func Tell(row db.JobToTellRow) Job {
	told := Job{
		ID: row.ID, Kind: row.Kind, Title: row.Title, State: row.State, Step: row.StepName, Reason: row.Reason, Verdict: row.Verdict, VerdictReason: row.VerdictReason,
		Adapter: row.Adapter, Base: row.Base, Place: row.Place, Component: row.Component,
		CreatedAt: db.Time(row.CreatedAt).UTC(), StartedAt: Instant(row.StartedAt), EndedAt: Instant(row.EndedAt),
	}
	if row.CancelAskedAt != nil && (row.State == lora.JobQueued || row.State == lora.JobRunning) {
		told.State = db.Cancelling
	}
	return told
}

// Ended stores the events that the end of a job calls for. It has the form of jobs.Config.Ended: q is the transaction that
// ends the job.
func (h *Hook) Ended(ctx context.Context, q *db.Queries, job db.Job) error {
	row, err := q.JobToTell(ctx, job.ID)
	if err != nil {
		return fmt.Errorf("read job %d for the webhook: %w", job.ID, err)
	}
	told := Tell(row)
	if h.config.Deck != "" {
		told.Page = h.config.Deck + "/jobs/" + strconv.FormatInt(row.ID, 10)
	}
	events := []string{"job." + row.State}
	if verdict := lora.Verdict(row.Verdict); verdict != lora.VerdictNone && verdict != lora.VerdictProven {
		events = append(events, ProofFailed)
	}
	now := h.config.Now()
	at := now.UTC()
	if told.EndedAt != nil {
		at = *told.EndedAt
	}
	for _, event := range events {
		body, err := json.Marshal(Event{Type: event, Time: at, Job: told})
		if err == nil {
			err = q.AddDelivery(ctx, db.AddDeliveryParams{
				ID: "msg_" + rand.Text(), JobID: row.ID, Event: event, Body: string(body), NextAt: db.Millis(now), CreatedAt: db.Millis(now),
			})
		}
		if err != nil {
			return fmt.Errorf("store event %s of job %d: %w", event, row.ID, err)
		}
	}
	return nil
}

// Instant gives a stored time as JSON tells it, null for one that has not come.
func Instant(millis *int64) *time.Time {
	if millis == nil {
		return nil
	}
	t := db.Time(*millis).UTC()
	return &t
}

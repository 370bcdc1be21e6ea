package hook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// The secret of the specification's own example.
const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// bench is one data folder over the lives of several hooks, with a clock that stands still.
type bench struct {
	t    *testing.T
	path string
	db   *db.DB
	hub  *live.Hub
	log  *bytes.Buffer // to be read when no hook runs

	mu  sync.Mutex // guards now
	now time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "app.db"), hub: live.New(), log: &bytes.Buffer{}, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	b.open()
	t.Cleanup(func() { b.db.Close() })
	b.write(func(q *db.Queries) error { return q.PutPlace(t.Context(), db.PutPlaceParams{ID: "p", Name: "local"}) })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.db, err = db.Open(context.Background(), b.path); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) write(do func(q *db.Queries) error) {
	b.t.Helper()
	if err := b.db.Write(context.Background(), do); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// pass lets time pass and makes the hook look at the clock.
func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	b.now = b.now.Add(d)
	b.mu.Unlock()
	b.hub.Changed(live.Jobs)
}

func (b *bench) hook(url string) *hook.Hook {
	b.t.Helper()
	return b.hookWith(hook.Config{URL: url})
}

func (b *bench) hookWith(config hook.Config) *hook.Hook {
	b.t.Helper()
	secret, err := hook.ParseSecret(secretText)
	if err != nil {
		b.t.Fatal(err)
	}
	config.DB, config.Hub, config.Secret, config.Now = b.db, b.hub, secret, b.clock
	config.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h, err := hook.New(config)
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

// run sends until the returned function is called.
func (b *bench) run(h *hook.Hook) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// end runs a job of one step through the journal to its end, and gives it as it is stored then.
func (b *bench) end(h *hook.Hook, step func(ctx context.Context, run *journal.Run) error) db.Job {
	b.t.Helper()
	r := journal.New(journal.Config{
		DB: b.db, Hub: b.hub, Log: slog.New(slog.DiscardHandler), Ended: h.Ended,
		Kinds: []journal.Kind{{Name: lora.JobDeploy, Steps: []journal.Step{{Name: lora.StepProve, Attempts: 1, Do: step}}}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- r.Run(ctx) }()
	defer func() {
		if cancel(); <-stopped != nil {
			b.t.Error("the journal did not stop in order")
		}
	}()
	var job db.Job
	b.write(func(q *db.Queries) (err error) {
		job, err = r.Add(ctx, q, journal.NewJob{
			Kind: lora.JobDeploy, Title: "Deploy pirate v1", Claim: "c", PlaceID: "p", Adapter: "pirate", Base: "tiny-llama-base",
			Args: map[string]string{"component": "pirate-v1-tiny-llama-base", "mark": "never told"},
		})
		return err
	})
	w := b.hub.Watch(live.Job(job.ID))
	defer w.Close()
	r.Wake()
	for job.EndedAt == nil {
		b.await(w, "the job ends")
		var err error
		if job, err = b.db.Read().Job(ctx, job.ID); err != nil {
			b.t.Fatal(err)
		}
	}
	return job
}

func (b *bench) await(w *live.Watch, what string) {
	b.t.Helper()
	select {
	case <-w.Wake():
		w.Take()
	case <-time.After(30 * time.Second):
		b.t.Fatalf("never: %s", what)
	}
}

func ends(err error) func(context.Context, *journal.Run) error {
	return func(context.Context, *journal.Run) error { return err }
}

// delivery waits until the job's only delivery is as it should be.
func (b *bench) delivery(job int64, what string, is func(d db.Delivery) bool) db.Delivery {
	b.t.Helper()
	w := b.hub.Watch(live.Job(job))
	defer w.Close()
	for {
		rows, err := b.db.Read().DeliveriesOfJob(context.Background(), job)
		if err != nil || len(rows) != 1 {
			b.t.Fatalf("job %d has the deliveries %+v, want one (%v)", job, rows, err)
		}
		if is(rows[0]) {
			return rows[0]
		}
		b.await(w, what)
	}
}

func tried(times int64) func(db.Delivery) bool {
	return func(d db.Delivery) bool { return d.Attempts == times }
}

// got is one request as the receiver saw it.
type got struct {
	id, timestamp, body string
	header              http.Header
}

// receiver answers each request with the next of its answers and the last one from then on; every request must be signed.
type receiver struct {
	*httptest.Server
	got chan got
}

func newReceiver(t *testing.T, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{got: make(chan got, 64)}
	var mu sync.Mutex
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err := errors.Join(err, verify(request.Header, body)); err != nil {
			t.Error(err)
		}
		r.got <- got{request.Header.Get("webhook-id"), request.Header.Get("webhook-timestamp"), string(body), request.Header}
		mu.Lock()
		answer := answers[0]
		answers = answers[min(1, len(answers)-1):]
		mu.Unlock()
		request.Body = io.NopCloser(bytes.NewReader(body)) // for answers that depend on it
		answer(w, request)
	}))
	t.Cleanup(r.Close)
	return r
}

// verify is what a receiver does by the specification, written from it and not from the room.
func verify(header http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(secretText[len("whsec_"):])
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(header.Get("webhook-id") + "." + header.Get("webhook-timestamp") + "."))
	mac.Write(body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); err != nil || header.Get("webhook-signature") != want {
		return errors.New("the signature " + header.Get("webhook-signature") + " is not " + want)
	}
	return nil
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (r *receiver) next(t *testing.T) got {
	t.Helper()
	select {
	case g := <-r.got:
		return g
	case <-time.After(30 * time.Second):
		t.Fatal("the receiver got nothing")
		return got{}
	}
}

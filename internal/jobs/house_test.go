package jobs_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/jobs"
	"loradeck/internal/live"
	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
	"loradeck/internal/spool"
	"loradeck/internal/watch"
)

const base = "tiny-llama-base"

// house is the app without its pages, before a real local platform.
type house struct {
	t     *testing.T
	db    *db.DB
	spool *spool.Spool
	hub   *live.Hub
	place *cloud.Place
	url   string // of the platform
	watch *watch.Watcher
	jobs  *jobs.Jobs

	mu     sync.Mutex // guards what follows
	hold   func(r *http.Request, body []byte)
	lose   func(r *http.Request) bool
	reword func(r *http.Request, body, answer []byte) []byte
}

// holding calls hold with every request to the platform, before it is answered, until the next call.
func (h *house) holding(hold func(r *http.Request, body []byte)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = hold
}

// losing lets the platform do what it is asked and then drops the connection instead of answering, whenever lose says so.
func (h *house) losing(lose func(r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lose = lose
}

// rewording changes what the platform answers, for states that AWS knows and the platform does not reach by itself.
func (h *house) rewording(reword func(r *http.Request, body, answer []byte) []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reword = reword
}

func (h *house) answer(platform http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		hold, lose, reword := h.hold, h.lose, h.reword
		h.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // whoever asked has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if hold != nil {
			hold(r, body)
		}
		if lose != nil && lose(r) {
			platform.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		if reword == nil {
			platform.ServeHTTP(w, r)
			return
		}
		answered := httptest.NewRecorder()
		platform.ServeHTTP(answered, r)
		maps.Copy(w.Header(), answered.Header())
		if r.Method != http.MethodHead {
			w.Header().Del("Content-Length")
		}
		w.WriteHeader(answered.Code)
		w.Write(reword(r, body, answered.Body.Bytes()))
	})
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	platform, err := local.Open(ctx, local.Config{Dir: filepath.Join(dir, "local"), Account: "000000000000", Region: "us-east-1", Demo: demo.Base(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { platform.Close() })
	h := &house{t: t, hub: live.New()}
	server := httptest.NewServer(h.answer(platform))
	t.Cleanup(server.Close)
	h.url = server.URL
	if err := platform.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if h.place, err = cloud.Open(ctx, cloud.Config{Name: "local", Region: "us-east-1", Endpoint: server.URL, AccessKey: "a", SecretKey: "b", Local: true}); err != nil {
		t.Fatal(err)
	}
	if h.db, err = db.Open(ctx, filepath.Join(dir, "app.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.Close() })
	if h.spool, err = spool.Open(filepath.Join(dir, "spool")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.spool.Close() })
	who := h.place.Identity()
	h.write(func(ctx context.Context, q *db.Queries) error {
		return q.PutPlace(ctx, db.PutPlaceParams{ID: who.ID, Name: who.Name, Local: 1, Bucket: "artifacts-of-a-test"})
	})
	h.watch = watch.New(h.place, h.db, h.hub, quiet())
	h.until("the base is in service", func() bool {
		h.look()
		row, err := h.db.Read().ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: who.ID, Name: base})
		return err == nil && row.Status == string(lora.StatusInService)
	})
	return h
}

func (h *house) write(do func(ctx context.Context, q *db.Queries) error) {
	h.t.Helper()
	if err := h.db.Write(context.Background(), func(q *db.Queries) error { return do(context.Background(), q) }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) look() {
	h.t.Helper()
	if _, err := h.watch.Look(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

// until waits for a condition that others bring about. The limit is for a test that hangs, not a measure: proofs take their
// time under the race detector.
func (h *house) until(what string, holds func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("never: %s", what)
		}
	}
}

// run runs the jobs until the returned function is called.
func (h *house) run() (stop func()) {
	h.jobs = jobs.New(jobs.Config{DB: h.db, Spool: h.spool, Hub: h.hub, Log: quiet(), Places: map[string]*cloud.Place{h.id(): h.place}, Heard: func(ctx context.Context, _, base, component string, answer error) {
		h.watch.Heard(ctx, base, component, answer)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.jobs.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("jobs: %v", err)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

func (h *house) id() string { return h.place.Identity().ID }

// ended waits for the end of a job.
func (h *house) ended(id int64) db.Job {
	h.t.Helper()
	var job db.Job
	h.until("the job ends", func() bool {
		var err error
		if job, err = h.db.Read().Job(context.Background(), id); err != nil {
			h.t.Fatal(err)
		}
		return job.EndedAt != nil
	})
	return job
}

func pirate() jobs.Source { return source(demo.Samples()[0]) }

// source is a sample as the deck ships it.
func source(sample demo.Sample) jobs.Source {
	return jobs.Source{Tenant: "default", Adapter: sample.Name, About: sample.Blurb, Files: sample.Files, Prompts: sample.Prompts}
}

// changed gives the pirate under another name, with some of its files replaced.
func changed(t *testing.T, name string, files map[string][]byte) jobs.Source {
	t.Helper()
	return altered(t, pirate(), name, files)
}

// altered gives an adapter under another name, with some of its files replaced.
func altered(t *testing.T, source jobs.Source, name string, files map[string][]byte) jobs.Source {
	t.Helper()
	source.Adapter = name
	all := fstest.MapFS{}
	for _, file := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		text, err := fs.ReadFile(source.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = &fstest.MapFile{Data: text}
	}
	for file, text := range files {
		all[file] = &fstest.MapFile{Data: text}
	}
	source.Files = all
	return source
}

// copyTo writes a file of fsys to a path.
func copyTo(t *testing.T, fsys fs.FS, name, path string) {
	t.Helper()
	text, err := fs.ReadFile(fsys, name)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

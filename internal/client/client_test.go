package client_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loradeck/internal/client"
	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/handlers"
	"loradeck/internal/intake"
	"loradeck/internal/jobs"
	"loradeck/internal/live"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
	"loradeck/internal/people"
	"loradeck/internal/spool"
)

// deck is a real dashboard without a place, behind a network that can be cut.
type deck struct {
	url   string
	wires *wires
	desk  *intake.Desk
	db    *db.DB
	hub   *live.Hub
}

func newDeck(t *testing.T, gate *people.Gate) *deck {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	database, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "deck.db"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := spool.Open(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	hub := live.New()
	board, err := compare.New(t.Context(), compare.Config{DB: database, Hub: hub, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	desk := intake.New(intake.Config{DB: database, Spool: files, Hub: hub, Log: log})
	pages := handlers.New(handlers.Deps{
		DB: database, Hub: hub, Board: board, Desk: desk, Gate: gate, Log: log, Version: "test",
		Jobs: jobs.New(jobs.Config{DB: database, Spool: files, Hub: hub, Log: log}),
	})
	cut := &wires{pages: pages}
	server := httptest.NewServer(cut)
	t.Cleanup(func() {
		desk.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := pages.Close(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
		board.Close()
		files.Close()
		database.Close()
	})
	return &deck{url: server.URL, wires: cut, desk: desk, db: database, hub: hub}
}

// wires is a network that breaks in the middle of so many pieces, each after some bytes of it.
type wires struct {
	pages       http.Handler
	after, cuts atomic.Int64
	bytes       atomic.Int64 // of pieces, that have arrived
}

// ServeHTTP passes a request on, or part of one.
func (w *wires) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPatch {
		w.pages.ServeHTTP(answer, r)
		return
	}
	cut := w.cuts.Add(-1) >= 0
	most := int64(math.MaxInt64)
	if cut {
		most = w.after.Load()
	}
	r.Body = &wire{ReadCloser: r.Body, of: w, left: most}
	w.pages.ServeHTTP(answer, r)
	if cut {
		panic(http.ErrAbortHandler) // the connection breaks, and no answer comes
	}
}

type wire struct {
	io.ReadCloser
	of   *wires
	left int64
}

// Read reads until the wire breaks.
func (w *wire) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := w.ReadCloser.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	w.of.bytes.Add(int64(n))
	return n, err
}

func (d *deck) client(t *testing.T, config client.Config) *client.Client {
	t.Helper()
	config.URL = d.url
	if config.Pause == 0 {
		config.Pause = time.Millisecond
	}
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pirate is the demo's adapter as a folder on disk.
func pirate(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pirate")
	if err := os.CopyFS(dir, demo.Samples()[0].Files); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) client.Source {
	t.Helper()
	source, err := client.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestAFolderIsSentWholeThroughANetworkThatIsCut(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	var troubles int
	c := d.client(t, client.Config{Piece: 200_000, Trouble: func(error) { troubles++ }})
	source := read(t, pirate(t))
	u, err := c.Begin(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	d.wires.after.Store(30_000)
	d.wires.cuts.Store(3)
	var last int64
	if err := c.Send(t.Context(), u, source, func(sent int64) { last = sent }); err != nil {
		t.Fatal(err)
	}
	if troubles != 3 {
		t.Errorf("%d troubles, want one for each cut", troubles)
	}
	if last != u.ToSend {
		t.Errorf("it ends at %d bytes of %d", last, u.ToSend)
	}
	if got := d.wires.bytes.Load(); got != u.ToSend {
		t.Errorf("%d bytes were taken for %d: some were sent again", got, u.ToSend)
	}
	u, err = c.Settled(t.Context(), u.ID)
	if err != nil || u.State != "ready" || len(u.Digest) != 64 {
		t.Errorf("it is %+v: %v", u, err)
	}
}

func TestTheSameOfferGoesOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	source := read(t, pirate(t))
	first := d.client(t, client.Config{Piece: 64 << 10})
	u, err := first.Begin(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	err = first.Send(ctx, u, source, func(sent int64) {
		if sent > u.ToSend/2 {
			cancel(enough)
		}
	})
	if !errors.Is(err, enough) {
		t.Fatalf("interrupted, it gives %v", err)
	}
	second := d.client(t, client.Config{})
	again, err := second.Begin(t.Context(), source)
	if err != nil || again.ID != u.ID {
		t.Fatalf("offered again it is upload %d, want %d: %v", again.ID, u.ID, err)
	}
	low := u.ToSend
	if err := second.Send(t.Context(), again, source, func(sent int64) { low = min(low, sent) }); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Settled(t.Context(), u.ID); err != nil || low == 0 {
		t.Errorf("it began at %d bytes: %v", low, err)
	}
}

func TestADashboardThatStaysAwayIsGivenUp(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	c := d.client(t, client.Config{Patience: time.Nanosecond})
	source := read(t, pirate(t))
	u, err := c.Begin(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	d.wires.cuts.Store(1 << 30)
	if err := c.Send(t.Context(), u, source, func(int64) {}); lora.KindOf(err) != lora.Unavailable {
		t.Errorf("got %v, want %q", err, lora.Unavailable)
	}
}

func TestWhatTheDashboardRefusesKeepsItsKindAndSentence(t *testing.T) {
	t.Parallel()
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("eve watch eves-token-0123456789x\ndana ship danas-token-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gate, err := people.FromFile(tokens, []byte("a key that signs the cookies of a test"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	d := newDeck(t, gate)
	source := read(t, pirate(t))
	notes := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notes, []byte("no adapter"), 0o600); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]lora.Kind{"": lora.Unauthorized, "somebody-elses-token-1": lora.Unauthorized, "eves-token-0123456789x": lora.Forbidden} {
		if _, err := d.client(t, client.Config{Token: token}).Begin(t.Context(), source); lora.KindOf(err) != want || !strings.HasSuffix(lora.Message(err), ".") {
			t.Errorf("token %q: got %v, want %q", token, err, want)
		}
	}
	dana := d.client(t, client.Config{Token: "danas-token-0123456789"})
	if _, err := dana.Begin(t.Context(), read(t, notes)); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "notes.txt") {
		t.Errorf("no adapter: got %v", err)
	}
	if _, err := dana.Find(t.Context(), 99); lora.KindOf(err) != lora.NotFound {
		t.Errorf("no upload: got %v", err)
	}
	if _, err := dana.Watch(t.Context(), 99, func(client.Job) {}); lora.KindOf(err) != lora.NotFound {
		t.Errorf("no job: got %v", err)
	}
}

func TestAnUploadThatWasDiscardedMeanwhileIsNotSentOn(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	c := d.client(t, client.Config{})
	source := read(t, pirate(t))
	u, err := c.Begin(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.desk.Discard(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), u, source, func(int64) {}); lora.KindOf(err) != lora.Conflict || !strings.Contains(lora.Message(err), "discarded") {
		t.Errorf("got %v, want that it was discarded", err)
	}
}

func TestAFileThatChangesWhileItIsSentIsNotSent(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	c := d.client(t, client.Config{})
	dir := pirate(t)
	source := read(t, dir)
	u, err := c.Begin(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "adapter_model.safetensors"), 1000); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), u, source, func(int64) {}); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "changed") {
		t.Errorf("got %v, want that it has changed", err)
	}
}

func TestWatchingGoesOnAfterAStreamBreaksOff(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	var job db.Job
	write := func(do func(q *db.Queries) error) {
		t.Helper()
		if err := d.db.Write(t.Context(), do); err != nil {
			t.Fatal(err)
		}
	}
	write(func(q *db.Queries) error {
		if err := q.PutPlace(t.Context(), db.PutPlaceParams{ID: "p", Name: "local", Local: 1}); err != nil {
			return err
		}
		var err error
		job, err = q.AddJob(t.Context(), db.AddJobParams{Kind: lora.JobRemove, Title: "Remove it", Claim: "c", PlaceID: "p", Args: "{}"})
		return err
	})
	var broke atomic.Bool
	deckURL, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(deckURL)
	through.FlushInterval = -1
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broke.CompareAndSwap(false, true) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler) // the first stream ends before it has told anything
		}
		r.Host = deckURL.Host
		through.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	c, err := client.New(client.Config{URL: proxy.URL, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	last, err := c.Watch(t.Context(), job.ID, func(j client.Job) {
		states = append(states, j.State)
		if len(states) == 1 {
			write(func(q *db.Queries) error {
				now := db.Millis(time.Now())
				return q.EndJob(t.Context(), db.EndJobParams{State: lora.JobDone, EndedAt: &now, ID: job.ID})
			})
			d.hub.Changed(live.Job(job.ID))
		}
	})
	if err != nil || last.State != lora.JobDone || !broke.Load() || states[0] != lora.JobQueued {
		t.Errorf("it ends as %+v after %v: %v", last, states, err)
	}
}

func TestOnlyAddressesOfDashboardsAreTaken(t *testing.T) {
	t.Parallel()
	for _, config := range []client.Config{
		{URL: ""}, {URL: "127.0.0.1:8080"}, {URL: "ftp://deck.example"}, {URL: "http://"}, {URL: "https://dana:secret@deck.example"},
		{URL: "http://deck.example", Token: "danas-token-0123456789"}, {URL: "https://deck.example", Token: "two words"},
	} {
		if _, err := client.New(config); lora.KindOf(err) != lora.Invalid || config.Token != "" && strings.Contains(err.Error(), config.Token) {
			t.Errorf("%+v: got %v", config, err)
		}
	}
	for _, config := range []client.Config{{URL: "http://deck.example/"}, {URL: "https://deck.example", Token: "danas-token-0123456789"}, {URL: "http://127.0.0.1:1", Token: "danas-token-0123456789"}} {
		if _, err := client.New(config); err != nil {
			t.Errorf("%+v: %v", config, err)
		}
	}
}

func TestAFolderIsReadThroughLinksAndWithoutWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	blob := filepath.Join(t.TempDir(), "blob")
	write := func(path string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("{}"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(blob)
	write(filepath.Join(dir, "sub", "README.md"))
	if err := errors.Join(os.Symlink(blob, filepath.Join(dir, "adapter_config.json")), os.Symlink("nowhere", filepath.Join(dir, "dangling"))); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range read(t, dir).Files {
		paths = append(paths, f.Path)
	}
	if got := strings.Join(paths, " "); got != "adapter_config.json sub/README.md" {
		t.Errorf("it has %q", got)
	}
	if _, err := client.Read(filepath.Join(dir, "nothing")); lora.KindOf(err) != lora.Invalid || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: got %v", err)
	}
}

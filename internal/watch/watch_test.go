package watch_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
	"loradeck/internal/watch"
)

// scene is a watcher before a real local platform that can be made to fail.
type scene struct {
	t       *testing.T
	db      *db.DB
	hub     *live.Hub
	place   *cloud.Place
	watcher *watch.Watcher
	broken  atomic.Pointer[string] // the answer to every request while set
	calls   atomic.Int64           // DescribeInferenceComponent
}

func newScene(t *testing.T) *scene {
	t.Helper()
	ctx := context.Background()
	s := &scene{t: t, hub: live.New()}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	platform, err := local.Open(ctx, local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Demo: demo.Base(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { platform.Close() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := s.broken.Load(); answer != nil {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, *answer)
			return
		}
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DescribeInferenceComponent") {
			s.calls.Add(1)
		}
		platform.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	if err := platform.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if s.place, err = cloud.Open(ctx, cloud.Config{Name: "local", Region: "us-east-1", Endpoint: server.URL, AccessKey: "a", SecretKey: "b", Local: true}); err != nil {
		t.Fatal(err)
	}
	if s.db, err = db.Open(ctx, filepath.Join(t.TempDir(), "app.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	err = s.db.Write(ctx, func(q *db.Queries) error {
		return q.PutPlace(ctx, db.PutPlaceParams{ID: s.place.Identity().ID, Name: "local", Local: 1, Bucket: "b"})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.watcher = watch.New(s.place, s.db, s.hub, quiet)
	return s
}

func (s *scene) components() []db.Component {
	s.t.Helper()
	rows, err := s.db.Read().ComponentsIn(context.Background(), s.place.Identity().ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// until looks again until the picture is as it should be.
func (s *scene) until(what string, holds func([]db.Component) bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := s.watcher.Look(context.Background()); err != nil {
			s.t.Fatal(err)
		}
		if holds(s.components()) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s; it is %+v", what, s.components())
		}
	}
}

func inService(rows []db.Component) bool {
	return len(rows) == 1 && rows[0].Status == string(lora.StatusInService)
}

func TestTheFirstLookFindsTheBaseWithItsSettings(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.until("the base is in service", inService)
	row := s.components()[0]
	if row.BaseName != "" || !strings.Contains(row.Environment, "SM_VLLM_MAX_LORA_RANK") || !strings.Contains(row.ModelConfig, "hidden_size") || row.Image == "" || row.DataURL == "" {
		t.Errorf("got %+v", row)
	}
	endpoints, err := s.db.Read().EndpointsIn(context.Background(), s.place.Identity().ID)
	if err != nil || len(endpoints) != 1 || endpoints[0].Status != "InService" || endpoints[0].InstanceType == "" {
		t.Errorf("endpoints: %+v, %v", endpoints, err)
	}
}

func TestWhatHasNotMovedIsNotDescribedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.until("the base is in service", inService)
	before := s.calls.Load()
	w := s.hub.Watch(live.Deck)
	defer w.Close()
	for range 3 {
		if moving, err := s.watcher.Look(context.Background()); err != nil || moving {
			t.Fatalf("moving %t, %v", moving, err)
		}
	}
	if got := s.calls.Load() - before; got != 0 {
		t.Errorf("%d descriptions of what has not moved", got)
	}
	select {
	case <-w.Wake():
		t.Error("pages were woken though nothing changed")
	default:
	}
}

func TestOnlyACompleteListSaysThatSomethingHasGone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newScene(t)
	s.until("the base is in service", inService)
	for _, answer := range []string{
		`{"__type":"ThrottlingException","message":"Rate exceeded"}`, `{"__type":"ValidationException","message":"Could not find endpoint \"x\"."}`, `<html>`,
	} {
		s.broken.Store(&answer)
		if _, err := s.watcher.Look(ctx); err == nil {
			t.Errorf("%s: no error", answer)
		}
		place, err := s.db.Read().Place(ctx, s.place.Identity().ID)
		if err != nil || place.Trouble == "" || len(s.components()) != 1 {
			t.Errorf("%s: trouble %q, %d components, %v", answer, place.Trouble, len(s.components()), err)
		}
	}
	s.broken.Store(nil)
	if err := s.place.DeleteComponent(ctx, "tiny-llama-base"); err != nil {
		t.Fatal(err)
	}
	s.until("the base has gone", func(rows []db.Component) bool { return len(rows) == 0 })
	if place, err := s.db.Read().Place(ctx, s.place.Identity().ID); err != nil || place.Trouble != "" {
		t.Errorf("trouble is still told: %q, %v", place.Trouble, err)
	}
}

func TestARunningWatcherLooksWhenPoked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.until("the base is in service", inService)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.watcher.Run(ctx); close(ended) }()
	if err := s.place.DeleteComponent(ctx, "tiny-llama-base"); err != nil {
		t.Fatal(err)
	}
	w := s.hub.Watch(live.Deck)
	defer w.Close()
	for len(s.components()) > 0 {
		s.watcher.Poke()
		select {
		case <-w.Wake():
			w.Take()
		case <-time.After(20 * time.Second):
			t.Fatal("the pages never heard of it")
		}
	}
	cancel()
	<-ended
}

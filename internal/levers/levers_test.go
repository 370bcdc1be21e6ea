package levers_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"loradeck/internal/levers"
	"loradeck/internal/live"
	"loradeck/internal/local"
	"loradeck/internal/local/container"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
)

func TestAPanelTellsOfEveryChange(t *testing.T) {
	t.Parallel()
	platform, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer platform.Close()
	server := httptest.NewServer(platform)
	defer server.Close()
	hub := live.New()
	defer hub.Close()
	watch := hub.Watch(live.Levers)
	defer watch.Close()
	panel := levers.NewPanel(levers.New(server.URL+"/"), hub)
	told := func() bool {
		select {
		case <-watch.Wake():
			return len(watch.Take()) > 0
		default:
			return false
		}
	}
	panel.Refresh(t.Context())
	now, err := panel.Last()
	if err != nil || now.Region != "eu-west-1" || len(now.Menu) < 10 || now.Menu[0].Part == "" || !told() {
		t.Fatalf("first look: %+v, %v", now, err)
	}
	if panel.Refresh(t.Context()); told() {
		t.Error("nothing has changed, and the pages are told")
	}
	if err := levers.New(server.URL).Set(t.Context(), "throttle", "x", 2); err != nil { // by somebody else
		t.Fatal(err)
	}
	panel.Refresh(t.Context())
	if now, _ = panel.Last(); len(now.Set) != 1 || now.Set[0].Calls != 2 || !told() {
		t.Errorf("a fault was set: %+v", now.Set)
	}
	if err := panel.Set(t.Context(), "sharks", "", 1); lora.KindOf(err) != lora.Invalid {
		t.Errorf("an odd kind: %v", err)
	}
	if err := panel.Release(t.Context(), "99"); err != nil {
		t.Errorf("one that is over: %v", err)
	}
	server.Close()
	panel.Refresh(t.Context())
	if now, err = panel.Last(); lora.KindOf(err) != lora.Unavailable || len(now.Set) != 1 || !told() {
		t.Errorf("without an answer: %+v, %v; the last picture stays", now.Set, err)
	}
}

// counted is a server that counts what it is asked.
type counted struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]int // by path
}

func count(t *testing.T, h http.Handler) *counted {
	t.Helper()
	c := &counted{seen: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.seen[r.URL.Path]++
		c.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *counted) asked(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[path]
}

// TestAPanelLooksAtWhatSomebodyWatches counts what reaches the platform and the vLLM of the user's own behind it.
func TestAPanelLooksAtWhatSomebodyWatches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, demo.Base()); err != nil {
		t.Fatal(err)
	}
	engine, err := container.Start(t.Context(), container.Config{ModelDir: dir, Environment: map[string]string{"SM_VLLM_ENABLE_LORA": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	vllm := count(t, engine)
	platform, err := local.Open(t.Context(), local.Config{
		Dir: t.TempDir(), Account: "000000000000", Region: "eu-west-1", Bases: []local.Base{{Name: "own", URL: vllm.URL, Dir: dir}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { platform.Close() })
	if err := platform.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	front := count(t, platform)
	client := levers.New(front.URL)
	for held := false; !held; {
		now, err := client.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = slices.ContainsFunc(now.Components, func(c levers.Component) bool { return c.Name == "own-base" && c.Status == "InService" && c.Held })
	}
	if vllm.asked("/v1/models") == 0 {
		t.Fatal("the vLLM was not asked what it has")
	}

	hub := live.New()
	defer hub.Close()
	panel := levers.NewPanel(client, hub)
	ctx, stop := context.WithCancel(t.Context())
	ticks := make(chan time.Time)
	var following sync.WaitGroup
	following.Go(func() { levers.Follow(panel, ctx, ticks) })
	defer following.Wait()
	defer stop()
	// A tick is taken once the look of the one before is over.
	tick := func(times int) (states, faults, models int) {
		states, faults, models = front.asked("/_local/state"), front.asked("/_local/faults"), vllm.asked("/v1/models")
		for range times {
			ticks <- time.Time{}
		}
		return front.asked("/_local/state") - states, front.asked("/_local/faults") - faults, vllm.asked("/v1/models") - models
	}
	if states, faults, models := tick(4); states+faults+models != 0 {
		t.Errorf("nobody watches: %d looks at the state, %d at the faults, %d at the vLLM", states, faults, models)
	}
	deck := hub.Watch(live.Deck, live.Faults)
	if err := client.Set(t.Context(), "throttle", "", 2); err != nil { // by somebody else
		t.Fatal(err)
	}
	if states, faults, models := tick(4); states+models != 0 || faults < 3 {
		t.Errorf("the deck is watched: %d looks at the state, %d at the faults, %d at the vLLM", states, faults, models)
	}
	<-deck.Wake()
	if now, err := panel.Last(); err != nil || len(now.Set) != 1 {
		t.Errorf("the deck is told of %+v, %v", now.Set, err)
	}
	page := hub.Watch(live.Levers)
	if states, _, _ := tick(4); states < 3 {
		t.Errorf("the page is watched: %d looks at the state", states)
	}
	<-page.Wake()
	if now, _ := panel.Last(); len(now.Containers) != 1 || len(now.Set) != 1 {
		t.Errorf("the page is told of %+v", now)
	}
	select {
	case <-deck.Wake():
		t.Error("the deck, which shows faults only, is told of containers")
	default:
	}
	page.Close()
	deck.Close()
	tick(1) // the look of the tick before
	if states, faults, models := tick(4); states+faults+models != 0 {
		t.Errorf("everybody has gone: %d looks at the state, %d at the faults, %d at the vLLM", states, faults, models)
	}
}

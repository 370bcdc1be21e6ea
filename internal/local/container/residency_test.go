package container

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// enterLater enters in a goroutine and returns once the request waits; the result comes over the channel.
func enterLater(t *testing.T, s *slots, ctx context.Context, adapter string) <-chan error {
	t.Helper()
	before := s.waits()
	done := make(chan error, 1)
	go func() { done <- s.enter(ctx, adapter) }()
	for s.waits() == before {
		select {
		case err := <-done:
			t.Fatalf("%s went in, %v", adapter, err)
		default:
		}
	}
	return done
}

func TestAdaptersBeyondTheSlotsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	s := newSlots(1, time.Now)
	ctx := t.Context()
	if err := s.enter(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.enter(ctx, "a"); err != nil { // one adapter needs one slot
		t.Fatal(err)
	}
	b, c, again := enterLater(t, s, ctx, "b"), enterLater(t, s, ctx, "c"), enterLater(t, s, ctx, "b")
	s.leave("a")
	if s.waits() != 3 {
		t.Fatal("someone went in beside a")
	}
	s.leave("a")
	if err := errors.Join(<-b, <-again); err != nil || s.waits() != 1 {
		t.Fatalf("both requests for b go in together: %v, %d wait", err, s.waits())
	}
	s.leave("b")
	s.leave("b")
	if err := <-c; err != nil || s.busy("b") || !s.busy("c") {
		t.Errorf("c: %v", err)
	}
}

func TestWaitingEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	s := newSlots(1, time.Now)
	if err := s.enter(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b := enterLater(t, s, ctx, "b")
	cancel()
	if err := <-b; !errors.Is(err, context.Canceled) || s.waits() != 0 {
		t.Errorf("%v, %d wait", err, s.waits())
	}
	s.leave("a")
	if s.busy("a") || s.busy("b") {
		t.Error("a slot is held by nobody")
	}
}

func TestCombinationsOfAdaptersNeverDisappear(t *testing.T) {
	t.Parallel()
	now := time.Unix(100, 0)
	s := newSlots(2, func() time.Time { now = now.Add(time.Second); return now })
	ctx := t.Context()
	for _, name := range []string{"a", "b"} {
		if err := s.enter(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	c := enterLater(t, s, ctx, "c")
	s.leave("a")
	<-c
	s.leave("b")
	s.leave("c")
	var got []string
	for _, one := range s.series() {
		got = append(got, fmt.Sprintf("%s|%s|%d", one.running, one.waiting, one.at.Unix()))
	}
	if diff := cmp.Diff([]string{"a|a|101", "a,b|a,b|102", "a,b|a,b,c|103", "b,c|b,c|104", "c|c|105", "||106"}, got); diff != "" {
		t.Error(diff)
	}
}

// residents are the names of the adapters that a container keeps.
func residents(c *Container) string {
	var out []string
	for _, a := range c.Adapters() {
		if a.Resident {
			out = append(out, a.Name)
		}
	}
	return strings.Join(out, " ")
}

func TestAdapterNotUsedForLongestMakesRoom(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	d := &double{script: says(" a")}
	c := startRecorded(t, dir, d.opener, nil) // two places
	server := httptest.NewServer(c)
	defer server.Close()
	for _, name := range []string{"one", "two", "three"} {
		if got := register(t, server.URL, name, filepath.Join(dir, "good")); got.Status != 200 {
			t.Fatal(got.Body)
		}
	}
	if got := residents(c); got != "two three" {
		t.Errorf("kept %q after three registrations", got)
	}
	for _, step := range []struct{ use, kept string }{{"two", "two three"}, {"one", "one two"}, {"three", "one three"}} {
		if got := post(t, server.URL, "/invocations", step.use, `{"prompt":"x"}`); got.Status != 200 {
			t.Errorf("%s: %d %s", step.use, got.Status, got.Body)
		}
		if got := residents(c); got != step.kept || len(d.adapters) != 2 {
			t.Errorf("kept %q after %s was used, want %q; the engine has %d", got, step.use, step.kept, len(d.adapters))
		}
	}
}

func TestVanishedFilesFailTheRequestThatNeedsThem(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	buildMenu(t, dir, "ok_good", "ok_rank3", "ok_qv_only")
	server := httptest.NewServer(startRecorded(t, dir, nil, nil))
	defer server.Close()
	for _, name := range []string{"ok_good", "ok_rank3", "ok_qv_only"} {
		register(t, server.URL, name, filepath.Join(dir, "menu", name))
	}
	if err := os.RemoveAll(filepath.Join(dir, "menu", "ok_good")); err != nil {
		t.Fatal(err)
	}
	got := post(t, server.URL, "/invocations", "ok_good", `{"prompt":"x","max_tokens":1}`)
	if got.Status != 404 || !strings.Contains(got.Body, "No adapter found for") {
		t.Errorf("evicted: %d %s", got.Status, got.Body)
	}
	if got := post(t, server.URL, "/invocations", "ok_rank3", `{"prompt":"x","max_tokens":1}`); got.Status != 200 {
		t.Errorf("another: %d %s", got.Status, got.Body)
	}
}

// TestManyAdaptersAtOnceAllAnswer asks for more adapters than there are slots and places, at once: each answer is the one its
// adapter gives alone.
func TestManyAdaptersAtOnceAllAnswer(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	names := []string{"ok_good", "ok_rank16", "ok_qv_only", "ok_q_only_packed", "ok_zero_b"}
	buildMenu(t, dir, names...)
	server := httptest.NewServer(startRecorded(t, dir, nil, nil))
	defer server.Close()
	const body = `{"prompt":"The boat","max_tokens":10,"temperature":0}`
	alone := map[string]string{"": textOf(post(t, server.URL, "/invocations", "", body))}
	for _, name := range names {
		register(t, server.URL, name, filepath.Join(dir, "menu", name))
		alone[name] = textOf(post(t, server.URL, "/invocations", name, body))
	}
	if alone["ok_good"] == alone[""] {
		t.Fatal("the good adapter answers as the base")
	}
	var all sync.WaitGroup
	for range 4 {
		for name, want := range alone {
			all.Go(func() {
				if got := post(t, server.URL, "/invocations", name, body); got.Status != 200 || textOf(got) != want {
					t.Errorf("%q answers %d %s among others, %s alone", name, got.Status, textOf(got), want)
				}
			})
		}
	}
	all.Wait()
}

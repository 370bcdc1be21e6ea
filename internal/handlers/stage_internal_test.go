package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/a-h/templ"

	"loradeck/internal/live"
)

// theatre is a stage with two regions whose text a test sets.
type theatre struct {
	h     *Handlers
	draws atomic.Int64
	text  atomic.Value
	fails atomic.Bool
}

func newTheatre() *theatre {
	th := &theatre{h: &Handlers{Deps: Deps{Hub: live.New()}, stages: stages{byKey: map[string]*stage{}}}}
	th.text.Store("0")
	return th
}

func (th *theatre) regions() []region {
	draw := func(id string, text func() string) region {
		return region{id: id, keys: []string{id}, draw: func(context.Context, *moment) (templ.Component, error) {
			th.draws.Add(1)
			if th.fails.Load() {
				return nil, errors.New("no picture")
			}
			return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
				_, err := fmt.Fprint(w, text())
				return err
			}), nil
		}}
	}
	return []region{draw("moving", func() string { return th.text.Load().(string) }), draw("still", func() string { return "still" })}
}

func (th *theatre) seat() (*socket, *stage) {
	s := &socket{wake: make(chan struct{}, 1)}
	s.join(th.h, "play", th.regions())
	return s, s.stages[0]
}

// becomes changes the text and waits until the stage has drawn it.
func (th *theatre) becomes(t *testing.T, who *socket, st *stage, text string) {
	t.Helper()
	th.text.Store(text)
	th.h.Hub.Changed("moving")
	for {
		select {
		case <-who.wake:
		case <-t.Context().Done():
			t.Fatal("never woken")
		}
		st.mu.Lock()
		there := st.frames[0].html
		st.mu.Unlock()
		if there == framed("moving", text) {
			return
		}
	}
}

func framed(id, text string) string {
	return `<hx-partial hx-target="#` + id + `" hx-swap="outerMorph">` + text + `</hx-partial>`
}

func TestAChangeIsDrawnOnceHoweverManyLook(t *testing.T) {
	t.Parallel()
	th := newTheatre()
	var seats []*socket
	var st *stage
	for range 100 {
		s, on := th.seat()
		seats, st = append(seats, s), on
		if _, change, err := on.all(); err != nil || change != 1 {
			t.Fatalf("the first picture is change %d, %v", change, err)
		}
	}
	if got := th.draws.Load(); got != 2 {
		t.Errorf("two regions were drawn %d times for the first picture", got)
	}
	th.becomes(t, seats[0], st, "1")
	if got := th.draws.Load(); got != 3 {
		t.Errorf("after one region changed there were %d draws", got)
	}
	first, _, err := st.since(1)
	if err != nil {
		t.Fatal(err)
	}
	for range seats {
		if message, change, err := st.since(1); err != nil || change != 2 || message != first {
			t.Fatalf("a socket got another message than the one prepared: change %d, %v", change, err)
		}
	}
}

func TestASocketThatLagsGetsTheNewestOfWhatItMissed(t *testing.T) {
	t.Parallel()
	th := newTheatre()
	s, st := th.seat()
	if _, _, err := st.all(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"1", "2", "3"} {
		th.becomes(t, s, st, text)
	}
	st.mu.Lock()
	missed, whole := st.missed(1), st.missed(0)
	st.mu.Unlock()
	if missed != framed("moving", "3") || whole != framed("moving", "3")+framed("still", "still") {
		t.Errorf("missed: %s\nwhole: %s", missed, whole)
	}
	if message, change, err := st.since(4); message != nil || change != 4 || err != nil {
		t.Errorf("a socket that has seen everything gets %v, change %d, %v", message, change, err)
	}
}

func TestAStageEndsWithItsLastSocketAndAfterAFailure(t *testing.T) {
	t.Parallel()
	th := newTheatre()
	first, st := th.seat()
	second, _ := th.seat()
	if _, _, err := st.all(); err != nil {
		t.Fatal(err)
	}
	first.part(th.h)
	if len(th.h.stages.byKey) != 1 {
		t.Error("the stage ended while somebody looked")
	}
	second.part(th.h)
	if len(th.h.stages.byKey) != 0 {
		t.Error("the stage plays to nobody")
	}
	th.fails.Store(true)
	_, broken := th.seat()
	if _, _, err := broken.all(); err == nil {
		t.Error("a stage that cannot draw has a picture")
	}
	th.fails.Store(false)
	_, mended := th.seat()
	if _, _, err := mended.all(); err != nil || mended == broken {
		t.Errorf("whoever comes after a failure: %v", err)
	}
}

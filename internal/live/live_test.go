package live_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/live"
)

func TestTakeGivesEachDirtyKeyOnce(t *testing.T) {
	t.Parallel()
	hub := live.New()
	w := hub.Watch(live.Deck, live.Job(7))
	defer w.Close()
	hub.Changed(live.Job(7), live.Jobs)
	hub.Changed(live.Deck, live.Job(7))
	<-w.Wake()
	if diff := cmp.Diff([]string{"deck", "job/7"}, w.Take()); diff != "" {
		t.Errorf("keys taken (-want +got):\n%s", diff)
	}
	if got := w.Take(); len(got) != 0 {
		t.Errorf("second take got %v, want nothing", got)
	}
}

func TestKeysNobodyAskedForWakeNobody(t *testing.T) {
	t.Parallel()
	hub := live.New()
	w := hub.Watch(live.Deck)
	defer w.Close()
	hub.Changed(live.Jobs)
	select {
	case <-w.Wake():
		t.Error("woke for a key that was not watched")
	default:
	}
}

func TestAKeyIsWatchedWhileAWatchOfItIsOpen(t *testing.T) {
	t.Parallel()
	hub := live.New()
	one, two := hub.Watch(live.Deck, live.Levers), hub.Watch(live.Levers)
	for _, step := range []struct {
		what         string
		do           func()
		deck, levers bool
	}{
		{"both are open", func() {}, true, true},
		{"the deck's is closed", one.Close, false, true},
		{"both are closed", two.Close, false, false},
	} {
		if step.do(); hub.Watched(live.Deck) != step.deck || hub.Watched(live.Levers) != step.levers {
			t.Errorf("%s: deck %t, levers %t", step.what, hub.Watched(live.Deck), hub.Watched(live.Levers))
		}
	}
	hub.Watch(live.Deck)
	if hub.Close(); hub.Watched(live.Deck) {
		t.Error("a closed hub says that somebody watches")
	}
}

// A watcher that wakes slower than changes come must still see the last state: every change after a Take marks again.
func TestSlowWatcherEndsOnTheLastState(t *testing.T) {
	t.Parallel()
	hub := live.New()
	const changes = 2000
	var mu sync.Mutex
	state := 0
	var watchers sync.WaitGroup
	for n := range 3 {
		w := hub.Watch("row")
		watchers.Go(func() {
			defer w.Close()
			for seen := 0; seen < changes; {
				<-w.Wake()
				w.Take()
				mu.Lock()
				if state < seen {
					t.Errorf("watcher %d went back in time: %d after %d", n, state, seen)
				}
				seen = state
				mu.Unlock()
			}
		})
	}
	for range changes {
		mu.Lock()
		state++
		mu.Unlock()
		hub.Changed("row", "other/"+strconv.Itoa(state))
	}
	watchers.Wait()
	if got := hub.Watching(); got != 0 {
		t.Errorf("%d watches left open, want 0", got)
	}
}

func TestCloseEndsWatchesAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	hub := live.New()
	w := hub.Watch("a")
	hub.Close()
	hub.Close()
	<-w.Done()
	<-hub.Watch("a").Done()
	w.Close()
}

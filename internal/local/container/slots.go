package container

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// slots lets at most so many different adapters answer at once; the others wait for their turn, never in vain. Requests for
// the base need none, and a request for an adapter that is already answering goes straight in, past those that wait: that is
// how vLLM schedules them (facts §3.4; recordings, behaviour.json).
type slots struct {
	most int // --max-loras
	now  func() time.Time

	mu      sync.Mutex
	running map[string]int // requests by adapter
	order   []string       // the adapters among them, in the order they began
	waiting []*turn
	seen    []loraSeries
}

// turn is a request that waits; ready is closed when it may begin.
type turn struct {
	adapter string
	ready   chan struct{}
}

// loraSeries is one combination of running and waiting adapters and when it was last seen. /metrics shows every one there
// ever was, and the newest by value is how things are.
type loraSeries struct {
	running, waiting string
	at               time.Time
}

func newSlots(most int, now func() time.Time) *slots {
	return &slots{most: most, now: now, running: map[string]int{}}
}

// enter waits until the adapter may answer. The caller leaves when it has.
func (s *slots) enter(ctx context.Context, adapter string) error {
	s.mu.Lock()
	if s.fits(adapter) {
		s.begin(adapter)
		s.note()
		s.mu.Unlock()
		return nil
	}
	mine := &turn{adapter, make(chan struct{})}
	s.waiting = append(s.waiting, mine)
	s.note()
	s.mu.Unlock()
	select {
	case <-mine.ready:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(s.waiting, mine)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.note()
	}
	s.mu.Unlock()
	if i < 0 { // its turn came at the same moment
		s.leave(adapter)
	}
	return ctx.Err()
}

// leave gives the turn back and lets in whoever fits now, first come first served.
func (s *slots) leave(adapter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[adapter]--; s.running[adapter] == 0 {
		delete(s.running, adapter)
		s.order = slices.DeleteFunc(s.order, func(name string) bool { return name == adapter })
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(next *turn) bool {
		if !s.fits(next.adapter) {
			return false
		}
		s.begin(next.adapter)
		close(next.ready)
		return true
	})
	s.note()
}

func (s *slots) fits(adapter string) bool {
	return s.running[adapter] > 0 || len(s.running) < s.most
}

func (s *slots) begin(adapter string) {
	if s.running[adapter]++; s.running[adapter] == 1 {
		s.order = append(s.order, adapter)
	}
}

// busy reports whether an adapter is answering.
func (s *slots) busy(adapter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[adapter] > 0
}

// waits is how many requests wait for their adapter's turn.
func (s *slots) waits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// note takes down how things are. A running adapter counts among the waiting too, as recorded.
func (s *slots) note() {
	waiting := slices.Clone(s.order)
	for _, one := range s.waiting {
		if !slices.Contains(waiting, one.adapter) {
			waiting = append(waiting, one.adapter)
		}
	}
	next := loraSeries{strings.Join(s.order, ","), strings.Join(waiting, ","), s.now()}
	i := slices.IndexFunc(s.seen, func(old loraSeries) bool { return old.running == next.running && old.waiting == next.waiting })
	if i < 0 {
		s.seen = append(s.seen, next)
		return
	}
	s.seen[i].at = next.at
}

// forget drops the combinations there have been, as a process that ends does.
func (s *slots) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

// series are all combinations there have been.
func (s *slots) series() []loraSeries {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

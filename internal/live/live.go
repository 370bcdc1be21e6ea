// Package live tells the pages that something changed, and only that: a Hub passes on keys ("job/12", "deck"), never data.
// Whoever watches a key wakes up and reads the rows again, so a slow socket gets fewer and newer pictures, a publisher never
// waits, and nothing can overflow.
//
// It knows no socket, no database and no markup. Publishers call Changed after their commit, never inside a transaction:
// state that matters is stored before anyone hears of it.
package live

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Keys that pages watch and rooms publish. A key names rows, not a message: it may be published any number of times.
const (
	Deck = "deck" // anything on the deck: endpoints, components, deployments
	Jobs = "jobs" // the list of jobs and the tray: a job was added, ended or moved to another step

	Levers  = "levers"  // the local place: its pace, its faults, what its containers hold
	Faults  = "faults"  // what is set to go wrong there, as the deck says it
	Uploads = "uploads" // the open uploads, as the tray and their page list them
)

// Job is the key of one job's page.
func Job(id int64) string { return fmt.Sprintf("job/%d", id) }

// Upload is the key of one upload's page: what has arrived and what was read of it.
func Upload(id int64) string { return fmt.Sprintf("upload/%d", id) }

// Comparison is the key of one comparison's head: its panes' states, not their text.
func Comparison(id int64) string { return fmt.Sprintf("comparison/%d", id) }

// Pane is the key of one pane's running text in a comparison. Panes count from 0.
func Pane(comparison int64, pane int) string {
	return fmt.Sprintf("comparison/%d/%d", comparison, pane)
}

// Hub joins publishers to watches. The zero value is not usable; make one with New.
type Hub struct {
	mu      sync.Mutex // guards the fields below
	watches map[*Watch]struct{}
	closed  bool
}

// New makes an open hub.
func New() *Hub { return &Hub{watches: map[*Watch]struct{}{}} }

// Changed marks the keys dirty on every watch that asked for them and wakes those watches. It never blocks on a watcher.
func (h *Hub) Changed(keys ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watches {
		w.mark(keys)
	}
}

// Watch starts watching the given keys. The caller must Close it. On a closed hub it returns a watch whose Done is closed.
func (h *Hub) Watch(keys ...string) *Watch {
	w := &Watch{hub: h, asked: map[string]bool{}, dirty: map[string]bool{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	for _, key := range keys {
		w.asked[key] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(w.done)
		return w
	}
	h.watches[w] = struct{}{}
	return w
}

// Watched reports whether a watch of the key is open: looking at something that nobody sees can be left.
func (h *Hub) Watched(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watches {
		if w.asked[key] {
			return true
		}
	}
	return false
}

// Watching reports how many watches are open.
func (h *Hub) Watching() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watches)
}

// Close ends every watch and refuses new ones. It may be called more than once.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watches {
		close(w.done)
	}
	clear(h.watches)
}

// Watch is one watcher's set of dirty keys.
type Watch struct {
	hub   *Hub
	wake  chan struct{}
	done  chan struct{}
	asked map[string]bool // never changed after Hub.Watch

	mu    sync.Mutex // guards dirty
	dirty map[string]bool
}

// Wake receives a value when at least one key may be dirty. Several changes may share one value.
func (w *Watch) Wake() <-chan struct{} { return w.wake }

// Done is closed when the hub closes.
func (w *Watch) Done() <-chan struct{} { return w.done }

// Take returns the dirty keys in sorted order and forgets them. What changes while the caller reads the rows is dirty again.
func (w *Watch) Take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := slices.Sorted(maps.Keys(w.dirty))
	clear(w.dirty)
	return keys
}

// Close stops watching. It may be called after the hub has closed.
func (w *Watch) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watches, w)
}

func (w *Watch) mark(keys []string) {
	w.mu.Lock()
	marked := false
	for _, key := range keys {
		if w.asked[key] {
			w.dirty[key] = true
			marked = true
		}
	}
	w.mu.Unlock()
	if !marked {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default: // already awake: it will take these keys too
	}
}

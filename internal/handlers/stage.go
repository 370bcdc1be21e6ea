package handlers

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/a-h/templ"
	"github.com/gorilla/websocket"

	"loradeck/internal/live"
	"loradeck/web/templates"
)

// stages are what sockets look at now, by what tells them apart.
type stages struct {
	mu    sync.Mutex // guards byKey and each stage's audience
	byKey map[string]*stage
}

// stage is a set of regions that any number of sockets look at together: a change is drawn once and sent to all of them as one
// prepared message. Pages do not depend on who looks, so they can be shared; a page that does must not be drawn here.
//
// Nothing queues. A stage keeps each region's newest frame and counts its changes; a socket that is one change behind takes the
// prepared message, one that is further behind takes the newest frame of every region it has missed.
type stage struct {
	key      string
	regions  []region
	stop     context.CancelFunc
	drawn    chan struct{} // closed once there is a first picture, or err
	audience map[*socket]struct{}

	mu     sync.Mutex // guards the fields below
	frames []frame    // in the order of regions
	change uint64     // counts changes; the first picture is the first
	latest *websocket.PreparedMessage
	err    error
}

// frame is a region as drawn last.
type frame struct {
	html   string
	change uint64 // when it came to look so
}

// enter gives the stage of that key to a socket, and starts it for the first one. Leave it when the socket ends.
func (s *stages) enter(h *Handlers, key string, regions []region, who *socket) *stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, there := s.byKey[key]
	if !there {
		ctx, stop := context.WithCancel(context.Background())
		st = &stage{key: key, regions: regions, stop: stop, drawn: make(chan struct{}), audience: map[*socket]struct{}{}, frames: make([]frame, len(regions))}
		s.byKey[key] = st
		go st.play(ctx, h)
	}
	st.audience[who] = struct{}{}
	return st
}

// leave ends a stage with its last socket.
func (s *stages) leave(st *stage, who *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(st.audience, who); len(st.audience) == 0 {
		s.drop(st)
	}
}

// drop forgets a stage; whoever comes next gets a new one. The caller holds mu.
func (s *stages) drop(st *stage) {
	st.stop()
	if s.byKey[st.key] == st {
		delete(s.byKey, st.key)
	}
}

// wake tells a stage's sockets that there is something to take.
func (s *stages) wake(st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who := range st.audience {
		who.look()
	}
}

// play keeps the stage's picture true until it is stopped or the hub ends.
func (st *stage) play(ctx context.Context, h *Handlers) {
	var keys []string
	every := time.Duration(0)
	for _, r := range st.regions {
		keys = append(keys, r.keys...)
		if r.every > 0 && (every == 0 || r.every < every) {
			every = r.every
		}
	}
	watch := h.Hub.Watch(keys...) // before the first picture, so that nothing is missed
	defer watch.Close()
	var clock <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		clock = ticker.C
	}
	stale := st.regions
	for first := true; ; first = false {
		if err := st.draw(ctx, stale); err != nil && ctx.Err() == nil {
			st.fail(h, err)
		}
		if first {
			close(st.drawn)
		} else {
			h.stages.wake(st)
			rest(ctx, pace)
		}
		if stale = st.next(ctx, watch, clock); stale == nil {
			return
		}
	}
}

// next waits for regions that may look different; nil is the end.
func (st *stage) next(ctx context.Context, watch *live.Watch, clock <-chan time.Time) []region {
	for {
		var stale []region
		select {
		case <-ctx.Done():
			return nil
		case <-watch.Done():
			return nil
		case <-clock:
			stale = slices.DeleteFunc(slices.Clone(st.regions), func(r region) bool { return r.every == 0 })
		case <-watch.Wake():
			dirty := watch.Take()
			stale = slices.DeleteFunc(slices.Clone(st.regions), func(r region) bool {
				return !slices.ContainsFunc(r.keys, func(k string) bool { return slices.Contains(dirty, k) })
			})
		}
		if len(stale) > 0 {
			return stale
		}
	}
}

// fail ends the stage's sockets: they come back and get a new picture, or an error that says more.
func (st *stage) fail(h *Handlers, err error) {
	st.mu.Lock()
	st.err = err
	st.mu.Unlock()
	h.stages.mu.Lock()
	defer h.stages.mu.Unlock()
	h.stages.drop(st)
}

// draw renders the stale regions, all from what was read at one moment, and keeps those that look different.
func (st *stage) draw(ctx context.Context, stale []region) error {
	var message bytes.Buffer
	var now moment
	pictures := map[string]string{}
	for _, r := range stale {
		component, err := r.draw(ctx, &now)
		if err != nil {
			return fmt.Errorf("draw %s: %w", r.id, err)
		}
		var drawn bytes.Buffer
		if err := templates.Frame(r.id).Render(templ.WithChildren(ctx, component), &drawn); err != nil {
			return fmt.Errorf("render %s: %w", r.id, err)
		}
		pictures[r.id] = drawn.String()
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, r := range st.regions {
		if html, drawn := pictures[r.id]; drawn && html != st.frames[i].html {
			st.frames[i] = frame{html: html, change: st.change + 1}
			message.WriteString(html)
		}
	}
	if message.Len() == 0 {
		return nil
	}
	st.change++
	var err error
	if st.latest, err = websocket.NewPreparedMessage(websocket.TextMessage, message.Bytes()); err != nil {
		return fmt.Errorf("prepare a message: %w", err)
	}
	return nil
}

// all gives the whole picture and the change it belongs to.
func (st *stage) all() (html string, change uint64, err error) {
	<-st.drawn
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.missed(0), st.change, st.err
}

// since gives what a socket that has seen a change lacks, or nil for nothing.
func (st *stage) since(seen uint64) (message *websocket.PreparedMessage, change uint64, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.err != nil || seen == st.change:
		return nil, seen, st.err
	case seen+1 == st.change:
		return st.latest, st.change, nil
	}
	message, err = websocket.NewPreparedMessage(websocket.TextMessage, []byte(st.missed(seen)))
	return message, st.change, err
}

// missed joins the frames that came after a change. The caller holds mu.
func (st *stage) missed(seen uint64) string {
	var html bytes.Buffer
	for _, f := range st.frames {
		if f.change > seen {
			html.WriteString(f.html)
		}
	}
	return html.String()
}

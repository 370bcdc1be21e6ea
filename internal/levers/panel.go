package levers

import (
	"context"
	"reflect"
	"sync"
	"time"

	"loradeck/internal/live"
)

// every is how long a panel waits between two looks: a person watches faults happen.
const every = time.Second

// Panel keeps a picture of the local place, and tells the pages when it changes. Levers may be pulled by others too, so it looks
// by itself while somebody watches. What the containers hold is asked for the local place's page only: a vLLM of the user's own
// may be asked too then, and writes that into its log.
type Panel struct {
	*Client
	hub *live.Hub

	mu   sync.Mutex // guards the fields below
	last Local
	err  error
}

// NewPanel makes a panel that has not looked yet.
func NewPanel(client *Client, hub *live.Hub) *Panel { return &Panel{Client: client, hub: hub} }

// Run looks again and again, as far as somebody watches, until ctx ends.
func (p *Panel) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	p.follow(ctx, ticker.C)
}

func (p *Panel) follow(ctx context.Context, ticks <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		switch {
		case p.hub.Watched(live.Levers):
			p.Refresh(ctx)
		case p.hub.Watched(live.Faults):
			p.RefreshFaults(ctx)
		}
	}
}

// Refresh looks now. Whoever has pulled a lever or asks for the page calls it, so that what is shown is true.
func (p *Panel) Refresh(ctx context.Context) {
	now, err := p.Look(ctx)
	p.seen(ctx, err, func(last *Local) { *last = now })
}

// RefreshFaults looks now what is set to go wrong, and at nothing else.
func (p *Panel) RefreshFaults(ctx context.Context) {
	faults, err := p.Faults(ctx)
	p.seen(ctx, err, func(last *Local) { last.Faults = faults })
}

// seen takes up what a look has brought, and tells the pages when it is something new.
func (p *Panel) seen(ctx context.Context, err error, take func(last *Local)) {
	if ctx.Err() != nil {
		return // whoever asked has gone, which says nothing about the place
	}
	p.mu.Lock()
	before, mute := p.last, p.err != nil
	if p.err = err; err == nil {
		take(&p.last)
	}
	changed := mute != (err != nil) || !reflect.DeepEqual(before, p.last)
	faults := !reflect.DeepEqual(before.Faults, p.last.Faults)
	p.mu.Unlock()
	if changed {
		p.hub.Changed(live.Levers)
	}
	if faults {
		p.hub.Changed(live.Faults)
	}
}

// Last gives what was seen last, and why the newest look failed, if it did.
func (p *Panel) Last() (Local, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.err
}

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
// by itself.
type Panel struct {
	*Client
	hub *live.Hub

	mu   sync.Mutex // guards the fields below
	last Local
	err  error
}

// NewPanel makes a panel that has not looked yet.
func NewPanel(client *Client, hub *live.Hub) *Panel { return &Panel{Client: client, hub: hub} }

// Run looks again and again until ctx ends.
func (p *Panel) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		p.Refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Refresh looks now. Whoever has pulled a lever calls it, so that the next page shows it.
func (p *Panel) Refresh(ctx context.Context) {
	now, err := p.Look(ctx)
	if ctx.Err() != nil {
		return // whoever asked has gone, which says nothing about the place
	}
	p.mu.Lock()
	changed := (err == nil) != (p.err == nil) || err == nil && !reflect.DeepEqual(now, p.last)
	if p.err = err; err == nil {
		p.last = now
	}
	p.mu.Unlock()
	if changed {
		p.hub.Changed(live.Levers)
	}
}

// Last gives what was seen last, and why the newest look failed, if it did.
func (p *Panel) Last() (Local, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.err
}

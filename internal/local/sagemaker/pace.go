package sagemaker

import (
	"context"
	"time"

	"loradeck/internal/lora"
)

// change is a kind of change of state that comes by itself.
type change int

const (
	endpointCreation change = iota
	endpointUpdate
	endpointDeletion
	instanceAddition
	baseCreation
	baseUpdate
	scalingOut
	scalingIn
	baseDeletion
	adapterCreation
	adapterUpdate
	adapterDeletion
	changes // how many there are
)

// Pace is how long each kind of change of state takes that comes by itself. The zero value takes no time.
type Pace struct {
	name  string
	takes [changes]time.Duration
}

// Name is what ParsePace takes.
func (p Pace) Name() string { return p.name }

// Steady takes the same time for every change.
func Steady(each time.Duration) Pace {
	var p Pace
	for kind := range p.takes {
		p.takes[kind] = each
	}
	return p
}

// Paces are the names that ParsePace takes, the usual one first.
func Paces() []string { return []string{"instant", "realistic"} }

// ParsePace gives a pace by its name. Its error is of kind lora.Invalid.
func ParsePace(name string) (Pace, error) {
	var p Pace
	switch name {
	case "instant":
		p = Steady(250 * time.Millisecond) // long enough to be seen, short enough not to wait
	case "realistic":
		p.takes = realistic
	default:
		return p, lora.Errorf(lora.Invalid, "There is no pace %q; use instant or realistic.", name)
	}
	p.name = name
	return p, nil
}

// realistic is the middle of what was observed where facts/sagemaker-vllm.md §2.7 has it; the others are estimates.
var realistic = [changes]time.Duration{
	endpointCreation: 4 * time.Minute,  // observed: 3 to 5 minutes
	endpointUpdate:   8 * time.Minute,  // estimate: new instances, then the old ones go
	endpointDeletion: time.Minute,      // estimate
	instanceAddition: 4 * time.Minute,  // estimate: most of an endpoint's creation is its instance
	baseCreation:     6 * time.Minute,  // observed: 5 to 7 minutes for 8B, 10 to 30 for large models
	baseUpdate:       6 * time.Minute,  // estimate: a new copy starts as at creation
	scalingOut:       6 * time.Minute,  // estimate: the same
	scalingIn:        time.Minute,      // estimate
	baseDeletion:     time.Minute,      // estimate: the sample notebook sleeps 60 s (§9.1)
	adapterCreation:  2 * time.Minute,  // observed: 1 to 3 minutes
	adapterUpdate:    5 * time.Minute,  // observed: about 5 minutes
	adapterDeletion:  30 * time.Second, // observed: under a minute
}

// Pace gives the pace that changes are made at.
func (p *Platform) Pace() Pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pace
}

// SetPace changes it, for changes under way too. It is not kept over a restart.
func (p *Platform) SetPace(pace Pace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace = pace
	close(p.paced)
	p.paced = make(chan struct{})
}

// wait waits until a change that began at since is due, and reports whether the platform still runs. Because it counts from
// the beginning, a change that a restart interrupted takes no longer for it.
func (p *Platform) wait(ctx context.Context, kind change, since moment) bool {
	for {
		p.mu.Lock()
		due, paced := p.pace.takes[kind]-time.Duration(p.now()-since)*time.Millisecond, p.paced
		p.mu.Unlock()
		if due <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(due)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			return true
		case <-paced:
			timer.Stop()
		}
	}
}

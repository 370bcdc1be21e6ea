package container

import (
	"context"
	"slices"
	"sync"

	"loradeck/internal/local/fault"
)

// trouble plays the faults that are set for an invocation before its answer begins, and marks it for those that are computed.
// It refuses when the engine is dead or has just died.
func (c *Container) trouble(ctx context.Context, x *exchange, adapter string) *refusal {
	asked := adapter
	if adapter == "" {
		asked = c.name
	}
	switch {
	case c.engine.stage() != alive:
		return c.dialect.engineFailed()
	case c.faults.Take(fault.EngineCrash, c.name, adapter):
		c.die(ctx, "a fault is set")
		return c.dialect.engineFailed()
	case adapter != "" && c.faults.Take(fault.VanishedFiles, c.name, adapter):
		c.die(ctx, "the adapter "+adapter+" is not kept and its files have gone")
		return c.dialect.engineFailed()
	}
	var t Trouble
	if t.NaN = c.faults.Take(fault.NaN, asked) || adapter == "" && c.broken.Swap(false); t.NaN && adapter != "" {
		c.broken.Store(c.dialect.spreadsNaN())
	}
	if c.faults.Take(fault.Noise, asked) {
		t.Rounding = c.noise.Add(1)
	}
	if adapter != "" && c.faults.Has(fault.StaleCache, c.name, adapter) {
		t.Prefix = adapter
		c.cache(adapter)
	}
	for i := range x.requests {
		x.requests[i].Trouble = t
	}
	return nil
}

// cache sees to it that what an engine keeps under an adapter's name goes when no fault asks for that any more.
func (c *Container) cache(adapter string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.cached, adapter) {
		return
	}
	c.cached = append(c.cached, adapter)
	c.answering.Go(func() {
		if c.faults.Over(c.closing, fault.StaleCache, c.name, adapter) != nil {
			return
		}
		c.mu.Lock()
		c.cached = slices.DeleteFunc(c.cached, func(name string) bool { return name == adapter })
		c.mu.Unlock()
		c.engine.Forget(adapter)
	})
}

// spreadsNaN reports whether the base's next answer after one of NaN is broken too (recordings, nan.json).
func (d dialect) spreadsNaN() bool { return d.reasons }

// crowded ends the engine when echo-kills is set: a request whose prompt is scored shares it with another. That is so with LoRA
// on in 0.11.2 (recordings, proof/README.md §1); later versions were seen to die of it only on a CPU.
func (c *Container) crowded(ctx context.Context, adapter string) bool {
	if c.dialect.names || !c.settings.enableLora || !c.faults.Take(fault.EchoKills, c.name, adapter) {
		return false
	}
	c.die(ctx, "a prompt was scored beside another request")
	return true
}

// company counts the requests that compute, and those among them whose prompt is scored.
type company struct {
	mu           sync.Mutex
	all, scoring int
}

// enter takes a request in and reports whether a scored prompt has company now.
func (c *company) enter(r Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all++
	if r.PromptLogprobs >= 0 {
		c.scoring++
	}
	return c.scoring > 0 && c.all > 1
}

// leave lets a request go that entered.
func (c *company) leave(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if r.PromptLogprobs >= 0 {
		c.scoring--
	}
}

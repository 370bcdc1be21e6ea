package container

import (
	"context"
	"errors"
	"slices"

	"loradeck/internal/lora"
)

// Of the registered adapters at most --max-cpu-loras are kept in the engine. One that is asked for and not kept is read
// from its directory again, in the place of the least recently used, so that files replaced meanwhile take effect then
// (recordings, behaviour.json swap_5). Real vLLM dies when the files have gone; here the request fails, unless dying is set as
// a fault.

// admit waits for the adapter's turn and sees to it that the engine has it. It gives the engine's name for it, "" when it
// changes nothing and the base answers, and the function that ends the turn.
func (c *Container) admit(ctx context.Context, adapter string) (name string, leave func(), err error) {
	if adapter == "" {
		return "", func() {}, nil
	}
	if err := c.slots.enter(ctx, adapter); err != nil {
		return "", nil, err
	}
	modules, err := c.summon(ctx, adapter)
	if err != nil {
		c.slots.leave(adapter)
		return "", nil, err
	}
	leave = func() { c.slots.leave(adapter) }
	if modules == 0 {
		return "", leave, nil
	}
	return adapter, leave, nil
}

// summon marks an adapter as used just now and reads it again when it is not kept; it gives how many modules it changes.
func (c *Container) summon(ctx context.Context, name string) (modules int, err error) {
	if a, resident, ok := c.touch(name); !ok || resident {
		return a.Modules, missing(ok)
	}
	c.loading.Lock()
	defer c.loading.Unlock()
	a, resident, ok := c.touch(name)
	if !ok || resident { // another request was faster
		return a.Modules, missing(ok)
	}
	deltas, refused := c.decode(name, a.Source)
	if refused == nil {
		refused = c.keep(ctx, name, deltas)
	}
	if refused != nil {
		refused = c.dialect.worded(refused)
		c.log.ErrorContext(ctx, "adapter not read again", "adapter", name, "err", refused.message)
		return 0, refused
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.index(name); i >= 0 {
		c.adapters[i].Modules = len(deltas)
	}
	return len(deltas), nil
}

// missing is the error for an adapter that was taken away since the request came in.
func missing(known bool) error {
	if known {
		return nil
	}
	return lora.Errorf(lora.NotFound, "The adapter is not there any more.")
}

// touch moves a resident adapter to the end of the line.
func (c *Container) touch(name string) (a Adapter, resident, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(name)
	if i < 0 {
		return Adapter{}, false, false
	}
	if at := slices.Index(c.resident, name); at >= 0 {
		c.resident = append(slices.Delete(c.resident, at, at+1), name)
		resident = true
	}
	return c.adapters[i], resident, true
}

// keep gives the engine an adapter, in the place of the one not used for longest when there is no other. An adapter that is
// answering stays; when all that are kept do, the new one is not kept yet. The caller holds c.loading.
func (c *Container) keep(ctx context.Context, name string, deltas []Delta) *refusal {
	if !c.makeRoom(ctx) && !c.slots.busy(name) {
		return nil
	}
	if len(deltas) > 0 {
		if err := c.engine.AddAdapter(name, deltas); err != nil {
			return loadFailure("%s", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resident = append(c.resident, name)
	return nil
}

// makeRoom evicts until one more adapter has a place; false when none can be.
func (c *Container) makeRoom(ctx context.Context) bool {
	for {
		c.mu.RLock()
		full := len(c.resident) >= c.settings.cpuLoras
		at := slices.IndexFunc(c.resident, func(name string) bool { return !c.slots.busy(name) })
		var oldest string
		if at >= 0 {
			oldest = c.resident[at]
		}
		c.mu.RUnlock()
		if !full || at < 0 {
			return !full
		}
		c.evict(ctx, oldest)
		c.log.InfoContext(ctx, "adapter evicted", "adapter", oldest)
	}
}

// evict takes an adapter out of the engine, where it is kept. The caller holds c.loading.
func (c *Container) evict(ctx context.Context, name string) {
	c.mu.Lock()
	at := slices.Index(c.resident, name)
	i := c.index(name)
	effective := at >= 0 && i >= 0 && c.adapters[i].Modules > 0
	if at >= 0 {
		c.resident = slices.Delete(c.resident, at, at+1)
	}
	c.mu.Unlock()
	if !effective {
		return
	}
	if err := c.engine.RemoveAdapter(name); err != nil {
		c.log.ErrorContext(ctx, "engine kept an adapter", "adapter", name, "err", err)
	}
}

// refusalOf is the answer that an error carries already.
func refusalOf(err error) (*refusal, bool) {
	var refused *refusal
	ok := errors.As(err, &refused)
	return refused, ok
}

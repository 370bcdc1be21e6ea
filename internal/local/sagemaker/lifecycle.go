package sagemaker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"loradeck/internal/local/fault"
	"loradeck/internal/lora"
)

// loaded is how far an adapter that is InService came.
type loaded struct {
	dir      string // its files, where they could be fetched
	download string // its artifact's URL, where that could not be fetched or unpacked
	status   int    // with which the container refused it
	message  string // and this body
}

// resume takes up what the last process left. Bases start first; adapters wait for theirs.
func (p *Platform) resume(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(p.config.Dir), os.MkdirAll(p.config.Dir, 0o700)); err != nil {
		return fmt.Errorf("clear scratch: %w", err)
	}
	endpoints, err := p.store.endpoints(ctx)
	if err != nil {
		return fmt.Errorf("read endpoints: %w", err)
	}
	for _, e := range endpoints {
		switch e.status {
		case creating:
			p.background(func(ctx context.Context) { p.settleEndpoint(ctx, e) })
		case updating:
			p.background(func(ctx context.Context) { p.renewEndpoint(ctx, e) })
		case deleting:
			p.background(func(ctx context.Context) { p.dropEndpoint(ctx, e) })
		}
	}
	components, err := p.store.components(ctx)
	if err != nil {
		return fmt.Errorf("read components: %w", err)
	}
	for _, c := range components {
		if c.copies > 0 && c.status != deleting {
			p.slot(c.name) // so that requests and adapters wait for it rather than miss it
		}
	}
	for _, c := range components {
		switch {
		case c.status == deleting:
			p.background(func(ctx context.Context) { p.remove(ctx, c) })
		case c.status == creating || c.copies > 0 || c.base != "" && c.status != failed:
			p.launch(c)
		}
	}
	for _, c := range components { // only now: an update waits for what was launched before
		if c.status == updating {
			p.background(func(ctx context.Context) { p.update(ctx, c) })
		}
	}
	return nil
}

// launch brings a component as far as it gets, in the background.
func (p *Platform) launch(c componentRow) {
	done := make(chan struct{})
	p.mu.Lock()
	p.bringing[c.name] = done
	p.mu.Unlock()
	p.background(func(ctx context.Context) {
		defer func() {
			p.mu.Lock()
			delete(p.bringing, c.name)
			p.mu.Unlock()
			close(done)
		}()
		p.bring(ctx, c)
	})
}

// awaitBrought waits until a component has been brought as far as it gets. One that was in service before a restart is for a
// moment InService and not loaded: it must not be asked, nor deleted, before.
func (p *Platform) awaitBrought(ctx context.Context, name string) {
	p.mu.Lock()
	done := p.bringing[name]
	p.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-done:
	}
}

// bring brings a component into service, or to Failed. One that was in service before a restart keeps its status unless its
// container no longer starts; one that was being updated is brought to where it was before.
func (p *Platform) bring(ctx context.Context, c componentRow) {
	kind := baseCreation
	if c.base != "" {
		kind = adapterCreation
	}
	if c.status == creating && (!p.wait(ctx, kind, c.modified) || p.config.Faults.Over(ctx, fault.StuckCreating, c.name, c.endpoint) != nil) {
		return
	}
	shape, err := readComponent(c.body)
	switch {
	case c.base != "" && err == nil:
		p.bringAdapter(ctx, c, shape)
		return
	case c.base == "" && err == nil && c.status == creating:
		if err = p.makeRoom(ctx, &c); err == nil {
			err = p.start(ctx, p.slot(c.name), c, shape, false)
		}
	case c.base == "": // even with an unreadable body: adapters wait for its outcome
		err = p.start(ctx, p.slot(c.name), c, shape, true)
	}
	if ctx.Err() != nil {
		return // it is taken up again at the next start
	}
	if err == nil && c.status == creating {
		c.copies = shape.copyCount()
	}
	p.brought(ctx, c, err)
}

// bringAdapter loads an adapter. It holds the roster until its status is stored, so that a container that takes another's
// place meanwhile is either loaded with it or loads it.
func (p *Platform) bringAdapter(ctx context.Context, c componentRow, shape componentShape) {
	from := p.fetchedFor(ctx, c, shape)
	defer p.hold(c.base)()
	err := p.load(ctx, c, from)
	if ctx.Err() == nil {
		p.brought(ctx, c, err)
	}
}

// brought stores how far a component came.
func (p *Platform) brought(ctx context.Context, c componentRow, err error) {
	was := c.status
	if err != nil {
		p.config.Log.WarnContext(ctx, "component failed", "component", c.name, "err", err)
	}
	switch {
	case was == updating, was == failed: // what it is brought to is not what decides
		return
	case err != nil:
		c.status, c.reason, c.copies = failed, clip(lora.Message(err)), 0
	case was == inService:
		return
	default:
		c.status = inService
	}
	p.settle(ctx, was, c)
}

// settle stores where a component's change of state has led, unless it has another state by now.
func (p *Platform) settle(ctx context.Context, from string, c componentRow) {
	c.modified = p.now()
	if _, err := p.store.settle(ctx, from, c); err != nil {
		p.config.Log.ErrorContext(ctx, "component's status not stored", "component", c.name, "err", err)
	}
}

// clip holds a text to FailureReason's 1,024 characters.
func clip(text string) string {
	if len(text) <= 1024 {
		return text
	}
	return strings.ToValidUTF8(text[:1021], "") + "…"
}

// fetchedFor downloads an adapter's artifact into a directory of its own. What goes wrong is a fault of the component and not an
// error: SageMaker says InService all the same (facts §2.6).
func (p *Platform) fetchedFor(ctx context.Context, c componentRow, shape componentShape) loaded {
	got := loaded{dir: p.scratch("adapter", c.name)}
	artifact := shape.Specification.Container.ArtifactUrl
	if err := p.fetchAdapter(ctx, artifact, got.dir); err != nil {
		got.download = artifact
		p.clear(ctx, []string{got.dir}) // what was unpacked of it is never offered
		p.config.Log.WarnContext(ctx, "adapter not fetched", "component", c.name, "err", err)
	}
	return got
}

// load registers an adapter with the container of its base, in the place of the one of its name that is there. The caller holds
// the roster. A base without copies has no container: it loads its adapters when it gets one.
func (p *Platform) load(ctx context.Context, c componentRow, from loaded) error {
	p.mu.Lock()
	_, there := p.bases[c.base]
	p.mu.Unlock()
	if there {
		b, err := p.running(ctx, c.base)
		if err != nil {
			return errors.Join(err, os.RemoveAll(from.dir))
		}
		p.unregister(ctx, b, c)
		from = p.register(ctx, b, c, from)
	}
	p.mu.Lock()
	before := p.loaded[c.name]
	p.loaded[c.name] = from
	p.mu.Unlock()
	p.clear(ctx, []string{before.dir})
	return nil
}

// register offers fetched files to a container. That it refuses them is a fault of the component too.
func (p *Platform) register(ctx context.Context, b *base, c componentRow, from loaded) loaded {
	if from.download != "" {
		return from
	}
	query := url.Values{"name": {c.name}, "src": {from.dir}}
	if status, body := call(ctx, b.container, http.MethodPost, "/adapters?"+query.Encode()); status/100 != 2 {
		from.status, from.message = status, body
		p.config.Log.WarnContext(ctx, "adapter refused by the container", "component", c.name, "status", status)
	}
	return from
}

// unregister takes an adapter out of a container that was given it. One that was at a loss when it was offered the adapter may
// have it all the same, or have taken it later.
func (p *Platform) unregister(ctx context.Context, b *base, c componentRow) {
	p.mu.Lock()
	before, was := p.loaded[c.name]
	p.mu.Unlock()
	if !was || before.download != "" || before.status/100 == 4 {
		return
	}
	if status, _ := call(ctx, b.container, http.MethodDelete, "/adapters/"+url.PathEscape(c.name)); status/100 != 2 {
		p.config.Log.InfoContext(ctx, "the container did not know the adapter", "component", c.name, "status", status)
	}
}

// remove takes a component out of service and forgets it.
func (p *Platform) remove(ctx context.Context, c componentRow) {
	kind := baseDeletion
	if c.base != "" {
		kind = adapterDeletion
	}
	if !p.wait(ctx, kind, c.modified) {
		return
	}
	p.awaitBrought(ctx, c.name)
	if c.base == "" {
		p.stopBase(ctx, c)
	} else {
		p.unload(ctx, c)
	}
	if ctx.Err() != nil {
		return
	}
	if err := p.store.drop(ctx, "sm_component", c.name, p.arn("inference-component", c.name)); err != nil {
		p.config.Log.ErrorContext(ctx, "component not deleted", "component", c.name, "err", err)
	}
}

// stopBase takes a base's container away. When the platform stops before the container runs, it stays for Close to find.
func (p *Platform) stopBase(ctx context.Context, c componentRow) {
	p.mu.Lock()
	b := p.bases[c.name]
	p.mu.Unlock()
	if b == nil {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-b.ready:
	}
	p.mu.Lock()
	delete(p.bases, c.name)
	p.mu.Unlock()
	p.retire(ctx, c.name, b)
}

// unload takes an adapter out of its base's container, and its files away.
func (p *Platform) unload(ctx context.Context, c componentRow) {
	defer p.hold(c.base)()
	if b, err := p.running(ctx, c.base); err == nil {
		p.unregister(ctx, b, c)
	}
	p.mu.Lock()
	dir := p.loaded[c.name].dir
	delete(p.loaded, c.name)
	p.mu.Unlock()
	p.clear(ctx, []string{dir})
}

// clear removes adapters' files.
func (p *Platform) clear(ctx context.Context, dirs []string) {
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			p.config.Log.WarnContext(ctx, "adapter's files not removed", "err", err)
		}
	}
}

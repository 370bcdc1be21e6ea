package sagemaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"loradeck/internal/lora"
)

// base is a base component's container on its way or running. Whoever needs it waits for ready.
type base struct {
	ready     chan struct{} // closed when container or err is set
	container Container
	err       error
}

// defect is why an adapter that is InService cannot answer.
type defect struct {
	download string // the artifact could not be fetched or unpacked: its URL
	status   int    // the container refused it with this status
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
		case deleting:
			p.background(func(ctx context.Context) { p.dropEndpoint(ctx, e) })
		}
	}
	components, err := p.store.components(ctx)
	if err != nil {
		return fmt.Errorf("read components: %w", err)
	}
	for _, c := range components {
		if c.base == "" && (c.status == creating || c.status == inService) {
			p.slot(c.name) // so that requests and adapters wait for it rather than miss it
		}
	}
	for _, c := range components {
		switch c.status {
		case deleting:
			p.background(func(ctx context.Context) { p.remove(ctx, c) })
		case creating, inService:
			p.launch(c)
		}
	}
	return nil
}

// slot gives the place of a base's container, making it when there is none.
func (p *Platform) slot(name string) *base {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bases[name]
	if b == nil {
		b = &base{ready: make(chan struct{})}
		p.bases[name] = b
	}
	return b
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

// brought waits until a component has been brought as far as it gets. One that was in service before a restart is for a
// moment InService and not loaded: it must not be asked, nor deleted, before.
func (p *Platform) brought(ctx context.Context, name string) {
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
// container no longer starts.
func (p *Platform) bring(ctx context.Context, c componentRow) {
	if c.status == creating && !p.pause(ctx) {
		return
	}
	log := p.config.Log.With("component", c.name)
	shape, err := readComponent(c.body)
	switch {
	case c.base == "": // even with an unreadable body: adapters wait for its outcome
		err = p.startBase(ctx, c, shape)
	case err == nil:
		err = p.loadAdapter(ctx, c, shape)
	}
	if ctx.Err() != nil {
		return // it is taken up again at the next start
	}
	to, reason := inService, ""
	if err != nil {
		to, reason = failed, clip(lora.Message(err))
		log.WarnContext(ctx, "component failed", "err", err)
	}
	if c.status == to {
		return
	}
	if _, err := p.store.setComponent(ctx, c, c.status, to, reason, p.now()); err != nil {
		log.ErrorContext(ctx, "component's status not stored", "err", err)
	}
}

// clip holds a text to FailureReason's 1,024 characters.
func clip(text string) string {
	if len(text) <= 1024 {
		return text
	}
	return strings.ToValidUTF8(text[:1021], "") + "…"
}

// startBase fetches the model and starts its container.
func (p *Platform) startBase(ctx context.Context, c componentRow, shape componentShape) error {
	b := p.slot(c.name)
	defer close(b.ready)
	b.container, b.err = p.runModel(ctx, c, shape)
	return b.err
}

func (p *Platform) runModel(ctx context.Context, c componentRow, shape componentShape) (_ Container, err error) {
	defer func() { // an engine that cannot take a model must not take the platform with it
		if broken := recover(); broken != nil {
			err = lora.Wrap(fmt.Errorf("container panicked: %v\n%s", broken, debug.Stack()), lora.Unavailable, "The container ended while it started. The log has the details.")
		}
	}()
	if shape.Specification == nil {
		return nil, fmt.Errorf("component %s has no specification", c.name)
	}
	var model modelShape
	var known *apiError
	if _, err := p.find(ctx, "sm_model", "model", "model", shape.Specification.ModelName, &model); errors.As(err, &known) {
		return nil, lora.Wrap(err, lora.NotFound, "The model %s is no longer there.", shape.Specification.ModelName)
	} else if err != nil {
		return nil, err
	}
	container := model.containers()[0]
	dir := p.modelDir(c)
	if err := p.fetchModel(ctx, container, dir); err != nil {
		return nil, err
	}
	return p.config.Run(ctx, ContainerSpec{Name: c.name, ModelDir: dir, Image: container.Image, Environment: container.Environment})
}

func (p *Platform) modelDir(c componentRow) string {
	return filepath.Join(p.config.Dir, "model-"+strings.ToLower(c.name))
}

func (p *Platform) adapterDir(c componentRow) string {
	return filepath.Join(p.config.Dir, fmt.Sprintf("adapter-%s-%d", strings.ToLower(c.name), c.created))
}

// loadAdapter fetches an adapter and registers it with its base's container. What goes wrong with the archive or at the
// container is a fault of the component and not an error: SageMaker says InService all the same (facts §2.6).
func (p *Platform) loadAdapter(ctx context.Context, c componentRow, shape componentShape) error {
	container, err := p.running(ctx, c.base)
	if err != nil {
		return err
	}
	trouble := defect{}
	dir, artifact := p.adapterDir(c), shape.Specification.Container.ArtifactUrl
	if err := p.fetchAdapter(ctx, artifact, dir); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		trouble.download = artifact
		p.config.Log.WarnContext(ctx, "adapter not fetched", "component", c.name, "err", err)
	} else {
		query := url.Values{"name": {c.name}, "src": {dir}}
		status, body := call(ctx, container, http.MethodPost, "/adapters?"+query.Encode())
		if status/100 != 2 {
			trouble.status, trouble.message = status, body
			p.config.Log.WarnContext(ctx, "adapter refused by the container", "component", c.name, "status", status)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.faults, c.name)
	if trouble != (defect{}) {
		p.faults[c.name] = trouble
	}
	return nil
}

// running gives a base's container once it has started.
func (p *Platform) running(ctx context.Context, name string) (Container, error) {
	p.mu.Lock()
	b := p.bases[name]
	p.mu.Unlock()
	if b == nil {
		return nil, lora.Errorf(lora.Unavailable, "The base inference component %s is not running.", name)
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-b.ready:
	}
	if b.err != nil {
		return nil, lora.Wrap(b.err, lora.Unavailable, "The base inference component %s did not start.", name)
	}
	return b.container, nil
}

// call sends a request without a body to a container, as the platform itself does.
func call(ctx context.Context, container Container, method, target string) (status int, body string) {
	r, err := http.NewRequestWithContext(ctx, method, "http://container"+target, http.NoBody)
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	w := &kept{header: http.Header{}}
	if broken := serve(container, w, r); broken != nil {
		return http.StatusInternalServerError, broken.Error()
	}
	return w.code(), w.body.String()
}

// kept is an answer held in memory.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header gives the answer's headers.
func (k *kept) Header() http.Header { return k.header }

// WriteHeader keeps the first status.
func (k *kept) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

// Write keeps the body.
func (k *kept) Write(p []byte) (int, error) {
	k.WriteHeader(http.StatusOK)
	return k.body.Write(p)
}

func (k *kept) code() int {
	if k.status == 0 {
		return http.StatusOK
	}
	return k.status
}

var _ io.Writer = (*kept)(nil)

// remove takes a component out of service and forgets it.
func (p *Platform) remove(ctx context.Context, c componentRow) {
	if !p.pause(ctx) {
		return
	}
	p.brought(ctx, c.name)
	log := p.config.Log.With("component", c.name)
	if c.base == "" {
		p.stopBase(ctx, c)
	} else if container, err := p.running(ctx, c.base); err == nil {
		if status, _ := call(ctx, container, http.MethodDelete, "/adapters/"+url.PathEscape(c.name)); status/100 != 2 {
			log.InfoContext(ctx, "the container did not know the adapter", "status", status)
		}
	}
	if ctx.Err() != nil {
		return
	}
	dir := p.adapterDir(c)
	if c.base == "" {
		dir = p.modelDir(c)
	}
	p.mu.Lock()
	delete(p.faults, c.name)
	p.mu.Unlock()
	err := errors.Join(os.RemoveAll(dir), p.store.drop(ctx, "sm_component", c.name, p.arn("inference-component", c.name)))
	if err != nil {
		log.ErrorContext(ctx, "component not deleted", "err", err)
	}
}

// stopBase closes a base's container. When the platform stops meanwhile, the container stays for Close to find.
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
	if b.container == nil {
		return
	}
	if err := b.container.Close(); err != nil {
		p.config.Log.WarnContext(ctx, "container not closed", "component", c.name, "err", err)
	}
}

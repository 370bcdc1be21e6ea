package sagemaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"loradeck/internal/lora"
)

// base is a base component's container on its way or running. Whoever needs it waits for ready.
type base struct {
	ready     chan struct{} // closed when container or err is set
	container Container
	err       error
	dir       string // the model's files

	// Guarded by Platform.mu.
	users int           // requests that it answers
	idle  chan struct{} // closed when the last of them is answered, where somebody waits for that
}

// up reports whether the container runs.
func (b *base) up() bool {
	select {
	case <-b.ready:
		return b.container != nil
	default:
		return false
	}
}

// close ends the container, if it ever ran.
func (b *base) close() error {
	if !b.up() {
		return nil
	}
	return b.container.Close()
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

// running gives the container that runs for a base, once it has started.
func (p *Platform) running(ctx context.Context, name string) (*base, error) {
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
	return b, nil
}

// runs reports whether a base has a container that runs.
func (p *Platform) runs(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bases[name]
	return b != nil && b.up()
}

// turn is a base's container as a request meets it: the one that runs when the request comes, which is held until the request
// has been answered. During an update one request may meet the old container and the next the new one.
type turn struct {
	platform *Platform
	base     string
}

// ServeHTTP lets the container answer.
func (t turn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := t.platform
	p.mu.Lock()
	b := p.bases[t.base]
	up := b != nil && b.up()
	if up {
		b.users++
	}
	p.mu.Unlock()
	if !up { // it was stopped since the request was routed
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "The container has stopped.")
		return
	}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if b.users--; b.users == 0 && b.idle != nil {
			close(b.idle)
			b.idle = nil
		}
	}()
	b.container.ServeHTTP(w, r)
}

// retire closes a container that no new request meets any more, after it has answered those it has:
// they last as long as a stream at most.
func (p *Platform) retire(ctx context.Context, name string, b *base) {
	p.mu.Lock()
	if b.users > 0 {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	p.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-time.After(p.config.StreamWithin):
		case <-ctx.Done():
		}
	}
	if err := errors.Join(b.close(), os.RemoveAll(b.dir)); err != nil {
		p.config.Log.WarnContext(ctx, "container not closed", "component", name, "err", err)
	}
}

// start fetches a model and starts a container on it: one that was in service before a restart, or a new one.
func (p *Platform) start(ctx context.Context, b *base, c componentRow, shape componentShape, before bool) error {
	defer close(b.ready)
	b.dir = p.scratch("model", c.name)
	if b.container, b.err = p.runModel(ctx, c, shape, b.dir, before); b.err != nil {
		b.err = errors.Join(b.err, os.RemoveAll(b.dir)) // nobody reads there
	}
	return b.err
}

func (p *Platform) runModel(ctx context.Context, c componentRow, shape componentShape, dir string, before bool) (_ Container, err error) {
	defer func() { // an engine that cannot take a model must not take the platform with it
		if broken := recover(); broken != nil {
			err = lora.Wrap(fmt.Errorf("container panicked: %v\n%s", broken, debug.Stack()), lora.Unavailable, "The container ended while it started. The log has the details.")
		}
	}()
	if shape.Specification == nil {
		return nil, fmt.Errorf("component %s has no specification", c.name)
	}
	container, err := p.program(ctx, *shape.Specification)
	if err != nil {
		return nil, err
	}
	if err := p.fetchModel(ctx, container, dir); err != nil {
		return nil, err
	}
	return p.config.Run(ctx, ContainerSpec{Name: c.name, ModelDir: dir, Image: container.Image, Environment: container.Environment, InService: before})
}

// program is what a base component runs: its own container, or that of its model.
func (p *Platform) program(ctx context.Context, s specification) (containerShape, error) {
	if s.Container != nil {
		return containerShape{Image: s.Container.Image, ModelDataUrl: s.Container.ArtifactUrl, Environment: s.Container.Environment}, nil
	}
	var model modelShape
	var known *apiError
	if _, err := p.find(ctx, "sm_model", "model", "model", s.ModelName, &model); errors.As(err, &known) {
		return containerShape{}, lora.Wrap(err, lora.NotFound, "The model %s is no longer there.", s.ModelName)
	} else if err != nil {
		return containerShape{}, err
	}
	return model.containers()[0], nil
}

// scratch names a directory that nothing else uses, nor did before a restart: a vLLM behind the platform that ran on may still
// have an adapter from there. What lies in scratch is made again at every start.
func (p *Platform) scratch(kind, name string) string {
	return filepath.Join(p.config.Dir, fmt.Sprintf("%s-%s-%d", kind, strings.ToLower(name), p.made.Add(1)))
}

// roster is held while adapters are loaded into a base's container or taken out of it, and while another container takes its
// place: whoever loads then finds the one that stays.
type roster struct {
	sync.Mutex
	users int // those who hold it or wait for it; guarded by Platform.mu
}

// hold takes a base's roster. It lasts as long as somebody holds it or waits for it.
func (p *Platform) hold(base string) (release func()) {
	p.mu.Lock()
	r := p.rosters[base]
	if r == nil {
		r = &roster{}
		p.rosters[base] = r
	}
	r.users++
	p.mu.Unlock()
	r.Lock()
	return func() {
		r.Unlock()
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.users--; r.users == 0 {
			delete(p.rosters, base)
		}
	}
}

// call sends a request without a body to a container, as the platform itself does.
func call(ctx context.Context, container Container, method, target string) (status int, body string) {
	r, err := http.NewRequestWithContext(ctx, method, "http://container"+target, http.NoBody)
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newKept(cancel)
	if broken := serve(container, w, r.WithContext(ctx)); broken != nil {
		return http.StatusInternalServerError, broken.Error()
	}
	return w.code(), w.body.String()
}

// errTooLong is met by a container whose answer is longer than InvokeEndpoint gives one.
var errTooLong = errors.New("container answers too much")

// kept is an answer held in memory, as long as one may be. A good answer that is longer is ended by cancel, with errTooLong; of a
// refusal, the rest is dropped: only its beginning is told.
type kept struct {
	header http.Header
	cancel context.CancelCauseFunc
	status int
	body   bytes.Buffer
}

func newKept(cancel context.CancelCauseFunc) *kept {
	return &kept{header: http.Header{}, cancel: cancel}
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
	if k.body.Len()+len(p) > maxInvocation && k.status/100 == 2 {
		k.cancel(errTooLong)
		return 0, errTooLong
	}
	k.body.Write(p[:min(len(p), maxInvocation-k.body.Len())])
	return len(p), nil
}

func (k *kept) code() int {
	if k.status == 0 {
		return http.StatusOK
	}
	return k.status
}

var _ io.Writer = (*kept)(nil)

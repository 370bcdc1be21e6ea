package vllm

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"loradeck/internal/lora"
)

// adapterHeader names the adapter of an invocation, as SageMaker tells the container.
const adapterHeader = "X-Amzn-Sagemaker-Adapter-Identifier"

// Container is a server in the place of a container. It is safe for concurrent use.
type Container struct {
	server Server
	log    *slog.Logger
	now    func() time.Time

	asking singleflight.Group // of what the server is: one question for all who wait for the answer

	mu     sync.Mutex        // guards what follows
	about  *About            // nil until it has been asked, and again once it has been out of reach
	wanted map[string]string // directories by adapter, as vLLM sees them: what it has to have
	has    []string          // the adapters that it listed last
	until  time.Time         // when that is too old to be believed; zero once it may have changed
	moves  int               // counts what may have changed it
}

// Start takes a server for a component of the given name. Unless the component was in service before, the server must answer:
// then a base that cannot serve does not come into service. One that was is taken up whenever the server answers.
func Start(ctx context.Context, server Server, name string, inService bool, log *slog.Logger) (*Container, error) {
	c := &Container{server: server, log: log.With("component", name), now: time.Now, wanted: map[string]string{}}
	if _, err := c.known(ctx); err != nil && !inService {
		return nil, err
	} else if err != nil {
		c.log.WarnContext(ctx, "not there yet", "err", err)
	}
	return c, nil
}

// Close lets go of the server, which runs on.
func (c *Container) Close() error { return nil }

// known gives what the server said of itself, asking when it has not yet. Whoever stops waiting leaves the question to the others.
func (c *Container) known(ctx context.Context) (About, error) {
	c.mu.Lock()
	about := c.about
	c.mu.Unlock()
	if about != nil {
		return *about, nil
	}
	lasting := context.WithoutCancel(ctx)
	select {
	case <-ctx.Done():
		return About{}, context.Cause(ctx)
	case asked := <-c.asking.DoChan("", func() (any, error) { return c.ask(lasting) }):
		about, _ := asked.Val.(About)
		return about, asked.Err
	}
}

// ask asks the server what it is.
func (c *Container) ask(ctx context.Context) (About, error) {
	asked, err := c.server.Ask(ctx)
	if err != nil {
		return About{}, err
	}
	c.log.InfoContext(ctx, "vLLM answers", "url", c.server.URL, "version", asked.Version, "model", asked.Model, "contract", asked.Contract, "loads adapters", asked.Loads)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.about = &asked
	return asked, nil
}

// lost forgets what a server said: whoever answers next may be another.
func (c *Container) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.about = nil
	c.moved()
}

// ServeHTTP passes a request on. The platform sends POST and DELETE /adapters, /invocations and /ping.
func (c *Container) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, named := strings.CutPrefix(r.URL.Path, "/adapters/")
	switch {
	case r.URL.Path == "/adapters" && r.Method == http.MethodPost:
		query := r.URL.Query()
		c.write(w, r, func() (answer, error) { return c.register(r.Context(), query.Get("name"), query.Get("src")) })
	case named && r.Method == http.MethodDelete:
		c.write(w, r, func() (answer, error) { return c.unregister(r.Context(), name) })
	case r.URL.Path == "/invocations" && r.Method == http.MethodPost:
		c.invoke(w, r)
	default:
		c.write(w, r, func() (answer, error) { return c.server.send(r.Context(), r.Method, r.URL.RequestURI(), "", nil) })
	}
}

// write answers with what the server said, or that it did not.
func (c *Container) write(w http.ResponseWriter, r *http.Request, ask func() (answer, error)) {
	got, err := ask()
	if err != nil {
		c.silent(w, r, err)
		return
	}
	if got.kind != "" {
		w.Header().Set("Content-Type", got.kind)
	}
	w.WriteHeader(got.status)
	w.Write(got.body)
}

// silent answers for a server that does not.
func (c *Container) silent(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the caller has gone
	}
	c.lost()
	c.log.WarnContext(r.Context(), "no answer", "err", err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, lora.Message(err))
}

// Package handlers is where HTTP comes in and HTML goes out: one file per page noun, every route in routes.go, every error
// through errors.go, every live update through live.go. Programs get JSON (api*.go, offers.go, tus.go) as openapi.json says.
//
// A handler parses, makes one call, and renders. It speaks to no place, holds no SQL and no rule of what a job does; what a
// word on the screen means is settled in lora, how it looks in templates. Nothing that matters is kept here: whatever a page
// shows can be read again from the rooms below, by any number of browsers.
package handlers

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"

	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/intake"
	"loradeck/internal/jobs"
	"loradeck/internal/levers"
	"loradeck/internal/live"
	"loradeck/internal/people"
	"loradeck/web/static"
)

// Deps are the rooms the pages look into.
type Deps struct {
	DB      *db.DB
	Hub     *live.Hub
	Jobs    *jobs.Jobs
	Desk    *intake.Desk
	Board   *compare.Board
	Gate    *people.Gate
	Levers  *levers.Panel // of the local place; nil without one
	Samples []Sample
	Hosts   []string // names besides loopback's under which the dashboard may be reached, without port
	Version string   // of the program, for /healthz
	Log     *slog.Logger
	Now     func() time.Time // time.Now when nil

	// BehindProxy says that a proxy speaks TLS to the browsers, so that cookies may be told to need it.
	BehindProxy bool
}

// Sample is an adapter that comes with the program and can be deployed with one press.
type Sample struct {
	Name    string // also its adapter's name
	Title   string
	Blurb   string
	Files   fs.FS
	Prompts []string
}

// Handlers serves the dashboard. Close it before the program ends.
type Handlers struct {
	Deps
	echo   *echo.Echo
	static *static.Files

	closing  chan struct{}
	sockets  sync.WaitGroup
	stages   stages
	upgrader websocket.Upgrader // its default origin check stands: same host only

	mu     sync.Mutex // guards closed: no socket is counted once Close waits for them
	closed bool
}

// New makes the dashboard's handler. It panics when the build lacks a file that pages load.
func New(deps Deps) *Handlers {
	files, err := static.Load()
	if err != nil {
		panic(err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	h := &Handlers{Deps: deps, echo: echo.New(), static: files, closing: make(chan struct{}), stages: stages{byKey: map[string]*stage{}}}
	h.upgrader = websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 4 << 10, WriteBufferPool: &sync.Pool{}}
	h.echo.HideBanner, h.echo.HidePort = true, true
	h.echo.IPExtractor = echo.ExtractIPDirect() // X-Forwarded-For is anybody's word
	h.echo.HTTPErrorHandler = h.fail
	h.echo.Use(h.recovered, h.headers, h.guard)
	h.routes()
	return h
}

// ServeHTTP answers one request.
func (h *Handlers) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.echo.ServeHTTP(w, r) }

// enter counts a socket, unless the dashboard is closing. Whoever entered calls h.sockets.Done.
func (h *Handlers) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.sockets.Add(1)
	return true
}

// Close tells every open socket to come back later (1012, so that browsers reconnect) and waits until they are closed or ctx
// ends. It may be called more than once.
func (h *Handlers) Close(ctx context.Context) error {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.closing)
	}
	h.mu.Unlock()
	closed := make(chan struct{})
	go func() {
		h.sockets.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

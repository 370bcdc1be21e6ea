package handlers

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"

	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// Times of a socket.
const (
	writeLimit = 10 * time.Second      // a reader that takes nothing for so long is given up
	pingEvery  = 20 * time.Second      // shorter than the idle limits of common proxies
	pongLimit  = 3 * pingEvery         // two pings may get lost
	pace       = 60 * time.Millisecond // between two frames: an answer can grow by hundreds of tokens a second
	clockEvery = 1 * time.Second       // times on a moving job go on
	mostRead   = 1 << 10               // bytes; pages send nothing over their socket
	ageEvery   = 10 * time.Second      // ages on the deck go on
)

// region is a part of a page that stays true by itself: what it depends on, and how it is drawn.
type region struct {
	id    string
	keys  []string
	every time.Duration // redrawn at least so often; 0 for never
	draw  func(ctx context.Context, m *moment) (templ.Component, error)
}

// moment is what was read for one message: its regions agree with each other, and nothing is read twice.
type moment struct {
	run    *templates.Run
	upload *templates.Upload
}

// live is the page's socket. It sends every region in full first, on each connection anew, then the ones that changed. What a
// page keeps true is shared by all sockets that look at it; the tray by all there are.
func (h *Handlers) live(c echo.Context) error {
	regions, err := h.regions(c)
	if err != nil {
		return err
	}
	if !h.enter() {
		return lora.Errorf(lora.Unavailable, "The dashboard is stopping. Try again in a moment.")
	}
	defer h.sockets.Done()
	conn, err := h.upgrader.Upgrade(c.Response(), c.Request(), nil)
	if err != nil {
		return nil // the upgrader has answered
	}
	defer conn.Close()
	// Handlers' context ends with the request only when the server says so; a socket lives until it or the program ends.
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Request().Context()))
	defer cancel()
	go drain(conn, cancel)
	s := &socket{conn: conn, wake: make(chan struct{}, 1)}
	s.join(h, "tray", []region{h.trayRegion()})
	if len(regions) > 0 {
		s.join(h, c.QueryParams().Encode(), regions)
	}
	defer s.part(h)
	code, err := s.feed(ctx, h)
	if err != nil && ctx.Err() == nil {
		h.Log.WarnContext(ctx, "socket closed early", "page", c.QueryParam("page"), "err", err)
	}
	deadline := time.Now().Add(time.Second)
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), deadline) // the other side may have gone
	return nil
}

// drain reads until the other side has gone: pings, pongs and closes are handled by reading.
func drain(conn *websocket.Conn, gone context.CancelFunc) {
	defer gone()
	conn.SetReadLimit(mostRead)
	extend := func(string) error { return conn.SetReadDeadline(time.Now().Add(pongLimit)) }
	conn.SetPongHandler(extend)
	if extend("") != nil {
		return
	}
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}

// rest waits, but no longer than ctx.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// socket is one connection: the stages it looks at, and how far it has seen each.
type socket struct {
	conn   *websocket.Conn
	wake   chan struct{}
	stages []*stage
	seen   []uint64
}

// look makes the socket look whether there is something new. It never blocks.
func (s *socket) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *socket) join(h *Handlers, key string, regions []region) {
	s.stages = append(s.stages, h.stages.enter(h, key, regions, s))
	s.seen = append(s.seen, 0)
}

func (s *socket) part(h *Handlers) {
	for _, st := range s.stages {
		h.stages.leave(st, s)
	}
}

// feed sends the whole picture and then what changes, until the socket, the program or a stage ends. It gives the code to
// close with.
func (s *socket) feed(ctx context.Context, h *Handlers) (code int, err error) {
	if err := s.greet(); err != nil {
		return websocket.CloseInternalServerErr, err
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return websocket.CloseNormalClosure, nil
		case <-h.closing:
			return websocket.CloseServiceRestart, nil
		case <-ping.C:
			if err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeLimit)); err != nil {
				return websocket.CloseNormalClosure, err
			}
		case <-s.wake:
			if err := s.catchUp(); err != nil {
				return websocket.CloseInternalServerErr, err
			}
		}
	}
}

// greet sends everything in one message.
func (s *socket) greet() error {
	var whole strings.Builder
	for i, st := range s.stages {
		html, change, err := st.all()
		if err != nil {
			return err
		}
		whole.WriteString(html)
		s.seen[i] = change
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(whole.String())); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// catchUp sends what each stage has that the socket has not seen.
func (s *socket) catchUp() error {
	for i, st := range s.stages {
		message, change, err := st.since(s.seen[i])
		if err != nil {
			return err
		}
		if s.seen[i] = change; message == nil {
			continue
		}
		if err := s.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
		if err := s.conn.WritePreparedMessage(message); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
	return nil
}

// trayRegion is the tray, which is on every page.
func (h *Handlers) trayRegion() region {
	return region{id: templates.IDTray, keys: []string{live.Jobs, live.Uploads}, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
		t, err := h.tray(ctx)
		return templates.TrayJobs(t), err
	}}
}

// regions gives what the page of a socket keeps true, besides the tray.
func (h *Handlers) regions(c echo.Context) ([]region, error) {
	icons := h.static.Assets().Icons
	switch page := c.QueryParam("page"); page {
	case "":
		return nil, nil
	case "deck":
		return []region{{id: templates.IDDeck, keys: []string{live.Deck, live.Faults}, every: ageEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.deckView(ctx)
			return templates.DeckBody(view), err
		}}}, nil
	case "local":
		return h.localRegions(c.Request().Context())
	case "jobs":
		filter := jobFilter(c.QueryParams())
		return []region{{id: templates.IDJobs, keys: []string{live.Jobs}, every: clockEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.jobsView(ctx, filter, math.MaxInt64)
			return templates.JobsBody(view), err
		}}}, nil
	case "upload":
		return h.uploadRegions(c)
	case "uploads":
		return []region{{id: templates.IDUploads, keys: []string{live.Uploads}, every: ageEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.uploadsView(ctx)
			return templates.UploadsBody(view), err
		}}}, nil
	case "adapter":
		return h.adapterRegions(c)
	case "job", "comparison":
		id, err := strconv.ParseInt(c.QueryParam("id"), 10, 64)
		if err != nil {
			return nil, lora.Wrap(err, lora.Invalid, "This address names no %s.", page)
		}
		if page == "comparison" {
			return h.comparisonRegions(c.Request().Context(), icons, id)
		}
		if _, err := h.jobView(c.Request().Context(), id); err != nil {
			return nil, err
		}
		return []region{{id: templates.IDJob, keys: []string{live.Job(id)}, every: clockEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.jobView(ctx, id)
			return templates.JobBody(view), err
		}}}, nil
	}
	return nil, lora.Errorf(lora.NotFound, "No page is called %q.", c.QueryParam("page"))
}

// uploadRegions are what has arrived with its checks, and whether it can be deployed. They follow the choices in the address;
// the form itself is never drawn again under somebody's hands.
func (h *Handlers) uploadRegions(c echo.Context) ([]region, error) {
	id, err := strconv.ParseInt(c.QueryParam("id"), 10, 64)
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "This address names no upload.")
	}
	form := maps.Clone(c.QueryParams()) // the request's own end with it
	if _, err := h.uploadView(c.Request().Context(), id, form); err != nil {
		return nil, err
	}
	keys := []string{live.Upload(id), live.Deck}
	view := func(ctx context.Context, m *moment) (templates.Upload, error) {
		if m.upload != nil {
			return *m.upload, nil
		}
		u, err := h.uploadView(ctx, id, form)
		m.upload = &u
		return u, err
	}
	return []region{
		{id: templates.IDUpload, keys: keys, draw: func(ctx context.Context, m *moment) (templ.Component, error) {
			u, err := view(ctx, m)
			return templates.UploadBody(u), err
		}},
		{id: templates.IDGate, keys: keys, draw: func(ctx context.Context, m *moment) (templ.Component, error) {
			u, err := view(ctx, m)
			return templates.GateBody(u.Gate), err
		}},
	}, nil
}

// comparisonRegions are a comparison's head and each of its panes. A pane is drawn again when the base's text grows too: it
// is read against it.
func (h *Handlers) comparisonRegions(ctx context.Context, icons string, id int64) ([]region, error) {
	now, err := h.Board.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	view := func(ctx context.Context, m *moment) (templates.Run, error) {
		if m.run != nil {
			return *m.run, nil
		}
		c, err := h.Board.Find(ctx, id)
		if err != nil {
			return templates.Run{}, err
		}
		run, err := h.runView(ctx, c)
		m.run = &run
		return run, err
	}
	found := []region{{id: templates.IDRun, keys: []string{live.Comparison(id)}, draw: func(ctx context.Context, m *moment) (templ.Component, error) {
		run, err := view(ctx, m)
		return templates.RunHead(icons, run), err
	}}}
	for n := range now.Panes {
		keys := []string{live.Comparison(id), live.Pane(id, n), live.Pane(id, 0)}
		found = append(found, region{id: templates.IDPane(n), keys: keys, draw: func(ctx context.Context, m *moment) (templ.Component, error) {
			run, err := view(ctx, m)
			if err != nil {
				return nil, err
			}
			return templates.PaneView(icons, run.Panes[n]), nil
		}})
	}
	return found, nil
}

var _ http.Handler = (*Handlers)(nil)

package handlers

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
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

// live is the page's socket. It sends every region in full first, on each connection anew, then the ones that changed.
func (h *Handlers) live(c echo.Context) error {
	regions, err := h.regions(c)
	if err != nil {
		return err
	}
	upgrader := websocket.Upgrader{WriteBufferSize: 4 << 10} // its default origin check stands: same host only
	if !h.enter() {
		return lora.Errorf(lora.Unavailable, "The dashboard is stopping. Try again in a moment.")
	}
	defer h.sockets.Done()
	conn, err := upgrader.Upgrade(c.Response(), c.Request(), nil)
	if err != nil {
		return nil // the upgrader has answered
	}
	defer conn.Close()
	// Handlers' context ends with the request only when the server says so; a socket lives until it or the program ends.
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Request().Context()))
	defer cancel()
	go drain(conn, cancel)
	s := &socket{conn: conn, last: map[string]string{}}
	code, err := h.feed(ctx, s, regions)
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

// feed keeps a socket's regions true until it, the program, or the hub ends. It gives the code to close with.
func (h *Handlers) feed(ctx context.Context, s *socket, regions []region) (code int, err error) {
	var keys []string
	every := pingEvery
	for _, r := range regions {
		keys = append(keys, r.keys...)
		if r.every > 0 {
			every = min(every, r.every)
		}
	}
	watch := h.Hub.Watch(keys...) // before the first picture, so that nothing is missed
	defer watch.Close()
	clock, ping := time.NewTicker(every), time.NewTicker(pingEvery)
	defer clock.Stop()
	defer ping.Stop()
	if err := s.send(ctx, regions); err != nil {
		return websocket.CloseInternalServerErr, err
	}
	for {
		stale := regions[:0:0]
		select {
		case <-ctx.Done():
			return websocket.CloseNormalClosure, nil
		case <-h.closing:
			return websocket.CloseServiceRestart, nil
		case <-watch.Done():
			return websocket.CloseServiceRestart, nil
		case <-ping.C:
			if err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeLimit)); err != nil {
				return websocket.CloseNormalClosure, err
			}
		case <-clock.C:
			stale = slices.DeleteFunc(slices.Clone(regions), func(r region) bool { return r.every == 0 })
		case <-watch.Wake():
			dirty := watch.Take()
			stale = slices.DeleteFunc(slices.Clone(regions), func(r region) bool {
				return !slices.ContainsFunc(r.keys, func(k string) bool { return slices.Contains(dirty, k) })
			})
		}
		if len(stale) == 0 {
			continue
		}
		if err := s.send(ctx, stale); err != nil {
			return websocket.CloseInternalServerErr, err
		}
		rest(ctx, pace)
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

// socket is one connection and what it was last sent, region by region.
type socket struct {
	conn *websocket.Conn
	last map[string]string
}

// send draws the regions again and sends those that look different, in one message.
func (s *socket) send(ctx context.Context, regions []region) error {
	var message bytes.Buffer
	var now moment
	for _, r := range regions {
		component, err := r.draw(ctx, &now)
		if err != nil {
			return fmt.Errorf("draw %s: %w", r.id, err)
		}
		var drawn bytes.Buffer
		if err := templates.Frame(r.id).Render(templ.WithChildren(ctx, component), &drawn); err != nil {
			return fmt.Errorf("render %s: %w", r.id, err)
		}
		if s.last[r.id] == drawn.String() {
			continue
		}
		s.last[r.id] = drawn.String()
		message.Write(drawn.Bytes())
	}
	if message.Len() == 0 {
		return nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if err := s.conn.WriteMessage(websocket.TextMessage, message.Bytes()); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// regions gives what the page of a socket keeps true. The tray is on every page.
func (h *Handlers) regions(c echo.Context) ([]region, error) {
	icons := h.static.Assets().Icons
	found := []region{{id: templates.IDTray, keys: []string{live.Jobs, live.Uploads}, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
		t, err := h.tray(ctx)
		return templates.TrayJobs(t), err
	}}}
	switch page := c.QueryParam("page"); page {
	case "":
		return found, nil
	case "deck":
		return append(found, region{id: templates.IDDeck, keys: []string{live.Deck}, every: ageEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.deckView(ctx)
			return templates.DeckBody(view), err
		}}), nil
	case "jobs":
		filter := jobFilter(c.QueryParams())
		return append(found, region{id: templates.IDJobs, keys: []string{live.Jobs}, every: clockEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.jobsView(ctx, filter, math.MaxInt64)
			return templates.JobsBody(view), err
		}}), nil
	case "upload":
		return h.uploadRegions(c, found)
	case "uploads":
		return append(found, region{id: templates.IDUploads, keys: []string{live.Uploads}, every: ageEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.uploadsView(ctx)
			return templates.UploadsBody(view), err
		}}), nil
	case "job", "comparison":
		id, err := strconv.ParseInt(c.QueryParam("id"), 10, 64)
		if err != nil {
			return nil, lora.Wrap(err, lora.Invalid, "This address names no %s.", page)
		}
		if page == "comparison" {
			return h.comparisonRegions(c.Request().Context(), icons, id, found)
		}
		if _, err := h.jobView(c.Request().Context(), id); err != nil {
			return nil, err
		}
		return append(found, region{id: templates.IDJob, keys: []string{live.Job(id), live.Deck}, every: clockEvery, draw: func(ctx context.Context, _ *moment) (templ.Component, error) {
			view, err := h.jobView(ctx, id)
			return templates.JobBody(view), err
		}}), nil
	}
	return nil, lora.Errorf(lora.NotFound, "No page is called %q.", c.QueryParam("page"))
}

// uploadRegions are what has arrived with its checks, and whether it can be deployed. They follow the choices in the address;
// the form itself is never drawn again under somebody's hands.
func (h *Handlers) uploadRegions(c echo.Context, found []region) ([]region, error) {
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
	return append(found,
		region{id: templates.IDUpload, keys: keys, draw: func(ctx context.Context, m *moment) (templ.Component, error) {
			u, err := view(ctx, m)
			return templates.UploadBody(u), err
		}},
		region{id: templates.IDGate, keys: keys, draw: func(ctx context.Context, m *moment) (templ.Component, error) {
			u, err := view(ctx, m)
			return templates.GateBody(u.Gate), err
		}}), nil
}

// comparisonRegions are a comparison's head and each of its panes. A pane is drawn again when the base's text grows too: it
// is read against it.
func (h *Handlers) comparisonRegions(ctx context.Context, icons string, id int64, found []region) ([]region, error) {
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
	found = append(found, region{id: templates.IDRun, keys: []string{live.Comparison(id)}, draw: func(ctx context.Context, m *moment) (templ.Component, error) {
		run, err := view(ctx, m)
		return templates.RunHead(icons, run), err
	}})
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

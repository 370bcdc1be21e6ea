package container

import (
	"context"
	"errors"
	"net/http"
)

// events is an answer as server-sent events.
type events struct {
	w http.ResponseWriter
}

// openEvents sends the head of the answer; from here on errors travel as events.
func openEvents(w http.ResponseWriter) *events {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	return &events{w}
}

// send writes one event and pushes it out.
func (e *events) send(value any) error {
	body, err := encode(value)
	if err != nil {
		return err
	}
	return e.raw(string(body))
}

func (e *events) raw(data string) error {
	if _, err := e.w.Write([]byte("data: " + data + "\n\n")); err != nil {
		return err
	}
	if err := http.NewResponseController(e.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// endStream ends the stream: with an error event when something failed, and always with [DONE]. A client that has gone is
// told nothing.
func (c *Container) endStream(ctx context.Context, e *events, x *exchange, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil && e.send(c.failed(ctx, x, err).body()) != nil {
		return
	}
	_ = e.raw("[DONE]")
}

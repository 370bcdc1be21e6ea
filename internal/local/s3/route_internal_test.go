package s3

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// endless is a body that goes on for ever.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}

func TestTheRestOfARefusedBodyIsReadAsFarAsItHelps(t *testing.T) {
	t.Parallel()
	body := &endless{}
	w := httptest.NewRecorder()
	(&Store{log: slog.New(slog.DiscardHandler)}).refuse(w, httptest.NewRequest(http.MethodPut, "/bucket/key", body), errors.New("broken"))
	if w.Code != http.StatusInternalServerError || body.read < maxDrained || body.read > maxDrained+1<<20 {
		t.Errorf("answered %d after %d bytes", w.Code, body.read)
	}
}

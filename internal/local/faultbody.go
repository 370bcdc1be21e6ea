package local

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"loradeck/internal/local/fault"
)

const (
	slowChunk = 16 << 10
	slowPause = 250 * time.Millisecond // after each chunk: 64 KiB a second
)

// amissS3 plays the faults of S3's bodies. The context of a slow request ends its pauses.
func (s *Server) amissS3(w http.ResponseWriter, r *http.Request, take func(fault.Kind) bool) (http.ResponseWriter, *http.Request, bool) {
	if take(fault.CutS3) {
		if r.ContentLength > 0 {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			panic(http.ErrAbortHandler) // drops the connection; nothing was stored
		}
		w = &cutWriter{ResponseWriter: w}
	}
	if take(fault.SlowS3) {
		slow := slowly{r.Context()}
		w = slowWriter{w, slow}
		r = r.WithContext(r.Context())
		r.Body = rest{slowReader{r.Body, slow}, r.Body}
	}
	return w, r, false
}

// cutWriter drops the connection when half of the announced body is written, or at the first byte of one without a length.
type cutWriter struct {
	http.ResponseWriter
	begun bool
	left  int64
}

// Write passes on what lies before the cut.
func (w *cutWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		length, _ := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64) // none is cut at once
		w.left = length / 2
	}
	if int64(len(p)) <= w.left {
		w.left -= int64(len(p))
		return w.ResponseWriter.Write(p)
	}
	_, _ = w.ResponseWriter.Write(p[:w.left])
	_ = http.NewResponseController(w.ResponseWriter).Flush() // what was written is to arrive
	panic(http.ErrAbortHandler)
}

// slowly waits between chunks until whoever asked has gone.
type slowly struct{ ctx context.Context }

func (s slowly) wait() error {
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-time.After(slowPause):
		return nil
	}
}

type slowReader struct {
	io.Reader
	slowly
}

// Read gives a chunk after a pause.
func (r slowReader) Read(p []byte) (int, error) {
	if err := r.wait(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p[:min(len(p), slowChunk)])
}

type slowWriter struct {
	http.ResponseWriter
	slowly
}

// Write sends chunks with a pause after each.
func (w slowWriter) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		n, err := w.ResponseWriter.Write(p[sent:min(len(p), sent+slowChunk)])
		if sent += n; err != nil {
			return sent, err
		}
		_ = http.NewResponseController(w.ResponseWriter).Flush() // slow, not held back
		if err := w.wait(); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

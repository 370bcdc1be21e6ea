package sagemaker

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

const (
	maxPart      = 1 << 20 // bytes of one PayloadPart; the framing would allow 16 MiB
	maxCut       = 7       // bytes of one that is cut small on purpose
	partsOfFault = 2       // parts that are sent before a stream breaks on purpose
)

// errSealed is what a container meets that goes on writing when its answer is over.
var errSealed = errors.New("response stream is over")

// streamError is an exception event: an error for which the status came too late.
type streamError struct {
	kind    string
	payload string // JSON
}

// The exceptions of a response stream, in the words of the service model.
func streamBroken() *streamError {
	return &streamError{"ModelStreamError", `{"ErrorCode":"StreamBroken","Message":"The Transmission Control Protocol (TCP) connection between the client and the model was reset or closed."}`}
}

func streamTooLate() *streamError {
	return &streamError{"ModelStreamError", `{"ErrorCode":"ModelInvocationTimeExceeded","Message":"The model failed to finish sending the response within the timeout period allowed by Amazon SageMaker AI."}`}
}

func streamFailure() *streamError {
	return &streamError{"InternalStreamFailure", `{"Message":"The stream processing failed because of an unknown error, exception or failure. Try your request again."}`}
}

// eventWriter sends what a container writes as PayloadPart events, cut where it flushes (facts §1b.4). An answer that is not
// 2xx is kept instead. The container may go on writing when the answer is over: it is then told so.
type eventWriter struct {
	to      http.ResponseWriter
	header  http.Header
	encoder *eventstream.Encoder
	knife   *rand.Rand   // cuts parts small and beside the flushes; nil is not at all
	breaks  *streamError // ends the stream after its first parts; nil is not at all

	mu      sync.Mutex // guards what follows, and to
	sealed  bool       // nothing more is sent
	status  int
	sent    int          // parts
	pending bytes.Buffer // written and not yet sent
	refusal bytes.Buffer // as long as an answer may be
}

func newEventWriter(to http.ResponseWriter) *eventWriter {
	return &eventWriter{to: to, header: http.Header{}, encoder: eventstream.NewEncoder()}
}

// Header gives the container's headers.
func (e *eventWriter) Header() http.Header { return e.header }

// WriteHeader begins the stream of a good answer.
func (e *eventWriter) WriteHeader(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin(status)
}

func (e *eventWriter) begin(status int) {
	if e.sealed || e.status != 0 {
		return
	}
	e.status = status
	if status/100 != 2 {
		return
	}
	e.to.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	if kind := e.header.Get("Content-Type"); kind != "" {
		e.to.Header().Set("X-Amzn-Sagemaker-Content-Type", kind)
	}
	if attributes := e.header.Get(attributesHeader); attributes != "" {
		e.to.Header().Set(attributesHeader, attributes)
	}
	e.to.WriteHeader(http.StatusOK)
}

// Write keeps what is written until it is flushed or too much for one event.
func (e *eventWriter) Write(part []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin(http.StatusOK)
	switch {
	case e.sealed:
		return 0, errSealed
	case e.status/100 != 2:
		e.refusal.Write(part[:min(len(part), maxInvocation-e.refusal.Len())])
		return len(part), nil
	}
	e.pending.Write(part)
	if e.pending.Len() < maxPart {
		return len(part), nil
	}
	return len(part), e.sendPending(false)
}

// FlushError sends what was written as one event, for http.ResponseController.
func (e *eventWriter) FlushError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin(http.StatusOK)
	switch {
	case e.sealed:
		return errSealed
	case e.status/100 != 2:
		return nil
	case e.pending.Len() == 0:
		return http.NewResponseController(e.to).Flush()
	}
	return e.sendPending(false)
}

// Flush is FlushError for containers that look for an http.Flusher.
func (e *eventWriter) Flush() { _ = e.FlushError() }

// finish ends the stream as the container's handler ended, and gives the status of the answer, 0 when there is none, with the
// body of one that is not 2xx.
func (e *eventWriter) finish(err error) (status int, refusal string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.begin(http.StatusOK) // an empty answer is a stream without parts
	}
	if e.sealed || e.status/100 != 2 {
		e.sealed = true
		return e.status, e.refusal.String()
	}
	_ = e.sendPending(true) // the caller has gone when this fails
	switch {
	case errors.Is(err, errTooLate):
		e.end(streamTooLate())
	case err != nil:
		e.end(streamBroken())
	}
	e.end(e.breaks) // of a stream with too few parts
	e.sealed = true
	return e.status, ""
}

// sendPending sends what was written. Where parts are cut small the last of it waits for what comes next, unless nothing
// does: a part then ends where no line does.
func (e *eventWriter) sendPending(last bool) error {
	for e.pending.Len() > 0 {
		size := maxPart
		if e.knife != nil {
			size = 1 + e.knife.IntN(maxCut)
			if !last && e.pending.Len() <= size {
				return nil
			}
		}
		if e.breaks != nil && e.sent == partsOfFault {
			e.end(e.breaks)
		}
		if e.sealed {
			return errSealed
		}
		e.sent++
		if err := e.send(e.pending.Next(size), "event", "event-type", "PayloadPart", "application/octet-stream"); err != nil {
			return err
		}
	}
	return nil
}

// end sends an exception, if there is one, as the last thing.
func (e *eventWriter) end(exception *streamError) {
	if exception == nil || e.sealed {
		return
	}
	e.sealed = true
	_ = e.send([]byte(exception.payload), "exception", "exception-type", exception.kind, "application/json") // the caller has gone when this fails
}

func (e *eventWriter) send(payload []byte, message, typeName, kind, content string) error {
	headers := eventstream.Headers{}
	headers.Set(":message-type", eventstream.StringValue(message))
	headers.Set(":"+typeName, eventstream.StringValue(kind))
	headers.Set(":content-type", eventstream.StringValue(content))
	if err := e.encoder.Encode(e.to, eventstream.Message{Headers: headers, Payload: payload}); err != nil {
		return err
	}
	return http.NewResponseController(e.to).Flush()
}

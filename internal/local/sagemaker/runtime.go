package sagemaker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"loradeck/internal/lora"
)

const (
	maxInvocation = 6 << 20  // bytes of a request body (facts §1b.2)
	maxDrained    = 64 << 20 // bytes read of a body that is too long, so that its sender gets to hear it
	maxPart       = 1 << 20  // bytes of one PayloadPart; the framing would allow 16 MiB
)

const (
	componentHeader = "X-Amzn-Sagemaker-Inference-Component"
	adapterHeader   = "X-Amzn-Sagemaker-Adapter-Identifier"
	variantHeader   = "X-Amzn-Invoked-Production-Variant"
)

// serveRuntime answers POST /endpoints/NAME/invocations and …/invocations-response-stream.
func (p *Platform) serveRuntime(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/endpoints/")
	name, action, cut := strings.Cut(rest, "/")
	name, unescapeErr := url.PathUnescape(name)
	stream := action == "invocations-response-stream"
	if !ok || !cut || unescapeErr != nil || r.Method != http.MethodPost || !stream && action != "invocations" {
		answerRuntimeError(w, http.StatusNotFound, "UnknownOperationException", map[string]any{})
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxInvocation+1))
	if len(body) > maxInvocation {
		io.CopyN(io.Discard, r.Body, maxDrained) // a caller that is still sending does not read the answer
		refuse(w, "Request body of more than %d bytes is not supported.", maxInvocation)
		return
	}
	if err != nil {
		return // the caller has gone
	}
	call, ok := p.route(w, r, name)
	if !ok {
		return
	}
	inner, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://container/invocations", bytes.NewReader(body))
	if err != nil {
		refuse(w, "The request cannot be passed on.")
		return
	}
	// Nothing else of the caller's headers reaches the container: a client cannot choose an adapter by header.
	inner.Header.Set("Content-Type", unlessEmpty(r.Header.Get("Content-Type"), "application/octet-stream"))
	accept := r.Header.Get("Accept")
	if stream {
		accept = r.Header.Get("X-Amzn-Sagemaker-Accept")
	}
	for header, value := range map[string]string{
		"Accept": accept, "X-Amzn-Sagemaker-Custom-Attributes": r.Header.Get("X-Amzn-Sagemaker-Custom-Attributes"),
		"X-Amzn-Sagemaker-Session-Id": r.Header.Get("X-Amzn-Sagemaker-Session-Id"), adapterHeader: call.adapter,
	} {
		if value != "" {
			inner.Header.Set(header, value)
		}
	}
	w.Header().Set(variantHeader, call.variant)
	if stream {
		p.invokeStream(w, inner, call)
	} else {
		p.invoke(w, inner, call)
	}
}

// routed is where an invocation goes.
type routed struct {
	container Container
	base      string
	adapter   string // "" for the base itself
	variant   string
}

// route finds the container of an invocation, or answers why there is none.
func (p *Platform) route(w http.ResponseWriter, r *http.Request, endpoint string) (routed, bool) {
	e, variants, found, err := p.invoked(r.Context(), endpoint)
	if err != nil {
		p.fail(w, r, err)
		return routed{}, false
	}
	if !found || e.status != inService {
		refuse(w, "Endpoint %s of account %s not found.", endpoint, p.config.Account)
		return routed{}, false
	}
	for _, v := range variants {
		if v.ModelName != "" {
			refuse(w, "Endpoint %s runs a model without inference components, which SageMaker does and the local platform does not.", endpoint)
			return routed{}, false
		}
	}
	name := r.Header.Get(componentHeader)
	if name == "" {
		answerRuntimeError(w, http.StatusBadRequest, "ValidationError", map[string]any{
			"ErrorCode": "INFERENCE_COMPONENT_NAME_MISSING", "Message": "Inference Component Name header is required for endpoints to which you plan to deploy inference components.",
		})
		return routed{}, false
	}
	c, found, err := p.store.component(r.Context(), name)
	if err != nil {
		p.fail(w, r, err)
		return routed{}, false
	}
	switch {
	case !found || c.endpoint != e.name:
		refuse(w, "Inference Component %s of endpoint %s not found.", name, endpoint)
		return routed{}, false
	case c.status != inService:
		refuse(w, "Inference Component %s is %s and cannot be invoked.", name, c.status)
		return routed{}, false
	}
	p.brought(r.Context(), c.name)
	to := routed{base: c.name, variant: c.variant}
	if c.base != "" {
		to.base, to.adapter = c.base, c.name
		if p.faulty(w, c) {
			return routed{}, false
		}
	}
	if to.container, err = p.running(r.Context(), to.base); err != nil {
		answerRuntimeError(w, http.StatusTooManyRequests, "ModelNotReadyException", map[string]any{"Message": lora.Message(err)})
		return routed{}, false
	}
	return to, true
}

// invoked reads an endpoint and its variants.
func (p *Platform) invoked(ctx context.Context, name string) (e endpointRow, variants []variantShape, found bool, err error) {
	if e, found, err = p.store.endpoint(ctx, name); err == nil && found {
		err = json.Unmarshal([]byte(e.variants), &variants)
	}
	return e, variants, found, err
}

// faulty answers for an adapter that is InService and was never loaded. One that the container refused for itself is left to
// the container, which does not know it.
func (p *Platform) faulty(w http.ResponseWriter, c componentRow) bool {
	p.mu.Lock()
	trouble := p.faults[c.name]
	p.mu.Unlock()
	if trouble.download != "" {
		bucket, key, _ := s3URL(trouble.download)
		refuse(w, "Failed to download model data for inference component %s from bucket %q and key %q. Please ensure that the object exists and is a gzip-compressed tar archive.", c.name, bucket, key)
		return true
	}
	if trouble.status == http.StatusNotFound && strings.TrimSpace(trouble.message) == `{"detail":"Not Found"}` {
		// Run-time updating is off: users report the failed registration's own body here (design §8, a belief).
		p.modelError(w, c.base, trouble.status, trouble.message)
		return true
	}
	return false
}

func (p *Platform) invoke(w http.ResponseWriter, inner *http.Request, to routed) {
	answer := &kept{header: http.Header{}}
	if broken := serve(to.container, answer, inner); broken != nil {
		p.modelError(w, to.base, http.StatusInternalServerError, "The container closed the connection.")
		return
	}
	if answer.code()/100 != 2 {
		p.modelError(w, to.base, answer.code(), answer.body.String())
		return
	}
	for _, header := range []string{"Content-Type", "X-Amzn-Sagemaker-Custom-Attributes", "X-Amzn-Sagemaker-New-Session-Id", "X-Amzn-Sagemaker-Closed-Session-Id"} {
		if value := answer.header.Get(header); value != "" {
			w.Header().Set(header, value)
		}
	}
	w.WriteHeader(http.StatusOK)
	w.Write(answer.body.Bytes())
}

// serve runs a container's handler and gives what made it break off, if it did.
func serve(container Container, w http.ResponseWriter, r *http.Request) (broken error) {
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Errorf("container panicked: %v", p)
		}
	}()
	container.ServeHTTP(w, r)
	return nil
}

func (p *Platform) invokeStream(w http.ResponseWriter, inner *http.Request, to routed) {
	out := &eventWriter{to: w, header: http.Header{}, encoder: eventstream.NewEncoder()}
	broken := serve(to.container, out, inner)
	switch {
	case out.status != 0 && out.status/100 != 2:
		p.modelError(w, to.base, out.status, out.refusal.String())
	case broken != nil && out.status == 0:
		p.modelError(w, to.base, http.StatusInternalServerError, "The container closed the connection.")
	case broken != nil:
		_ = out.sendPending()
		out.exception("ModelStreamError", `{"ErrorCode":"StreamBroken","Message":"The container closed the connection."}`)
	default:
		out.WriteHeader(http.StatusOK) // an empty answer is a stream without parts
		_ = out.sendPending()          // the caller has gone when this fails
	}
}

// eventWriter sends what a container writes as PayloadPart events, cut where it flushes (facts §1b.4). An answer that is not
// 2xx is kept instead.
type eventWriter struct {
	to      http.ResponseWriter
	header  http.Header
	encoder *eventstream.Encoder
	status  int
	pending bytes.Buffer // written and not yet flushed
	refusal bytes.Buffer
}

// Header gives the container's headers.
func (e *eventWriter) Header() http.Header { return e.header }

// WriteHeader begins the stream of a good answer.
func (e *eventWriter) WriteHeader(status int) {
	if e.status != 0 {
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
	if attributes := e.header.Get("X-Amzn-Sagemaker-Custom-Attributes"); attributes != "" {
		e.to.Header().Set("X-Amzn-Sagemaker-Custom-Attributes", attributes)
	}
	e.to.WriteHeader(http.StatusOK)
}

// Write keeps what is written until it is flushed or too much for one event.
func (e *eventWriter) Write(part []byte) (int, error) {
	e.WriteHeader(http.StatusOK)
	if e.status/100 != 2 {
		return e.refusal.Write(part)
	}
	e.pending.Write(part)
	if e.pending.Len() < maxPart {
		return len(part), nil
	}
	return len(part), e.sendPending()
}

// FlushError sends what was written as one event, for http.ResponseController.
func (e *eventWriter) FlushError() error {
	e.WriteHeader(http.StatusOK)
	if e.status/100 != 2 {
		return nil
	}
	if e.pending.Len() == 0 {
		return http.NewResponseController(e.to).Flush()
	}
	return e.sendPending()
}

// Flush is FlushError for containers that look for an http.Flusher.
func (e *eventWriter) Flush() { _ = e.FlushError() }

func (e *eventWriter) sendPending() error {
	for e.pending.Len() > 0 {
		if err := e.send(e.pending.Next(maxPart), "event", "event-type", "PayloadPart", "application/octet-stream"); err != nil {
			return err
		}
	}
	return nil
}

func (e *eventWriter) exception(kind, payload string) {
	_ = e.send([]byte(payload), "exception", "exception-type", kind, "application/json")
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

// modelError wraps what the container answered (facts §1b.3).
func (p *Platform) modelError(w http.ResponseWriter, base string, status int, body string) {
	side := "client"
	if status >= 500 {
		side = "server"
	}
	group := "/aws/sagemaker/InferenceComponents/" + base
	answerRuntimeError(w, http.StatusFailedDependency, "ModelError", map[string]any{
		"Message":            fmt.Sprintf("Received %s error (%d) from model with message %q. See %s in account %s for more information.", side, status, body, group, p.config.Account),
		"OriginalStatusCode": status, "OriginalMessage": body,
		"LogStreamArn": "arn:aws:logs:" + p.config.Region + ":" + p.config.Account + ":log-group:" + group,
	})
}

func (p *Platform) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	p.config.Log.ErrorContext(r.Context(), "invocation failed", "err", err)
	answerRuntimeError(w, http.StatusInternalServerError, "InternalFailure", map[string]any{"Message": "Internal failure."})
}

func refuse(w http.ResponseWriter, format string, args ...any) {
	answerRuntimeError(w, http.StatusBadRequest, "ValidationError", map[string]any{"Message": fmt.Sprintf(format, args...)})
}

// answerRuntimeError writes an error as rest-json services do: its type in a header.
func answerRuntimeError(w http.ResponseWriter, status int, kind string, body map[string]any) {
	w.Header().Set("X-Amzn-Errortype", kind)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, encoded(body))
}

func unlessEmpty(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

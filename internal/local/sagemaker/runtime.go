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
	"slices"
	"strings"
	"time"

	"loradeck/internal/local/fault"
)

const (
	maxInvocation = 6_291_456 // bytes of a request's body and of a whole answer's: both are BodyBlob in the service model (facts §1b.2)
	maxQueued     = 128_000   // of one that is to be queued, from the service model
	maxDrained    = 64 << 20  // bytes read of a body that is too long, so that its sender gets to hear it
)

// How long SageMaker waits for a container (facts §1b.2).
const (
	answersWithin = 60 * time.Second
	streamsWithin = 8 * time.Minute
)

const (
	componentHeader  = "X-Amzn-Sagemaker-Inference-Component"
	adapterHeader    = "X-Amzn-Sagemaker-Adapter-Identifier"
	variantHeader    = "X-Amzn-Invoked-Production-Variant"
	attributesHeader = "X-Amzn-Sagemaker-Custom-Attributes"
	sessionHeader    = "X-Amzn-Sagemaker-Session-Id"
)

// action is what an invocation asks for, as the end of its path.
type action string

const (
	whole    action = "invocations"
	streamed action = "invocations-response-stream"
	queued   action = "async-invocations"
)

// limit is what a body may weigh, in bytes.
func (a action) limit() int64 {
	if a == queued {
		return maxQueued
	}
	return maxInvocation
}

// invocation is a request to the runtime that has been read.
type invocation struct {
	action   action
	endpoint string
	header   http.Header
	body     []byte
}

// component names the inference component that is asked, "" when none is.
func (i invocation) component() string { return i.header.Get(componentHeader) }

// serveRuntime answers the runtime's three operations, POST /endpoints/NAME/ACTION.
func (p *Platform) serveRuntime(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/endpoints/")
	name, last, cut := strings.Cut(rest, "/")
	name, err := url.PathUnescape(name)
	asked := invocation{action: action(last), endpoint: name, header: r.Header}
	if !ok || !cut || err != nil || r.Method != http.MethodPost || !slices.Contains([]action{whole, streamed, queued}, asked.action) {
		(&runtimeError{status: http.StatusNotFound, kind: "UnknownOperationException"}).answer(w)
		return
	}
	if asked.body, err = io.ReadAll(io.LimitReader(r.Body, asked.action.limit()+1)); err != nil {
		unfit("", "The request body could not be read.").answer(w)
		return
	}
	if int64(len(asked.body)) > asked.action.limit() {
		io.CopyN(io.Discard, r.Body, maxDrained) // a caller that is still sending does not read the answer
	}
	if err := p.serveInvocation(w, r, asked); err != nil && r.Context().Err() == nil {
		p.answerRuntimeError(w, r, err)
	}
}

// serveInvocation answers an invocation, or says why it cannot be answered.
func (p *Platform) serveInvocation(w http.ResponseWriter, r *http.Request, asked invocation) error {
	if err := asked.check(); err != nil {
		return err
	}
	if err := p.amiss(asked); err != nil {
		return err
	}
	to, err := p.route(r.Context(), asked)
	if err != nil {
		return err
	}
	if p.config.Faults.Take(fault.DeadInService, asked.endpoint, asked.component(), to.base) {
		return p.noAnswer(asked.endpoint, to.base)
	}
	inner, err := asked.passedOn(r.Context(), to.adapter)
	if err != nil {
		return err
	}
	if asked.action == streamed {
		return p.invokeStream(w, inner, asked, to)
	}
	return p.invoke(w, inner, asked, to)
}

// passedOn is the request that the container gets. Nothing else of the caller's headers reaches it: a client cannot choose an
// adapter by header.
func (i invocation) passedOn(ctx context.Context, adapter string) (*http.Request, error) {
	inner, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://container/invocations", bytes.NewReader(i.body))
	if err != nil {
		return nil, fmt.Errorf("pass invocation on: %w", err)
	}
	inner.Header.Set("Content-Type", unlessEmpty(i.header.Get("Content-Type"), "application/octet-stream"))
	accept := i.header.Get("Accept")
	if i.action == streamed {
		accept = i.header.Get("X-Amzn-Sagemaker-Accept")
	}
	for header, value := range map[string]string{
		"Accept": accept, attributesHeader: i.header.Get(attributesHeader), sessionHeader: i.header.Get(sessionHeader), adapterHeader: adapter,
	} {
		if value != "" {
			inner.Header.Set(header, value)
		}
	}
	return inner, nil
}

// routed is where an invocation goes.
type routed struct {
	container http.Handler
	base      string
	adapter   string // "" for the base itself
	variant   string
}

// leftRunning reports whether a base has Failed because more copies found no place: those that it has answer, for its adapters and
// for itself. A belief.
func (c componentRow) leftRunning() bool { return c.status == failed && c.copies > 0 }

// serving are the statuses in which endpoints and components answer: what is being updated answers as it was.
var serving = []string{inService, updating, "SystemUpdating", "RollingBack"}

// route finds the container of an invocation, or says why there is none.
func (p *Platform) route(ctx context.Context, asked invocation) (routed, error) {
	e, variants, found, err := p.invoked(ctx, asked.endpoint)
	if err != nil {
		return routed{}, err
	}
	if !found || !slices.Contains(serving, e.status) {
		return routed{}, unfit("NO_SUCH_ENDPOINT", "Endpoint %s of account %s not found.", asked.endpoint, p.config.Account)
	}
	if err := asked.suits(variants); err != nil {
		return routed{}, err
	}
	name := asked.component()
	c, found, err := p.store.component(ctx, name)
	switch {
	case err != nil:
		return routed{}, err
	case !found || c.endpoint != e.name:
		return routed{}, unfit("", "Inference Component %s of endpoint %s not found.", name, asked.endpoint)
	case !slices.Contains(serving, c.status) && !c.leftRunning():
		return routed{}, unfit("", "Inference Component %s is %s and cannot be invoked.", name, c.status)
	}
	if variant := asked.header.Get("X-Amzn-Sagemaker-Target-Variant"); variant != "" && variant != c.variant {
		return routed{}, unfit("", "Variant %s not found for Inference Component %s of endpoint %s.", variant, name, asked.endpoint)
	}
	p.awaitBrought(ctx, c.name)
	to := routed{base: c.name, variant: c.variant}
	if c.base != "" {
		to.base, to.adapter = c.base, c.name
		if err := p.faulty(c); err != nil {
			return routed{}, err
		}
	}
	if _, err = p.running(ctx, to.base); err != nil {
		return routed{}, noCapacity()
	}
	to.container = turn{p, to.base}
	return to, nil
}

// suits says why an endpoint with these variants cannot take the invocation, or nil. What is said with an error code, and of
// component names, is AWS's (aws/amazon-sagemaker-examples#1026 and #1216, BerriAI/litellm#37766); the other texts are beliefs.
func (i invocation) suits(variants []variantShape) error {
	models := slices.ContainsFunc(variants, func(v variantShape) bool { return v.ModelName != "" })
	switch {
	case i.action == queued:
		return unfit("", "Endpoint %s has no asynchronous inference configuration and does not support InvokeEndpointAsync.", i.endpoint)
	case i.header.Get("X-Amzn-Sagemaker-Target-Model") != "":
		return unfit("TARGET_MODEL_HEADER_NOT_SUPPORTED", "Endpoint %s is not a multi-model endpoint and does not support target model header.", i.endpoint)
	case i.header.Get("X-Amzn-Sagemaker-Target-Container-Hostname") != "":
		return unfit("", "Endpoint %s is not a multi-container endpoint and does not support target container hostname header.", i.endpoint)
	case i.header.Get("X-Amzn-Sagemaker-Enable-Explanations") != "":
		return unfit("", "Endpoint %s has no explainer and does not support enable explanations header.", i.endpoint)
	case models && i.component() != "":
		return unfit("", "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference components. Please remove the Inference Component Name header and try again.")
	case models:
		return unfit("", "Endpoint %s runs a model without inference components, which SageMaker does and the local platform does not.", i.endpoint)
	case i.component() == "":
		return unfit("INFERENCE_COMPONENT_NAME_MISSING", "Inference Component Name header is required for endpoints to which you plan to deploy inference components. Please include Inference Component Name header or consider using SageMaker models.")
	}
	return nil
}

// invoked reads an endpoint and its variants.
func (p *Platform) invoked(ctx context.Context, name string) (e endpointRow, variants []variantShape, found bool, err error) {
	if e, found, err = p.store.endpoint(ctx, name); err == nil && found {
		err = json.Unmarshal([]byte(e.variants), &variants)
	}
	return e, variants, found, err
}

// faulty says why an adapter that is InService was never loaded. One that the container refused for itself is left to the
// container, which does not know it.
func (p *Platform) faulty(c componentRow) error {
	p.mu.Lock()
	trouble := p.loaded[c.name]
	p.mu.Unlock()
	if trouble.download != "" {
		bucket, key, _ := s3URL(trouble.download)
		return unfit("", "Failed to download model data for inference component %s from bucket %q and key %q. Please ensure that the object exists and is a gzip-compressed tar archive.", c.name, bucket, key)
	}
	if trouble.status == http.StatusNotFound && strings.TrimSpace(trouble.message) == `{"detail":"Not Found"}` {
		// Run-time updating is off: users report the failed registration's own body here (design §8, a belief).
		return p.modelError(c.base, trouble.status, trouble.message)
	}
	return nil
}

// invoke passes an invocation on and gives the whole answer.
func (p *Platform) invoke(w http.ResponseWriter, inner *http.Request, asked invocation, to routed) error {
	if p.config.Faults.Take(fault.InvokeTimeout, asked.endpoint, asked.component()) {
		return p.tooLate(to.base)
	}
	ctx, cancel := context.WithCancelCause(inner.Context())
	defer cancel(nil)
	answer := newKept(cancel)
	switch err := serveWithin(p.config.AnswerWithin, to.container, answer, inner.WithContext(ctx)); {
	case errors.Is(err, errTooLate):
		return p.tooLate(to.base)
	case errors.Is(err, errTooLong):
		return p.tooLong(to.base)
	case err != nil:
		return p.noAnswer(asked.endpoint, to.base)
	case answer.code()/100 != 2:
		return p.modelError(to.base, answer.code(), answer.body.String())
	}
	w.Header().Set(variantHeader, to.variant)
	for _, header := range []string{"Content-Type", attributesHeader, "X-Amzn-Sagemaker-New-Session-Id", "X-Amzn-Sagemaker-Closed-Session-Id"} {
		if value := answer.header.Get(header); value != "" {
			w.Header().Set(header, value)
		}
	}
	w.WriteHeader(http.StatusOK)
	w.Write(answer.body.Bytes())
	return nil
}

// invokeStream passes an invocation on and gives the answer as it comes.
func (p *Platform) invokeStream(w http.ResponseWriter, inner *http.Request, asked invocation, to routed) error {
	w.Header().Set(variantHeader, to.variant)
	out := newEventWriter(w)
	p.spoil(out, asked)
	err := serveWithin(p.config.StreamWithin, to.container, out, inner)
	status, refusal := out.finish(err)
	switch {
	case status/100 == 2:
		return nil
	case status != 0:
		return p.modelError(to.base, status, refusal)
	case errors.Is(err, errTooLate):
		return p.tooLate(to.base)
	}
	return p.noAnswer(asked.endpoint, to.base)
}

// errTooLate is what is met by a container that takes longer than it may.
var errTooLate = errors.New("container takes too long")

// serveWithin runs a container's handler for as long as it may take, or as the caller waits. The handler may outlive it, and
// what it then writes is nobody's any more.
func serveWithin(limit time.Duration, container http.Handler, w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeoutCause(r.Context(), limit, errTooLate)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- serve(container, w, r.WithContext(ctx)) }()
	select {
	case err := <-done:
		if ctx.Err() == nil {
			return err
		}
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// serve runs a container's handler and gives what made it break off, if it did.
func serve(container http.Handler, w http.ResponseWriter, r *http.Request) (broken error) {
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Errorf("container panicked: %v", p)
		}
	}()
	container.ServeHTTP(w, r)
	return nil
}

func unlessEmpty(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

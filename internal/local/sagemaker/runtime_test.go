package sagemaker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	runtime "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/google/go-cmp/cmp"
)

const artifact = "s3://adapters/one.tar.gz"

// served gives a house with endpoint "e", base "base" and adapter "one".
func served(t *testing.T, all *programs) *house {
	t.Helper()
	h := newHouse(t, all.run)
	h.shelf.put("adapters/one.tar.gz", archive(t, map[string]string{"adapter_config.json": "{}"}))
	h.endpoint("e")
	h.model("m")
	h.create(baseInput("base", "e", "m"))
	h.create(adapterInput("one", "e", "base", artifact))
	return h
}

func TestInvocationsReachBaseAndAdapter(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 2)
	all := &programs{handle: func(w http.ResponseWriter, r *http.Request, adapter string) {
		headers <- r.Header.Clone()
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "<"+adapter+"> "+string(body))
	}}
	h := served(t, all)
	for component, want := range map[string]string{"base": "<> hello", "one": "<one> hello"} {
		in := &runtime.InvokeEndpointInput{EndpointName: aws.String("e"), InferenceComponentName: &component, Body: []byte("hello"), ContentType: aws.String("application/json")}
		out, err := h.runtime.InvokeEndpoint(t.Context(), in, runtime.WithAPIOptions(forged))
		if err != nil || string(out.Body) != want || aws.ToString(out.InvokedProductionVariant) != "main" || aws.ToString(out.ContentType) != "application/json" {
			t.Errorf("%s answered %+v %v, want %q", component, out, err, want)
		}
	}
	for range 2 {
		if header := <-headers; header.Get("X-Forged") != "" || header.Get("Authorization") != "" || header.Get("Content-Type") != "application/json" {
			t.Errorf("the container saw %v", header)
		}
	}
}

func TestInvocationsAreRefusedBeforeTheContainer(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{})
	refused(t, "ValidationError", "Endpoint other of account 000000000000 not found")(h.invoke("other", "base", "{}"))
	refused(t, "ValidationError", "Inference Component other")(h.invoke("e", "other", "{}"))
	refused(t, "ValidationError", "Inference Component Name header is required")(h.invoke("e", "", "{}"))
	refused(t, "ValidationError", "6291456")(h.invoke("e", "base", strings.Repeat(" ", 6_291_457)))
	if _, err := h.invoke("e", "base", strings.Repeat(" ", 6_291_456)); err != nil {
		t.Errorf("a body of just 6 MiB: %v", err)
	}
}

func TestModelErrorsCarryWhatTheContainerSaid(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, adapter string) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "abort" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"prompt too long"}`)
	}})
	wantModelError := func(err error, status int32, message string) {
		t.Helper()
		var known *types.ModelError
		if !errors.As(err, &known) || aws.ToInt32(known.OriginalStatusCode) != status || aws.ToString(known.OriginalMessage) != message ||
			!strings.HasSuffix(aws.ToString(known.LogStreamArn), ":log-group:/aws/sagemaker/InferenceComponents/base") {
			t.Errorf("got %v, want a ModelError with %d %q", err, status, message)
		}
	}
	_, err := h.invoke("e", "one", "{}")
	wantModelError(err, 400, `{"error":"prompt too long"}`)
	_, err = h.stream("one", "{}")
	wantModelError(err, 400, `{"error":"prompt too long"}`)
	_, err = h.stream("one", "abort")
	wantModelError(err, 0, "Amazon SageMaker could not get a response from the e endpoint. This can occur when CPU or memory utilization is high. To check your utilization, see Amazon CloudWatch. To fix this problem, use an instance type with more CPU capacity or memory.")
}

// An answer is held in memory, so a container that does not stop is stopped.
func TestAnAnswerIsReadAsFarAsItMayBe(t *testing.T) {
	t.Parallel()
	const most = 6_291_456
	ended := make(chan error, 1)
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		switch body, _ := io.ReadAll(r.Body); string(body) {
		case "most":
			io.WriteString(w, strings.Repeat(" ", most))
		case "refusal":
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, strings.Repeat("€", 1<<20))
		default:
			var err error
			for err == nil {
				_, err = io.WriteString(w, strings.Repeat(" ", 1<<16))
			}
			ended <- context.Cause(r.Context())
		}
	}})
	if out, err := h.invoke("e", "one", "most"); err != nil || len(out) != most {
		t.Errorf("an answer of just 6 MiB: %d bytes, %v", len(out), err)
	}
	_, err := h.invoke("e", "one", "more")
	refused(t, "ModelError", "is larger than 6291456 bytes")(nil, err)
	if cause := <-ended; cause == nil {
		t.Error("the container is not told that nobody listens")
	}
	for _, ask := range []func() error{
		func() error { _, err := h.invoke("e", "one", "refusal"); return err },
		func() error { _, err := h.stream("one", "refusal"); return err },
	} {
		var known *types.ModelError
		if err := ask(); !errors.As(err, &known) || aws.ToInt32(known.OriginalStatusCode) != 400 || aws.ToString(known.OriginalMessage) != strings.Repeat("€", 2048) {
			t.Errorf("a long refusal: %v", err)
		}
	}
}

// stream collects the parts of a streamed invocation. Streams of one client share a decoder, so each has its own
// (cloud.Place.InvokeStream).
func (h *house) stream(component, body string) (parts []string, err error) {
	out, err := runtime.New(h.runtime.Options()).InvokeEndpointWithResponseStream(h.t.Context(), &runtime.InvokeEndpointWithResponseStreamInput{
		EndpointName: aws.String("e"), InferenceComponentName: &component, Body: []byte(body), ContentType: aws.String("application/json"),
	})
	if err != nil {
		return nil, err
	}
	defer out.GetStream().Close()
	for event := range out.GetStream().Events() {
		if part, ok := event.(*types.ResponseStreamMemberPayloadPart); ok {
			parts = append(parts, string(part.Value.Bytes))
		}
	}
	return parts, out.GetStream().Err()
}

func TestStreamIsCutWhereTheContainerFlushes(t *testing.T) {
	t.Parallel()
	flushed := []string{"da", "ta: {\"text\":\"h\xc3", "\xa9llo\"}\n", "\ndata: [DO", "NE]\n\n"}
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, part := range flushed {
			for i := range len(part) { // several writes between two flushes are one event
				w.Write([]byte{part[i]})
			}
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, "unflushed end")
	}})
	parts, err := h.stream("one", "{}")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(flushed, "unflushed end"), parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

func TestPartsComeAsTheyAreFlushed(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		io.WriteString(w, "second")
	}})
	out, err := h.runtime.InvokeEndpointWithResponseStream(t.Context(), &runtime.InvokeEndpointWithResponseStreamInput{
		EndpointName: aws.String("e"), InferenceComponentName: aws.String("one"), Body: []byte("{}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer out.GetStream().Close()
	var got bytes.Buffer
	for event := range out.GetStream().Events() {
		got.Write(event.(*types.ResponseStreamMemberPayloadPart).Value.Bytes)
		if got.String() == "first" {
			close(goOn) // the container waits for it: were it held back, this would never end
		}
	}
	if err := out.GetStream().Err(); err != nil || got.String() != "firstsecond" {
		t.Errorf("got %q %v", got.String(), err)
	}
}

func TestStreamThatBreaksOffEndsInAnException(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		io.WriteString(w, "half a ")
		w.(http.Flusher).Flush()
		io.WriteString(w, "sen")
		panic(http.ErrAbortHandler)
	}})
	parts, err := h.stream("one", "{}")
	var broken *types.ModelStreamError
	if !errors.As(err, &broken) || aws.ToString(broken.ErrorCode_) != "StreamBroken" || strings.Join(parts, "") != "half a sen" {
		t.Errorf("got %q and %v", parts, err)
	}
}

// TestRefusedAdaptersAreInServiceAndDead holds the three ways in which InService does not mean loaded (facts §2.6).
func TestRefusedAdaptersAreInServiceAndDead(t *testing.T) {
	t.Parallel()
	all := &programs{load: func(name, _ string) (int, string) {
		switch name {
		case "no-flag":
			return http.StatusNotFound, `{"detail":"Not Found"}`
		case "bad-rank":
			return http.StatusBadRequest, `{"error":{"message":"LoRA rank 64 is greater than max_lora_rank 16."}}`
		}
		return http.StatusOK, ""
	}}
	h := served(t, all)
	for _, c := range []struct{ name, artifact, code, part string }{
		{"no-flag", artifact, "ModelError", `with message "{"detail":"Not Found"}".`},
		{"bad-rank", artifact, "ModelError", "The model `bad-rank` does not exist."},
		{"no-object", "s3://adapters/none.tar.gz", "ValidationError", `Failed to download model data for inference component no-object from bucket "adapters" and key "none.tar.gz"`},
	} {
		if got := h.create(adapterInput(c.name, "e", "base", c.artifact)); got.InferenceComponentStatus != "InService" || got.FailureReason != nil {
			t.Errorf("%s is %s", c.name, got.InferenceComponentStatus)
		}
		refused(t, c.code, c.part)(h.invoke("e", c.name, "{}"))
		var known *types.ModelError
		if _, err := h.invoke("e", c.name, "{}"); errors.As(err, &known) && aws.ToInt32(known.OriginalStatusCode) != http.StatusNotFound {
			t.Errorf("%s answers %v", c.name, err)
		}
		h.delete(c.name)
	}
	if got, err := h.invoke("e", "one", "{}"); err != nil {
		t.Errorf("a good neighbour answers %q %v", got, err)
	}
}

// TestFailedBaseSaysWhy holds that a base that does not start is Failed with a reason, and can be deleted.
func TestFailedBaseSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, failing)
	h.endpoint("e")
	h.model("m")
	for name, want := range map[string]string{"refusing": "unrecognized arguments: --nonsense", "panicking": "The container ended while it started."} {
		got := h.create(baseInput(name, "e", "m"))
		if got.InferenceComponentStatus != "Failed" || !strings.Contains(aws.ToString(got.FailureReason), want) || aws.ToInt32(got.RuntimeConfig.CurrentCopyCount) != 0 {
			t.Errorf("%s is %s: %s", name, got.InferenceComponentStatus, aws.ToString(got.FailureReason))
		}
		refused(t, "ValidationError", "Failed")(h.invoke("e", name, "{}"))
		refused(t, invalid, "not InService")(h.control.CreateInferenceComponent(t.Context(), adapterInput("one", "e", name, artifact)))
		h.delete(name)
	}
	h.shelf.mu.Lock()
	clear(h.shelf.held)
	h.shelf.mu.Unlock()
	if got := h.create(baseInput("empty", "e", "m")); !strings.Contains(aws.ToString(got.FailureReason), `bucket "models" and prefix "tiny/"`) {
		t.Errorf("got %s", aws.ToString(got.FailureReason))
	}
	done(t)(h.control.DescribeEndpoint(t.Context(), &control.DescribeEndpointInput{EndpointName: aws.String("e")}))
}

package sagemaker_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/aws/smithy-go"

	"loradeck/internal/local/fault"
)

// faulty gives a house whose invocations can be made to fail, with a container that streams lines.
func faulty(t *testing.T, text string) *house {
	t.Helper()
	h := newHouse(t, (&programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		for line := range strings.Lines(text) {
			io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush() // a whole answer has nothing to flush
		}
	}}).run)
	h.close()
	h.faults = &fault.Registry{}
	h.open()
	h.shelf.put("adapters/one.tar.gz", archive(t, map[string]string{"adapter_config.json": "{}"}))
	h.endpoint("e")
	h.model("m")
	h.create(baseInput("base", "e", "m"))
	h.create(adapterInput("one", "e", "base", artifact))
	return h
}

// set sets a fault for the next call.
func (h *house) set(kind fault.Kind, resource string) {
	h.t.Helper()
	done(h.t)(h.faults.Set(kind, resource, 1))
}

// as reports whether an error is of the type, as a client that looks for typed exceptions does.
func as[T error](err error) bool {
	var typed T
	return errors.As(err, &typed)
}

func TestErrorsOfTheServiceAreTyped(t *testing.T) {
	t.Parallel()
	h := faulty(t, "{}\n")
	for _, c := range []struct {
		kind   fault.Kind
		code   string
		status int
		typed  func(error) bool
		says   string
	}{
		{fault.InvokeThrottle, "ThrottlingException", 400, as[smithy.APIError], ""},
		{fault.InvokeNotReady, "ModelNotReadyException", 429, as[*types.ModelNotReadyException], "Wait and try your request again."},
		{fault.InvokeFailure, "InternalFailure", 500, as[*types.InternalFailure], "An internal failure occurred."},
		{fault.InvokeUnavailable, "ServiceUnavailable", 503, as[*types.ServiceUnavailable], "The service is unavailable."},
		{fault.InvokeDependency, "InternalDependencyException", 530, as[*types.InternalDependencyException], "Contact customer support."},
		{fault.InvokeTimeout, "ModelError", 424, as[*types.ModelError], "Your invocation timed out while waiting for a response from container primary."},
	} {
		h.set(c.kind, "one")
		if _, err := h.invoke("e", "base", "{}"); err != nil {
			t.Errorf("%s: the other component answers %v", c.kind, err)
		}
		_, err := h.invoke("e", "one", "{}")
		refused(t, c.code, c.says)(nil, err)
		var status interface{ HTTPStatusCode() int }
		if !c.typed(err) || !errors.As(err, &status) || status.HTTPStatusCode() != c.status {
			t.Errorf("%s: got %v, want %s with %d", c.kind, err, c.code, c.status)
		}
		if _, err := h.invoke("e", "one", "{}"); err != nil {
			t.Errorf("%s: after its one call: %v", c.kind, err)
		}
	}
	h.set(fault.InvokeUnavailable, "e")
	_, err := h.stream("one", "{}")
	refused(t, "ServiceUnavailable", "")(nil, err)
}

func TestStreamsBreakWithTypedExceptions(t *testing.T) {
	t.Parallel()
	text := "one\ntwo\nthree\nfour\n"
	h := faulty(t, text)
	for _, c := range []struct {
		kind fault.Kind
		code string // of a ModelStreamError, "" for an InternalStreamFailure
	}{
		{fault.StreamBroken, "StreamBroken"},
		{fault.StreamTimeout, "ModelInvocationTimeExceeded"},
		{fault.StreamFailure, ""},
	} {
		h.set(c.kind, "one")
		parts, err := h.stream("one", "{}")
		if got := strings.Join(parts, ""); got != "one\ntwo\n" {
			t.Errorf("%s: came %q", c.kind, got)
		}
		var broken *types.ModelStreamError
		switch isBroken := errors.As(err, &broken); {
		case c.code == "" && !as[*types.InternalStreamFailure](err), c.code != "" && (!isBroken || aws.ToString(broken.ErrorCode_) != c.code || broken.ErrorMessage() == ""):
			t.Errorf("%s: got %v", c.kind, err)
		}
		if parts, err := h.stream("one", "{}"); err != nil || strings.Join(parts, "") != text {
			t.Errorf("%s: after its one call: %q %v", c.kind, parts, err)
		}
	}
}

func TestCutFramesHoldTheSameBytes(t *testing.T) {
	t.Parallel()
	text := "data: {\"text\":\"Ahoy, 海盗 ☠\"}\n\ndata: [DONE]\n\n"
	h := faulty(t, text)
	if _, err := h.faults.Set(fault.CutFrames, "", 0); err != nil {
		t.Fatal(err)
	}
	cuts := map[int]bool{}
	for n := range 60 { // each body is cut in another way
		parts, err := h.stream("one", strings.Repeat(" ", n))
		if err != nil || strings.Join(parts, "") != text {
			t.Fatalf("got %q %v", parts, err)
		}
		at := 0
		for _, part := range parts {
			at += len(part)
			cuts[at] = true
		}
	}
	if len(cuts) != len(text) {
		t.Errorf("of %d places %d were cut", len(text), len(cuts))
	}
	first, _ := h.stream("one", "{}")
	if again, _ := h.stream("one", "{}"); strings.Join(again, "|") != strings.Join(first, "|") {
		t.Errorf("the same request was cut %q, then %q", first, again)
	}
}

// TestContainersThatTakeTooLongAreLeft has a container that does not care that its time is over.
func TestContainersThatTakeTooLongAreLeft(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := newHouse(t, (&programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.Header.Get("Accept") == "text/event-stream" {
			io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		<-release
		io.WriteString(w, "too late") // by now nobody's
		_ = http.NewResponseController(w).Flush()
	}}).run)
	t.Cleanup(func() { close(release) })
	h.close()
	h.within = 50 * time.Millisecond
	h.open()
	h.endpoint("e")
	h.model("m")
	h.create(baseInput("base", "e", "m"))

	const late = "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
	wantLate := func(err error) {
		t.Helper()
		var known *types.ModelError
		if !errors.As(err, &known) || aws.ToInt32(known.OriginalStatusCode) != 0 || aws.ToString(known.OriginalMessage) != late || !strings.HasPrefix(known.ErrorMessage(), "Received server error (0) from primary") {
			t.Errorf("got %v", err)
		}
	}
	_, err := h.invoke("e", "base", "{}")
	wantLate(err)
	_, err = h.stream("base", "{}")
	wantLate(err)
	answer, text := h.post(streamPath, strings.NewReader("{}"), component, "base", "X-Amzn-SageMaker-Accept", "text/event-stream")
	if answer.StatusCode != http.StatusOK || !strings.Contains(text, "begun") || !strings.Contains(text, `"ErrorCode":"ModelInvocationTimeExceeded"`) {
		t.Errorf("in mid-stream: got %d %q", answer.StatusCode, text)
	}
}

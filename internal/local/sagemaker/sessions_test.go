package sagemaker_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	runtime "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// session sends a body with a session id, "" for none.
func (h *house) session(component, id, body string) (*runtime.InvokeEndpointOutput, error) {
	in := &runtime.InvokeEndpointInput{EndpointName: aws.String("e"), InferenceComponentName: &component, Body: []byte(body), ContentType: aws.String("application/json")}
	if id != "" {
		in.SessionId = &id
	}
	return h.runtime.InvokeEndpoint(h.t.Context(), in)
}

// TestSessionsAreOpenedUsedAndClosed goes through a session's life by the SDK, on the real container (facts §2.8; recordings,
// sessions.json).
func TestSessionsAreOpenedUsedAndClosed(t *testing.T) {
	t.Parallel()
	watch := &clock{at: time.Date(2026, 11, 23, 12, 43, 21, 0, time.UTC)}
	h := realHouse(t, watch.now)
	h.modelOf("m", "0.11.2", "SAGEMAKER_ENABLE_STATEFUL_SESSIONS=true", "SAGEMAKER_SESSIONS_EXPIRATION=600")
	h.modelOf("without", "0.11.2")
	h.create(baseInput("base", "e", "m"))
	h.create(baseInput("other", "e", "m"))
	h.create(baseInput("off", "e", "without"))
	h.create(adapterInput("one", "e", "base", artifact))

	const open, shut = `{"requestType":"NEW_SESSION"}`, `{"requestType":"CLOSE"}`
	says := func(status int32, part string) func(any, error) {
		return func(_ any, err error) {
			t.Helper()
			var known *types.ModelError
			if !errors.As(err, &known) || aws.ToInt32(known.OriginalStatusCode) != status || !strings.Contains(aws.ToString(known.OriginalMessage), part) {
				t.Errorf("got %v, want the container's %d with %q", err, status, part)
			}
		}
	}
	begin := func(component string) string {
		t.Helper()
		out, err := h.session(component, "NEW_SESSION", open)
		if err != nil {
			t.Fatal(err)
		}
		id, ends, _ := strings.Cut(aws.ToString(out.NewSessionId), "; Expires=")
		if at, err := time.Parse("2006-01-02T15:04:05Z", ends); err != nil || !at.Equal(watch.now().Add(10*time.Minute).Truncate(time.Second)) {
			t.Errorf("%s: the session ends %q", component, ends)
		}
		if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) || string(out.Body) != "Session "+id+" created" || out.ClosedSessionId != nil {
			t.Errorf("%s: got %+v %s", component, out, out.Body)
		}
		return id
	}
	id := begin("base")
	for _, component := range []string{"base", "one"} { // an adapter lives in its base's container, and so does the session
		if out, err := h.session(component, id, prompt); err != nil || out.NewSessionId != nil || len(out.Body) == 0 {
			t.Errorf("%s in a session: got %v", component, err)
		}
	}
	streamed, err := h.runtime.InvokeEndpointWithResponseStream(t.Context(), &runtime.InvokeEndpointWithResponseStreamInput{
		EndpointName: aws.String("e"), InferenceComponentName: aws.String("one"), SessionId: &id, Body: []byte(strings.Replace(prompt, "{", `{"stream":true,`, 1)), ContentType: aws.String("application/json"),
	})
	if err != nil {
		t.Errorf("a stream in a session: %v", err)
	} else {
		ended(streamed)
	}
	refused(t, "ValidationError", "Value 'NEW_SESSION' at 'sessionId'")(h.runtime.InvokeEndpointWithResponseStream(t.Context(), &runtime.InvokeEndpointWithResponseStreamInput{
		EndpointName: aws.String("e"), InferenceComponentName: aws.String("one"), SessionId: aws.String("NEW_SESSION"), Body: []byte(open),
	}))

	says(400, "session not found: "+id)(h.session("other", id, prompt))
	says(400, "session not found: nobodys")(h.session("base", "nobodys", prompt))
	says(400, "Extra inputs are not permitted")(h.session("base", "NEW_SESSION", `{"requestType":"NEW_SESSION","prompt":"x"}`))
	says(424, "Failed to close session: invalid session_id: None")(h.session("base", "", shut))
	says(400, "stateful sessions not enabled")(h.session("off", "NEW_SESSION", open))
	says(400, "X-Amzn-SageMaker-Session-Id header not supported")(h.session("off", id, prompt))

	out, err := h.session("one", id, shut)
	if err != nil || aws.ToString(out.ClosedSessionId) != id || string(out.Body) != "Session "+id+" closed" {
		t.Errorf("closed: got %+v %v", out, err)
	}
	says(400, "session not found: "+id)(h.session("base", id, prompt))
	says(400, "session not found: "+id)(h.session("base", id, shut))

	id = begin("one") // and one that an adapter opens
	watch.pass(9 * time.Minute)
	done(t)(h.session("base", id, prompt))
	watch.pass(time.Minute)
	says(400, "session not found: "+id)(h.session("base", id, prompt))
}

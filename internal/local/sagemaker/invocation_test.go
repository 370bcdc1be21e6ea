package sagemaker_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	runtime "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
)

// post sends what no SDK would send, and gives the answer and what its body says of an error.
func (h *house) post(path string, body io.Reader, headers ...string) (answer *http.Response, text string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err = http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	whole, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer, string(whole)
}

// said is the message of an error of the runtime's.
func said(text string) string {
	var body struct{ Message string }
	_ = json.Unmarshal([]byte(text), &body) // what is no JSON says nothing
	return body.Message
}

const (
	wholePath  = "/endpoints/e/invocations"
	streamPath = "/endpoints/e/invocations-response-stream"
	queuedPath = "/endpoints/e/async-invocations"
	component  = "X-Amzn-SageMaker-Inference-Component"
)

// TestHeadersAreHeldToTheServiceModel has each limit and pattern of botocore's model, at it and beyond it.
func TestHeadersAreHeldToTheServiceModel(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{})
	const (
		wrong = "1 validation error detected: Value "
		long  = " failed to satisfy constraint: Member must have length less than or equal to "
		short = " failed to satisfy constraint: Member must have length greater than or equal to "
		form  = " failed to satisfy constraint: Member must satisfy regular expression pattern: "
		named = "^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
	)
	a := func(n int) string { return strings.Repeat("a", n) }
	for _, c := range []struct{ path, header, value, want string }{
		{"/endpoints/" + a(64) + "/invocations", component, "base", wrong + "'" + a(64) + "' at 'endpointName'" + long + "63"},
		{"/endpoints/-e/invocations", component, "base", wrong + "'-e' at 'endpointName'" + form + named},
		{wholePath, "X-Amzn-SageMaker-Custom-Attributes", a(1024), ""},
		{wholePath, "X-Amzn-SageMaker-Custom-Attributes", a(1025), wrong + "at 'customAttributes'" + long + "1024"},
		{streamPath, "X-Amzn-SageMaker-Custom-Attributes", "grüß", wrong + "at 'customAttributes'" + form + `\p{ASCII}*`},
		{wholePath, "X-Amzn-SageMaker-Inference-Id", a(64), ""},
		{wholePath, "X-Amzn-SageMaker-Inference-Id", a(65), wrong + "'" + a(65) + "' at 'inferenceId'" + long + "64"},
		{wholePath, "Content-Type", a(1025), wrong + "'" + a(1025) + "' at 'contentType'" + long + "1024"},
		{wholePath, "Accept", a(1025), wrong + "'" + a(1025) + "' at 'accept'" + long + "1024"},
		{streamPath, "Accept", a(1025), ""}, // of a stream another header is the one that counts
		{streamPath, "X-Amzn-SageMaker-Accept", a(1025), wrong + "'" + a(1025) + "' at 'accept'" + long + "1024"},
		{wholePath, "X-Amzn-SageMaker-Target-Variant", a(64), wrong + "'" + a(64) + "' at 'targetVariant'" + long + "63"},
		{wholePath, "X-Amzn-SageMaker-Target-Container-Hostname", "a_b", wrong + "'a_b' at 'targetContainerHostname'" + form + named},
		{wholePath, "X-Amzn-SageMaker-Target-Model", "aä", wrong + "'aä' at 'targetModel'" + form + `\A\S[\p{Print}]*\z`},
		{wholePath, "X-Amzn-SageMaker-Enable-Explanations", a(65), wrong + "'" + a(65) + "' at 'enableExplanations'" + long + "64"},
		{wholePath, "X-Amzn-SageMaker-Prefix-Aware-Id", a(64), ""},
		{wholePath, "X-Amzn-SageMaker-Prefix-Aware-Id", "", "2 validation errors detected: Value '' at 'prefixAwareId'" + short + "1; Value '' at 'prefixAwareId'" + form + `\A\S[\p{Print}]*\z`},
		{wholePath, component, a(64), wrong + "'" + a(64) + "' at 'inferenceComponentName'" + long + "63"},
		{wholePath, component, "base-", wrong + "'base-' at 'inferenceComponentName'" + form + `^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?$`},
		{wholePath, "X-Amzn-SageMaker-Session-Id", "NEW_SESSION", ""},
		{wholePath, "X-Amzn-SageMaker-Session-Id", a(257), wrong + "'" + a(257) + "' at 'sessionId'" + long + "256"},
		{wholePath, "X-Amzn-SageMaker-Session-Id", "../../etc", wrong + "'../../etc' at 'sessionId'" + form + `^(NEW_SESSION)$|^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`},
		{streamPath, "X-Amzn-SageMaker-Session-Id", "NEW_SESSION", wrong + "'NEW_SESSION' at 'sessionId'" + form + `^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`},
		{queuedPath, "X-Amzn-SageMaker-InputLocation", "ftp://x/y", wrong + "'ftp://x/y' at 'inputLocation'" + form + `^(https|s3)://([^/]+)/?(.*)$`},
	} {
		headers := []string{component, "base", c.header, c.value}
		answer, text := h.post(c.path, strings.NewReader("{}"), headers...)
		if c.want == "" {
			if answer.StatusCode != http.StatusOK {
				t.Errorf("%s %s of %d: got %d %s", c.path, c.header, len(c.value), answer.StatusCode, text)
			}
			continue
		}
		if answer.StatusCode != http.StatusBadRequest || answer.Header.Get("X-Amzn-Errortype") != "ValidationError" || said(text) != c.want {
			t.Errorf("%s %s: got %d %s, want %s", c.path, c.header, answer.StatusCode, text, c.want)
		}
	}
	answer, text := h.post("/endpoints/-/invocations", strings.NewReader("{}"), component, "-")
	if !strings.HasPrefix(said(text), "2 validation errors detected: ") || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("two faults: got %d %s", answer.StatusCode, text)
	}
}

// TestTargetsThatAnEndpointDoesNotHaveAreRefused has the headers of other kinds of endpoints.
func TestTargetsThatAnEndpointDoesNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{})
	ask := func(change func(*runtime.InvokeEndpointInput)) (any, error) {
		in := &runtime.InvokeEndpointInput{EndpointName: aws.String("e"), InferenceComponentName: aws.String("one"), Body: []byte("{}")}
		change(in)
		return h.runtime.InvokeEndpoint(t.Context(), in)
	}
	done(t)(ask(func(in *runtime.InvokeEndpointInput) { in.TargetVariant = aws.String("main") }))
	done(t)(ask(func(in *runtime.InvokeEndpointInput) { in.EndpointName = aws.String("E") })) // names differ by more than case
	refused(t, "ValidationError", "Variant other not found")(ask(func(in *runtime.InvokeEndpointInput) { in.TargetVariant = aws.String("other") }))
	refused(t, "ValidationError", "Endpoint e is not a multi-model endpoint and does not support target model header.")(ask(func(in *runtime.InvokeEndpointInput) { in.TargetModel = aws.String("m.tar.gz") }))
	refused(t, "ValidationError", "does not support target container hostname header")(ask(func(in *runtime.InvokeEndpointInput) { in.TargetContainerHostname = aws.String("c") }))
	refused(t, "ValidationError", "does not support enable explanations header")(ask(func(in *runtime.InvokeEndpointInput) { in.EnableExplanations = aws.String("`true`") }))
	refused(t, "ValidationError", "Endpoint e has no asynchronous inference configuration")(h.runtime.InvokeEndpointAsync(t.Context(), &runtime.InvokeEndpointAsyncInput{EndpointName: aws.String("e"), InputLocation: aws.String("s3://in/one.json")}))
	refused(t, "ValidationError", "Endpoint other of account 000000000000 not found.")(h.runtime.InvokeEndpointAsync(t.Context(), &runtime.InvokeEndpointAsyncInput{EndpointName: aws.String("other"), InputLocation: aws.String("s3://in/one.json")}))

	for header, code := range map[string]string{"X-Amzn-SageMaker-Target-Model": "TARGET_MODEL_HEADER_NOT_SUPPORTED", "X-Nothing": "INFERENCE_COMPONENT_NAME_MISSING"} {
		if _, text := h.post(wholePath, strings.NewReader("{}"), header, "m"); !strings.Contains(text, `"ErrorCode":"`+code+`"`) {
			t.Errorf("%s: got %s, want the code %s", header, text, code)
		}
	}
	for _, path := range []string{"/endpoints/e", "/endpoints/e/pings", "/endpoints/e/invocations/", "/endpoints//"} {
		if answer, text := h.post(path, nil); answer.StatusCode != http.StatusNotFound || answer.Header.Get("X-Amzn-Errortype") != "UnknownOperationException" {
			t.Errorf("%s: got %d %s", path, answer.StatusCode, text)
		}
	}
}

// endless gives bytes without a length that could be told beforehand.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	clear(p[:n])
	e.left -= n
	return n, nil
}

// TestBodiesMayWeighSixMiB has both sides of the boundary, with a length told beforehand and without.
func TestBodiesMayWeighSixMiB(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		n, err := io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode([]any{n, err})
	}})
	const most, tooLong = 6_291_456, "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to 6291456"
	for _, path := range []string{wholePath, streamPath} {
		for name, body := range map[string]func(n int) io.Reader{
			"length":  func(n int) io.Reader { return strings.NewReader(strings.Repeat("\x00", n)) },
			"chunked": func(n int) io.Reader { return &endless{n} },
		} {
			for n, want := range map[int]string{0: "[0,null]", most: "[6291456,null]", most + 1: tooLong, most + 1<<20: tooLong} {
				answer, text := h.post(path, body(n), component, "one")
				if want != tooLong && (answer.StatusCode != http.StatusOK || !strings.Contains(text, want)) {
					t.Errorf("%s of %d bytes to %s: got %d %q", name, n, path, answer.StatusCode, text)
				}
				if want == tooLong && (answer.StatusCode != http.StatusBadRequest || said(text) != want) {
					t.Errorf("%s of %d bytes to %s: got %d %q", name, n, path, answer.StatusCode, text)
				}
			}
		}
	}
	if answer, text := h.post(queuedPath, &endless{128_001}); answer.StatusCode != http.StatusBadRequest || !strings.Contains(said(text), "less than or equal to 128000") {
		t.Errorf("queued: got %d %s", answer.StatusCode, text)
	}
}

// TestContentTypesAndAttributesGoBothWays holds which headers the container sees and which of its own come back.
func TestContentTypesAndAttributesGoBothWays(t *testing.T) {
	t.Parallel()
	saw := make(chan http.Header, 1)
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		saw <- r.Header.Clone()
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		if r.Header.Get("X-Amzn-SageMaker-Custom-Attributes") == "answer" {
			w.Header().Set("X-Amzn-SageMaker-Custom-Attributes", "trace=7")
		}
		io.WriteString(w, "1,2")
	}})
	for sent, back := range map[string]string{"answer": "trace=7", "say nothing": "", "": ""} {
		in := &runtime.InvokeEndpointInput{EndpointName: aws.String("e"), InferenceComponentName: aws.String("one"), Body: []byte("1"), ContentType: aws.String("text/csv"), Accept: aws.String("text/plain")}
		stream := &runtime.InvokeEndpointWithResponseStreamInput{EndpointName: in.EndpointName, InferenceComponentName: in.InferenceComponentName, Body: in.Body, ContentType: in.ContentType, Accept: in.Accept}
		if sent != "" {
			in.CustomAttributes, stream.CustomAttributes = &sent, &sent
		}
		out, err := h.runtime.InvokeEndpoint(t.Context(), in)
		if err != nil || aws.ToString(out.CustomAttributes) != back || aws.ToString(out.ContentType) != "text/csv; charset=utf-8" {
			t.Errorf("%q: got %+v %v, want %q back", sent, out, err, back)
		}
		whole := <-saw
		streamed, err := h.runtime.InvokeEndpointWithResponseStream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		ended(streamed)
		if aws.ToString(streamed.CustomAttributes) != back || aws.ToString(streamed.ContentType) != "text/csv; charset=utf-8" || aws.ToString(streamed.InvokedProductionVariant) != "main" {
			t.Errorf("%q streamed: got %+v, want %q back", sent, streamed, back)
		}
		for _, header := range []http.Header{whole, <-saw} {
			if header.Get("Accept") != "text/plain" || header.Get("Content-Type") != "text/csv" || header.Get("X-Amzn-SageMaker-Custom-Attributes") != sent || header.Get("X-Amzn-SageMaker-Accept") != "" {
				t.Errorf("%q: the container saw %v", sent, header)
			}
		}
	}
}

// ended reads a stream to its end. Streams of one client share a decoder (cloud.Place.InvokeStream), so the next may not begin
// while the last is still read.
func ended(out *runtime.InvokeEndpointWithResponseStreamOutput) {
	for range out.GetStream().Events() {
	}
	out.GetStream().Close()
}

// TestLongErrorsAreCutAsTheModelHasThem: a message of the runtime holds 2,048 characters.
func TestLongErrorsAreCutAsTheModelHasThem(t *testing.T) {
	t.Parallel()
	h := served(t, &programs{handle: func(w http.ResponseWriter, r *http.Request, _ string) {
		w.WriteHeader(http.StatusInternalServerError)
		io.Copy(w, r.Body)
	}})
	for sent, want := range map[string]struct{ original, message string }{
		"short":                   {"short", `Received server error (500) from primary with message "short". See `},
		"half a \xc3":             {"half a �", `with message "half a �". See `},
		strings.Repeat("海", 3000): {strings.Repeat("海", 2048), "Received server error (500) from primary and could not load the entire response body. See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:group=/aws/sagemaker/InferenceComponents/base in account 000000000000 for more information."},
	} {
		_, err := h.invoke("e", "one", sent)
		var known *types.ModelError
		if !errors.As(err, &known) || aws.ToString(known.OriginalMessage) != want.original || !strings.Contains(known.ErrorMessage(), want.message) {
			t.Errorf("%.20q: got %v", sent, err)
		}
	}
}

package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/cloud"
	"loradeck/internal/lora"
)

// told gives a context and what is told under it, by one goroutine.
func told(t *testing.T) (context.Context, *[]cloud.Call) {
	var calls []cloud.Call
	return cloud.WithTrace(t.Context(), func(c cloud.Call) { calls = append(calls, c) }), &calls
}

// words gives what a person reads of a call.
func words(calls []cloud.Call) []string {
	lines := make([]string, len(calls))
	for i, c := range calls {
		lines[i] = fmt.Sprintf("%s %s %d: %s => %s", c.Service, c.Operation, c.Status, c.Request, c.Answer)
	}
	return lines
}

func TestAnUploadIsToldByAddressAndSize(t *testing.T) {
	t.Parallel()
	place := open(t)
	ctx, calls := told(t)
	to := cloud.ObjectRef{Bucket: "loradeck-000000000000-us-east-1", Key: "t/a.tar.gz"}
	body := []byte("the weights")
	if err := place.EnsureBucket(ctx, to.Bucket); err != nil {
		t.Fatal(err)
	}
	id, err := place.CreateUpload(ctx, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	part, err := place.UploadPart(ctx, to, id, 1, io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := place.ListParts(ctx, to, id); err != nil {
		t.Fatal(err)
	}
	if _, err := place.OpenUploads(ctx, to); err != nil {
		t.Fatal(err)
	}
	if err := place.CompleteUpload(ctx, to, id, []cloud.Part{part}); err != nil {
		t.Fatal(err)
	}
	object, err := place.Head(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"s3 HeadBucket 404: s3://loradeck-000000000000-us-east-1 => NotFound",
		"s3 CreateBucket 200: s3://loradeck-000000000000-us-east-1 => OK",
		"s3 CreateMultipartUpload 200: " + to.URL() + " => upload " + id,
		"s3 UploadPart 200: " + to.URL() + " part 1, 11 B => ETag " + part.ETag,
		"s3 ListParts 200: " + to.URL() + " => 1 part",
		"s3 ListMultipartUploads 200: " + to.URL() + " => 1 upload",
		"s3 CompleteMultipartUpload 200: " + to.URL() + ", 1 part => ETag " + object.ETag,
		"s3 HeadObject 200: " + to.URL() + " => 11 B",
	}
	if diff := cmp.Diff(want, words(*calls)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	for _, c := range *calls {
		if c.RequestID == "" || c.At.IsZero() || c.Took <= 0 || c.Failed != (c.Status == http.StatusNotFound) {
			t.Errorf("told %+v", c)
		}
	}
}

func TestAControlCallIsToldByItsMembersAndItsRefusal(t *testing.T) {
	t.Parallel()
	place := open(t)
	ctx, calls := told(t)
	if _, err := place.CreateComponent(ctx, lora.ComponentSpec{
		Name: "pirate", Endpoint: "e", Base: "base", ArtifactURL: "s3://b/k", Tags: map[string]string{"loradeck:job": "1"},
	}); err == nil {
		t.Fatal("a component on no endpoint was accepted")
	}
	if _, err := place.Component(ctx, "pirate"); lora.KindOf(err) != lora.NotFound {
		t.Fatal(err)
	}
	request := `{"EndpointName":"e","InferenceComponentName":"pirate","Specification":{"BaseInferenceComponentName":"base",` +
		`"Container":{"ArtifactUrl":"s3://b/k"}},"Tags":[{"Key":"loradeck:job","Value":"1"}]}`
	for i, want := range []cloud.Call{
		{Service: "sagemaker", Operation: "CreateInferenceComponent", Request: request},
		{Service: "sagemaker", Operation: "DescribeInferenceComponent", Request: `{"InferenceComponentName":"pirate"}`},
	} {
		got := (*calls)[i]
		if got.Service != want.Service || got.Operation != want.Operation || got.Request != want.Request ||
			!got.Failed || got.Status != http.StatusBadRequest || got.RequestID == "" || !strings.HasPrefix(got.Answer, "ValidationException: ") {
			t.Errorf("told %+v", got)
		}
	}
}

// answering is a service that gives STS its answer and leaves the rest to do.
func answering(t *testing.T, do http.HandlerFunc) *cloud.Place {
	t.Helper()
	sts := &recorder{}
	wire := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "" && r.URL.Path == "/" {
			sts.ServeHTTP(w, r)
			return
		}
		do(w, r)
	}))
	t.Cleanup(wire.Close)
	return enter(t, wire.URL)
}

func TestTriesOfTheSDKAreOneCall(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	place := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"InferenceComponentName":"x","InferenceComponentStatus":"Failed","FailureReason":"It does\nnot fit."}`)
	})
	ctx, calls := told(t)
	if _, err := place.Component(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	want := []string{`sagemaker DescribeInferenceComponent 200: {"InferenceComponentName":"x"} => Failed: It does not fit. (tried 2 times)`}
	if diff := cmp.Diff(want, words(*calls)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestACallThatIsCutOffIsToldWithWhy(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	place := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does the server notice that the client goes
		close(asked)
		<-r.Context().Done()
	})
	ctx, calls := told(t)
	ctx, cut := context.WithCancelCause(ctx)
	go func() {
		<-asked
		cut(errors.New("the job was cancelled"))
	}()
	if _, err := place.Component(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	want := []string{`sagemaker DescribeInferenceComponent 0: {"InferenceComponentName":"x"} => cut off: the job was cancelled`}
	if diff := cmp.Diff(want, words(*calls)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestNeitherPromptsNorAnswersAreTold(t *testing.T) {
	t.Parallel()
	const secret = "xyzzy"
	refuse := false
	place := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if refuse {
			w.Header().Set("X-Amzn-Errortype", "ModelError")
			w.WriteHeader(http.StatusFailedDependency)
			fmt.Fprintf(w, `{"Message":"Received client error (400) from model with message \"%s\"","OriginalStatusCode":400,"OriginalMessage":"%s"}`, secret, secret)
			return
		}
		fmt.Fprintf(w, `{"choices":[{"index":0,"text":"%s"}]}`, secret)
	})
	ctx, calls := told(t)
	to := lora.Target{Endpoint: "e", Component: "pirate"}
	if _, err := place.Complete(ctx, to, cloud.CompletionRequest{Prompts: []string{secret}, MaxTokens: 1}); err != nil {
		t.Fatal(err)
	}
	refuse = true
	if _, err := place.Complete(ctx, to, cloud.CompletionRequest{Prompts: []string{secret}, MaxTokens: 1}); err == nil {
		t.Fatal("a refusal was taken for an answer")
	}
	want := []string{
		"sagemaker-runtime InvokeEndpoint 200: pirate, 51 B => 40 B",
		"sagemaker-runtime InvokeEndpoint 424: pirate, 51 B => ModelError: the container answered 400",
	}
	if diff := cmp.Diff(want, words(*calls)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestNothingIsToldThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	place := open(t)
	ctx, calls := told(t)
	if _, err := place.Component(t.Context(), "x"); lora.KindOf(err) != lora.NotFound {
		t.Fatal(err)
	}
	if _, err := place.Component(ctx, "y"); lora.KindOf(err) != lora.NotFound {
		t.Fatal(err)
	}
	if len(*calls) != 1 || !strings.Contains((*calls)[0].Request, `"y"`) {
		t.Errorf("told %v", words(*calls))
	}
}

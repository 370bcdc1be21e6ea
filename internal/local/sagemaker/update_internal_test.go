package sagemaker

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAnUpdateOfAnOlderComponentIsRefused has a component that was updated, and one that was made anew, since it was read.
func TestAnUpdateOfAnOlderComponentIsRefused(t *testing.T) {
	t.Parallel()
	p := fuzzed(t, &echoing{})
	ask := func(operation, input string) string {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
		r.Header.Set("X-Amz-Target", "SageMaker."+operation)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Body.String()
	}
	until := func(part string) {
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(ask("DescribeInferenceComponent", `{"InferenceComponentName":"base"}`), part); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s", part)
			}
		}
	}
	const made = `{"InferenceComponentName":"base","EndpointName":"e","VariantName":"all","Specification":{"ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":1024}},"RuntimeConfig":{"CopyCount":1}}`
	for _, since := range []struct {
		happens func()
		state   string
	}{
		{func() {
			ask("UpdateInferenceComponentRuntimeConfig", `{"InferenceComponentName":"base","DesiredRuntimeConfig":{"CopyCount":0}}`)
			until(`"DesiredCopyCount":0`)
			until(`"InService"`)
		}, "UPDATE_IN_PROGRESS"},
		{func() {
			ask("DeleteInferenceComponent", `{"InferenceComponentName":"base"}`)
			until("Could not find")
			ask("CreateInferenceComponent", made)
			until(`"InService"`)
		}, "DELETE_IN_PROGRESS"},
	} {
		read, _, err := p.findComponent(t.Context(), "base")
		if err != nil {
			t.Fatal(err)
		}
		wish, err := merged(read.body, document{})
		if err != nil {
			t.Fatal(err)
		}
		since.happens()
		want := "while it is in state " + since.state + ": it must reach a terminal state first."
		if _, err := p.beginUpdate(t.Context(), read, wish); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

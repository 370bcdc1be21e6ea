package sagemaker

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAnUpdateOfAnOlderEndpointIsRefused has an endpoint that was given another config since it was read.
func TestAnUpdateOfAnOlderEndpointIsRefused(t *testing.T) {
	t.Parallel()
	p := fuzzed(t, &echoing{})
	ask := func(operation, input string) string {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
		r.Header.Set("X-Amz-Target", "SageMaker."+operation)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", operation, w.Code, w.Body)
		}
		return w.Body.String()
	}
	read, _, err := p.findEndpoint(t.Context(), "e")
	if err != nil {
		t.Fatal(err)
	}
	wish := endpointWish{Config: read.config}
	if err := json.Unmarshal([]byte(read.variants), &wish.Variants); err != nil {
		t.Fatal(err)
	}
	ask("CreateEndpointConfig", `{"EndpointConfigName":"another","ExecutionRoleArn":"arn:aws:iam::000000000000:role/local","ProductionVariants":[{"VariantName":"all","InstanceType":"ml.g5.xlarge","InitialInstanceCount":1}]}`)
	ask("UpdateEndpoint", `{"EndpointName":"e","EndpointConfigName":"another"}`)
	for !strings.Contains(ask("DescribeEndpoint", `{"EndpointName":"e"}`), `"InService"`) {
	}
	if _, err := p.beginEndpointUpdate(t.Context(), read, wish); err == nil {
		t.Error("what was asked of the endpoint as it was is done to the endpoint as it is")
	}
	if got := ask("DescribeEndpoint", `{"EndpointName":"e"}`); !strings.Contains(got, `"EndpointConfigName":"another"`) {
		t.Errorf("it is %s", got)
	}
}

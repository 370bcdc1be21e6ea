//go:build browser

package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// operate calls an operation of the local platform's control plane, as another AWS client does.
func operate(t *testing.T, p *process, operation, input string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.aws, strings.NewReader(input))
	must(t, err)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=00")
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "SageMaker."+operation)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", operation, answer.Status, text)
	}
}

func scale(t *testing.T, p *process, copies string) {
	t.Helper()
	operate(t, p, "UpdateInferenceComponentRuntimeConfig", `{"InferenceComponentName":"tiny-llama-base","DesiredRuntimeConfig":{"CopyCount":`+copies+`}}`)
}

// TestBrowserWhatCannotAnswerIsNotOffered scales a base to nothing and back while its deck is open, and has one that does not start.
func TestBrowserWhatCannotAnswerIsNotOffered(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.open(p.url)
	b.shows(b.heading("Base component tiny-llama-base"))
	deploy(b, "pirate")
	operate(t, p, "CreateModel", `{"ModelName":"wrong","ExecutionRoleArn":"arn:aws:iam::000000000000:role/local","PrimaryContainer":{"Image":"local/vllm:0.11.2",
		"Environment":{"SM_VLLM_ENABLE_LORA":"true","VLLM_ALLOW_RUNTIME_LORA_UPDATING":"true","SM_VLLM_MAX_LORA_RANK":"33"},
		"ModelDataSource":{"S3DataSource":{"S3Uri":"s3://loradeck-models-000000000000-us-east-1/tiny-llama/","S3DataType":"S3Prefix","CompressionType":"None"}}}}`)
	operate(t, p, "CreateInferenceComponent", `{"InferenceComponentName":"wrong","EndpointName":"local","VariantName":"main",
		"Specification":{"ModelName":"wrong","ComputeResourceRequirements":{"MinMemoryRequiredInMb":512}},"RuntimeConfig":{"CopyCount":1}}`)

	b.open(p.url)
	b.shows(b.GetByText(`SM_VLLM_MAX_LORA_RANK is "33", which vLLM does not take`))
	b.shows(b.link("Compare pirate with the base"))
	scale(t, p, "0")
	compare := b.button("Compare pirate with the base")
	b.shows(compare) // by the socket
	must(t, expect().Locator(compare).ToBeDisabled())
	must(t, expect().Locator(b.button("Try base")).ToBeDisabled())
	must(t, expect().Locator(b.button("Deploy sample json")).ToBeDisabled())

	playground := "/playground?base=" + url.QueryEscape("aws:000000000000:us-east-1 tiny-llama-base")
	look(t, p, []view{
		{"deck-idle", "/", "text=No copy of tiny-llama-base runs"}, {"playground-idle", playground, "text=No copy of tiny-llama-base runs"},
		{"adapter-idle", "/adapters/1", "text=No copy of tiny-llama-base runs"}, {"job-idle", "/jobs/1", "text=No copy of tiny-llama-base runs"},
	})
	b.open(p.url + playground)
	must(t, b.GetByLabel("Message or prompt").Fill("What is the capital of France?"))
	b.press("Control+Enter")
	must(t, expect().Locator(b.button("Run")).ToBeDisabled())
	if !strings.Contains(b.URL(), "/playground") {
		t.Errorf("a question that nobody answers was sent: %s", b.URL())
	}

	b.open(p.url)
	b.shows(compare)
	scale(t, p, "1")
	b.click(b.link("Compare pirate with the base"))
	b.click(b.button("Run"))
	b.reads(b.Locator("#run [role=status]"), "All have answered", toEnd)
}

package sagemaker_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
)

// recordedIn gives the recorded files in a directory.
func recordedIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, text := range recorded(t) {
		if file, ok := strings.CutPrefix(name, dir); ok {
			files[file] = text
		}
	}
	return files
}

// TestRealUpdatesChangeTheAnswer updates an adapter in place and its base beside it, on the engine. The base brings its own
// image and artifact: first a prefix, then an archive.
func TestRealUpdatesChangeTheAnswer(t *testing.T) {
	t.Parallel()
	h, model, adapter := realHouse(t, time.Now), recordedIn(t, "base/"), recordedIn(t, "good/")
	in := baseInput("base", "e", "")
	in.Specification.ModelName = nil
	in.Specification.Container = &types.InferenceComponentContainerSpecification{
		Image: aws.String("vllm:0.11.2"), ArtifactUrl: aws.String("s3://models/tiny/"),
		Environment: map[string]string{"SM_VLLM_ENABLE_LORA": "true", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true"},
	}
	if got := h.create(in); got.InferenceComponentStatus != "InService" {
		t.Fatalf("the base is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	h.create(adapterInput("one", "e", "base", artifact))
	base, before := h.completion("base"), h.completion("one")

	var config map[string]any
	if err := json.Unmarshal([]byte(adapter["adapter_config.json"]), &config); err != nil {
		t.Fatal(err)
	}
	config["lora_alpha"] = 8 * config["lora_alpha"].(float64)
	louder, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	adapter["adapter_config.json"] = string(louder)
	h.shelf.put("adapters/two.tar.gz", archive(t, adapter))
	h.update(artifactUpdate("one", "s3://adapters/two.tar.gz"))
	h.settled("one")
	after := h.completion("one")
	if after == before || after == base || h.completion("base") != base {
		t.Errorf("base %q, adapter before its update %q, after it %q", base, before, after)
	}

	h.shelf.put("models/tiny.tar.gz", archive(t, model))
	h.update(&control.UpdateInferenceComponentInput{InferenceComponentName: aws.String("base"), Specification: &types.InferenceComponentSpecification{
		Container: &types.InferenceComponentContainerSpecification{ArtifactUrl: aws.String("s3://models/tiny.tar.gz")},
	}})
	if got := h.settled("base"); got.InferenceComponentStatus != "InService" || got.FailureReason != nil {
		t.Fatalf("the base is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	if h.completion("base") != base || h.completion("one") != after {
		t.Errorf("on the same weights the base answers %q and its adapter %q", h.completion("base"), h.completion("one"))
	}

	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(0)))
	h.settled("base")
	done(t)(h.control.UpdateInferenceComponentRuntimeConfig(t.Context(), scaling(1)))
	h.settled("base")
	if h.completion("base") != base || h.completion("one") != after {
		t.Errorf("back from zero the base answers %q and its adapter %q", h.completion("base"), h.completion("one"))
	}
}

// TestRealModelComesAsAnArchive has a Model whose ModelDataUrl is a tar.gz.
func TestRealModelComesAsAnArchive(t *testing.T) {
	t.Parallel()
	h, model := realHouse(t, time.Now), recordedIn(t, "base/")
	h.shelf.put("models/tiny.tar.gz", archive(t, model))
	done(t)(h.control.CreateModel(t.Context(), &control.CreateModelInput{ModelName: aws.String("packed"), ExecutionRoleArn: aws.String(role), PrimaryContainer: &types.ContainerDefinition{
		Image: aws.String("vllm:0.11.2"), ModelDataUrl: aws.String("s3://models/tiny.tar.gz"),
	}}))
	if got := h.create(baseInput("base", "e", "packed")); got.InferenceComponentStatus != "InService" {
		t.Fatalf("the base is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	if h.completion("base") == "" {
		t.Error("it answers nothing")
	}
	done(t)(h.control.CreateModel(t.Context(), &control.CreateModelInput{ModelName: aws.String("gone"), ExecutionRoleArn: aws.String(role), PrimaryContainer: &types.ContainerDefinition{
		Image: aws.String("vllm:0.11.2"), ModelDataUrl: aws.String("s3://models/none.tar.gz"),
	}}))
	if got := h.create(baseInput("lost", "e", "gone")); got.InferenceComponentStatus != "Failed" || !strings.Contains(aws.ToString(got.FailureReason), `bucket "models" and key "none.tar.gz"`) {
		t.Errorf("without its archive a base is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
}

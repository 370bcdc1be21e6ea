package sagemaker_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
)

// TestWrongVariablesFailTheBaseInVLLMsWords goes from CreateModel's environment to DescribeInferenceComponent's FailureReason
// (recordings, startup.json).
func TestWrongVariablesFailTheBaseInVLLMsWords(t *testing.T) {
	t.Parallel()
	h := realHouse(t, time.Now)
	for name, c := range map[string]struct {
		tag      string
		variable string
		says     string
	}{
		"rank":      {"0.11.2", "SM_VLLM_MAX_LORA_RANK=24", "api_server.py: error: argument --max-lora-rank: invalid choice: 24 (choose from 1, 8, 16, 32, 64, 128, 256, 320, 512)"},
		"number":    {"0.11.2", "SM_VLLM_MAX_LORAS=two", "argument --max-loras: invalid int value: 'two'"},
		"none":      {"0.32.0", "SM_VLLM_MAX_LORAS=0", "1 validation error for LoRAConfig"},
		"fewer":     {"0.11.2", "SM_VLLM_MAX_LORAS=2 SM_VLLM_MAX_CPU_LORAS=1", "Value error, max_cpu_loras (1) must be >= max_loras (2)"},
		"misnamed":  {"0.27.1", "SM_VLLM_ALLOW_RUNTIME_LORA_UPDATING=true", "api_server.py: error: unrecognized arguments: --allow-runtime-lora-updating"},
		"static":    {"0.11.2", "SM_VLLM_LORA_MODULES=x=/nowhere", "Loading lora x failed: No adapter found for /nowhere"},
		"too-long":  {"0.11.2", "SM_VLLM_MAX_MODEL_LEN=100000", "max_model_len"},
		"not-here":  {"0.11.2", "SM_VLLM_CHAT_TEMPLATE=/x.jinja", "The local platform does not do --chat-template, SageMaker would."},
		"elsewhere": {"0.11.2", "SM_VLLM_MODEL=org/model", "does not download models"},
	} {
		h.modelOf(name, c.tag, strings.Fields(c.variable)...)
		got := h.create(baseInput(name, "e", name))
		if got.InferenceComponentStatus != "Failed" || !strings.Contains(aws.ToString(got.FailureReason), c.says) || len(aws.ToString(got.FailureReason)) > 1024 {
			t.Errorf("%s: %s with %q, want %q", c.variable, got.InferenceComponentStatus, aws.ToString(got.FailureReason), c.says)
		}
		h.delete(name)
	}
	h.modelOf("right", "0.32.0", "SM_VLLM_MAX_LORAS=2", "SM_VLLM_MAX_CPU_LORAS=4", "SM_VLLM_MAX_LORA_RANK=8", "SM_VLLM_ENFORCE_EAGER=false", "SM_VLLM_SERVED_MODEL_NAME=tiny")
	if got := h.create(baseInput("right", "e", "right")); got.InferenceComponentStatus != "InService" {
		t.Errorf("right ones: %s with %q", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	if text, err := h.invoke("e", "right", prompt); err != nil || !strings.Contains(text, `"model":"tiny"`) {
		t.Errorf("the base calls itself: %s %v", text, err)
	}
}

// TestAdaptersBeyondTheLimitsWaitAndAnswer has more adapters than fit the batch and the memory: each still answers, and as it
// does alone (facts §3.4; recordings, behaviour.json).
func TestAdaptersBeyondTheLimitsWaitAndAnswer(t *testing.T) {
	t.Parallel()
	h := realHouse(t, time.Now)
	h.modelOf("m", "0.11.2", "SM_VLLM_MAX_LORAS=1", "SM_VLLM_MAX_CPU_LORAS=2")
	h.create(baseInput("base", "e", "m"))
	names := []string{"a", "b", "c", "d", "e"}
	for _, name := range names {
		if got := h.create(adapterInput(name, "e", "base", artifact)); got.InferenceComponentStatus != "InService" {
			t.Fatalf("%s is %s", name, got.InferenceComponentStatus)
		}
	}
	base, adapted := h.completion("base"), h.completion("a")
	if base == adapted {
		t.Fatalf("base and adapter answer %q", base)
	}
	var asked sync.WaitGroup
	for range 3 {
		for _, name := range names {
			asked.Go(func() {
				if text, err := h.invoke("e", name, prompt); err != nil || !strings.Contains(text, `"model":"`+name+`"`) || !strings.Contains(text, encoded(adapted)) {
					t.Errorf("%s: got %s %v, want %q", name, text, err, adapted)
				}
			})
		}
	}
	asked.Wait()
}

// encoded is a text as it stands in JSON.
func encoded(text string) string {
	out, _ := json.Marshal(text) // a string always can be
	return string(out)
}

// TestAdaptersThatSettingsKeepOutAreInServiceAndDead: a slot that is too small, LoRA switched off and no updating at run time
// are seen only when the adapter is invoked (facts §2.6).
func TestAdaptersThatSettingsKeepOutAreInServiceAndDead(t *testing.T) {
	t.Parallel()
	h := realHouse(t, time.Now)
	for name, c := range map[string]struct{ variable, says string }{
		"small":  {"SM_VLLM_MAX_LORA_RANK=1", "The model `small-adapter` does not exist."},
		"off":    {"SM_VLLM_ENABLE_LORA=false", "The model `off-adapter` does not exist."},
		"frozen": {"VLLM_ALLOW_RUNTIME_LORA_UPDATING=false", `{"detail":"Not Found"}`},
	} {
		h.modelOf(name, "0.11.2", c.variable)
		h.create(baseInput(name, "e", name))
		if got := h.create(adapterInput(name+"-adapter", "e", name, artifact)); got.InferenceComponentStatus != "InService" {
			t.Errorf("%s: the adapter is %s: %s", name, got.InferenceComponentStatus, aws.ToString(got.FailureReason))
		}
		var dead *types.ModelError
		if _, err := h.invoke("e", name+"-adapter", prompt); !errors.As(err, &dead) || aws.ToInt32(dead.OriginalStatusCode) != 404 || !strings.Contains(aws.ToString(dead.OriginalMessage), c.says) {
			t.Errorf("%s: got %v, want 404 with %s", name, err, c.says)
		}
		if _, err := h.invoke("e", name, prompt); err != nil {
			t.Errorf("%s: the base answers %v", name, err)
		}
	}
}

package container

import (
	"strings"
	"testing"
)

func TestEnvironmentBecomesFlagsAsTheEntrypointDoes(t *testing.T) {
	t.Parallel()
	got, err := readSettings(map[string]string{
		"SM_VLLM_ENABLE_LORA": "TRUE", "SM_VLLM_MAX_LORA_RANK": "64", "SM_VLLM_MAX_LORAS": "2", "SM_VLLM_MAX_CPU_LORAS": "4",
		"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "SM_VLLM_MAX_MODEL_LEN": "4k", "SM_VLLM_ENFORCE_EAGER": "false",
		"SM_VLLM_NO_ENABLE_PREFIX_CACHING": "true", "SM_VLLM_GPU_MEMORY_UTILIZATION": "0.9", "HF_MODEL_ID": "some/model",
		"SM_VLLM_SERVED_MODEL_NAME": "tiny other", "SM_VLLM_MAX_NUM_SEQS": " 16 ",
	})
	want := settings{
		served: "tiny", enableLora: true, maxRank: 64, maxLoras: 2, runtime: true, context: 4000, sequences: 16, maxLogprobs: 20,
		ownDefaults: true,
	}
	if err != nil || !equalSettings(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func equalSettings(a, b settings) bool {
	if strings.Join(a.modules, "\x00") != strings.Join(b.modules, "\x00") {
		return false
	}
	a.modules, b.modules = nil, nil
	return a.served == b.served && a.enableLora == b.enableLora && a.maxRank == b.maxRank && a.maxLoras == b.maxLoras &&
		a.runtime == b.runtime && a.context == b.context && a.sequences == b.sequences && a.maxLogprobs == b.maxLogprobs &&
		a.ownDefaults == b.ownDefaults
}

func TestDefaultsAreThoseOfVLLM(t *testing.T) {
	t.Parallel()
	got, err := readSettings(nil)
	if err != nil || got.enableLora || got.runtime || got.maxRank != 16 || got.maxLoras != 1 || got.served != modelPath {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWrongVariablesStopTheStart(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		want        string
		environment map[string]string
	}{
		{"argument --max-loras: invalid int value: 'two'", map[string]string{"SM_VLLM_MAX_LORAS": "two"}},
		{"argument --max-lora-rank: expected one argument", map[string]string{"SM_VLLM_MAX_LORA_RANK": ""}},
		{"invalid choice: 24 (choose from 1, 8, 16, 32, 64, 128, 256, 320, 512)", map[string]string{"SM_VLLM_MAX_LORA_RANK": "24"}},
		{"unrecognized arguments: --allow-runtime-lora-updating", map[string]string{"SM_VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true"}},
		{"unrecognized arguments: --max-lora 4", map[string]string{"SM_VLLM_MAX_LORA": "4"}},
		{"unrecognized arguments: 1", map[string]string{"SM_VLLM_ENABLE_LORA": "1"}},
		{"max_cpu_loras (1) must be >= max_loras (2)", map[string]string{"SM_VLLM_ENABLE_LORA": "true", "SM_VLLM_MAX_LORAS": "2", "SM_VLLM_MAX_CPU_LORAS": "1"}},
		{"The local platform does not do --chat-template, SageMaker would.", map[string]string{"SM_VLLM_CHAT_TEMPLATE": "x.jinja"}},
		{"does not download models", map[string]string{"SM_VLLM_MODEL": "org/model"}},
	} {
		if _, err := readSettings(one.environment); err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%v: got %v, want %q", one.environment, err, one.want)
		}
	}
	if _, err := readSettings(map[string]string{"SM_VLLM_MAX_LORAS": "2", "SM_VLLM_MAX_CPU_LORAS": "1"}); err != nil {
		t.Errorf("without LoRA its numbers are not compared: %v", err)
	}
}

package container

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
)

func TestEnvironmentBecomesFlagsAsTheEntrypointDoes(t *testing.T) {
	t.Parallel()
	got, err := readSettings(map[string]string{
		"SM_VLLM_ENABLE_LORA": "TRUE", "SM_VLLM_MAX_LORA_RANK": "64", "SM_VLLM_MAX_LORAS": "2", "SM_VLLM_MAX_CPU_LORAS": "4",
		"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "SM_VLLM_MAX_MODEL_LEN": "4k", "SM_VLLM_ENFORCE_EAGER": "false",
		"SM_VLLM_NO_ENABLE_PREFIX_CACHING": "true", "SM_VLLM_GPU_MEMORY_UTILIZATION": "0.9", "HF_MODEL_ID": "some/model",
		"SM_VLLM_SERVED_MODEL_NAME": "tiny other", "SM_VLLM_MAX_NUM_SEQS": " 16 ",
	}, dialectOf("0.11.2"))
	want := settings{
		served: "tiny other", enableLora: true, maxRank: 64, maxLoras: 2, cpuLoras: 4, runtime: true, context: 4000, sequences: 16, shards: 1, maxLogprobs: 20,
		ownDefaults: true,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{})); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
}

func TestDefaultsAreThoseOfVLLM(t *testing.T) {
	t.Parallel()
	got, err := readSettings(nil, dialectOf(""))
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
		{"ambiguous option: --max-lora could match --max-loras, --max-lora-rank", map[string]string{"SM_VLLM_MAX_LORA": "4"}},
		{"argument --tensor-parallel-size/-tp: invalid int value: 'all'", map[string]string{"SM_VLLM_TENSOR_PARALLEL_SIZE": "all"}},
		{"max_cpu_loras (1) must be >= max_loras (2)", map[string]string{"SM_VLLM_ENABLE_LORA": "true", "SM_VLLM_MAX_LORAS": "2", "SM_VLLM_MAX_CPU_LORAS": "1"}},
		{"The local platform does not do --chat-template, SageMaker would.", map[string]string{"SM_VLLM_CHAT_TEMPLATE": "x.jinja"}},
		{"does not download models", map[string]string{"SM_VLLM_MODEL": "org/model"}},
	} {
		if _, err := readSettings(one.environment, dialectOf("")); err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%v: got %v, want %q", one.environment, err, one.want)
		}
	}
	if _, err := readSettings(map[string]string{"SM_VLLM_MAX_LORAS": "2", "SM_VLLM_MAX_CPU_LORAS": "1"}, dialectOf("")); err != nil {
		t.Errorf("without LoRA its numbers are not compared: %v", err)
	}
}

// TestNumbersAreHeldToVLLMsConfigurations has what 0.27.1 and 0.32.0 said to these values, and 0.11.2 by its source; "" is that they
// were taken.
func TestNumbersAreHeldToVLLMsConfigurations(t *testing.T) {
	t.Parallel()
	both, later := []string{"0.11.2", "0.32.0"}, []string{"0.32.0"}
	for _, one := range []struct {
		versions    []string
		environment string
		want        string
	}{
		{both, "GPU_MEMORY_UTILIZATION=1.5", "1 validation error for CacheConfig: gpu_memory_utilization: Input should be less than or equal to 1, got 1.5"},
		{both, "GPU_MEMORY_UTILIZATION=nan", "gpu_memory_utilization: Input should be less than or equal to 1"},
		{both, "GPU_MEMORY_UTILIZATION=0", "gpu_memory_utilization: Input should be greater than 0, got 0"},
		{both, "GPU_MEMORY_UTILIZATION=1", ""},
		{both, "GPU_MEMORY_UTILIZATION=2 MAX_LORAS=0", "CacheConfig"},
		{both, "MAX_LORAS=0", "1 validation error for LoRAConfig: max_loras: Input should be greater than or equal to 1, got 0"},
		{both, "MAX_NUM_SEQS=0", "1 validation error for SchedulerConfig: max_num_seqs: Input should be greater than or equal to 1, got 0"},
		{both, "MAX_NUM_BATCHED_TOKENS=4 MAX_NUM_SEQS=8", "max_num_batched_tokens (4) must be greater than or equal to max_num_seqs (8)"},
		{both, "MAX_NUM_BATCHED_TOKENS=8k MAX_NUM_SEQS=8", ""},
		{both, "MAX_NUM_BATCHED_TOKENS=3m MAX_NUM_SEQS=4000000", "max_num_batched_tokens (3000000) must be greater than or equal to max_num_seqs (4000000)"},
		{both, "MAX_LORAS=2 MAX_CPU_LORAS=0", ""},
		{both, "MAX_LORAS=2 MAX_CPU_LORAS=-1", ""},
		{both, "MAX_LOGPROBS=-1", ""},
		{later, "SPECULATIVE_CONFIG=", "argument --speculative-config/-sc: expected one argument"},
		{later, "MAX_LOGPROBS=-2", "1 validation error for ModelConfig: max_logprobs: Input should be greater than or equal to -1, got -2"},
		{later, "MAX_MODEL_LEN=-5", "max_model_len: Input should be greater than or equal to -1, got -5"},
		{later, "MAX_MODEL_LEN=0", "max_model_len must be a positive integer, got int: 0"},
		{later, "MAX_MODEL_LEN=auto", ""},
		{later, "TENSOR_PARALLEL_SIZE=0", "1 validation error for ParallelConfig: tensor_parallel_size: Input should be greater than or equal to 1, got 0"},
	} {
		environment := map[string]string{"SM_VLLM_ENABLE_LORA": "true"}
		for _, variable := range strings.Fields(one.environment) {
			name, value, _ := strings.Cut(variable, "=")
			environment["SM_VLLM_"+name] = value
		}
		for _, version := range one.versions {
			s, err := readSettings(environment, dialectOf(version))
			switch {
			case one.want == "" && (err != nil || s.cpuLoras < s.maxLoras):
				t.Errorf("%s in %s: %+v, %v", one.environment, version, s, err)
			case one.want != "" && (err == nil || !strings.Contains(lora.Message(err), one.want)):
				t.Errorf("%s in %s: %v, want %q", one.environment, version, err, one.want)
			}
		}
	}
}

// TestWhatStopsTheStartIsToldAsInTheContainer has settings that only a base can be held to: its 4 heads go on 2 devices and not on 3.
func TestWhatStopsTheStartIsToldAsInTheContainer(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	for _, one := range []struct{ variable, value, version, want string }{
		{"SM_VLLM_TENSOR_PARALLEL_SIZE", "2", "", ""},
		{"SM_VLLM_TENSOR_PARALLEL_SIZE", "3", "", "Total number of attention heads (4) must be divisible by tensor parallel size (3)."},
		{"SM_VLLM_TENSOR_PARALLEL_SIZE", "0", "0.11.2", "ZeroDivisionError"},
		{"SM_VLLM_LORA_MODULES", "x=/opt/ml/model/nowhere", "0.11.2", "No adapter found for /opt/ml/model/nowhere"},
		{"SM_VLLM_LORA_MODULES", "x=/opt/ml/model/nowhere", "0.32.0", "No adapter found for /opt/ml/model/nowhere"},
	} {
		environment := recordedEnvironment()
		environment[one.variable] = one.value
		c, err := Start(t.Context(), Config{ModelDir: filepath.Join(dir, "base"), Name: "tiny", Version: one.version, Environment: environment})
		if err == nil {
			err = c.Close()
		}
		if told := lora.Message(err); !strings.Contains(told, one.want) || one.want == "" && err != nil {
			t.Errorf("%s=%s: %q, want %q", one.variable, one.value, told, one.want)
		}
	}
}

func TestOptionsAboutLoRAComeAndGoWithTheVersion(t *testing.T) {
	t.Parallel()
	for variable, first := range map[string]string{"SM_VLLM_LORA_TARGET_MODULES": "0.27.1", "SM_VLLM_LORA_EXTRA_VOCAB_SIZE": "0.11.2"} { // 512 is one of the latter's choices
		for _, version := range []string{"0.11.2", "0.27.1"} {
			_, err := readSettings(map[string]string{variable: "512"}, dialectOf(version))
			if known := err == nil; known != (version == first) {
				t.Errorf("%s in %s: %v", variable, version, err)
			}
		}
	}
}

// TestEntrypointsOfLaterImagesTakeJSONApart has the value rules of the image's entrypoint (facts §2.1).
func TestEntrypointsOfLaterImagesTakeJSONApart(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		`["a=/x", {"name": "b", "path": "/y"}]`: {"a=/x", `{"name": "b", "path": "/y"}`},
		`{"name": "b"} {"name": "c"}`:           {`{"name": "b"}`, `{"name": "c"}`},
		`{"name": "b"}`:                         {`{"name": "b"}`},
		`[1, true]`:                             {"1", "true"},
		`[]`:                                    nil,
		`a=/x b=/y`:                             {"a=/x b=/y"},
		`[broken`:                               {"[broken"},
		`1 2`:                                   {"1 2"},
	} {
		for _, version := range []string{"0.11.2", "0.27.1"} {
			want := want
			if version == "0.11.2" {
				want = []string{value} // older images pass every value on as one token
			}
			var got []string
			for _, f := range flags(map[string]string{"SM_VLLM_LORA_MODULES": value}, dialectOf(version)) {
				got = append(got, f.values...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s in %s: %s", value, version, diff)
			}
		}
	}
	later := dialectOf("0.32.0")
	if _, err := readSettings(map[string]string{"SM_VLLM_MAX_LORAS": "[2, 3, 4]"}, later); err == nil || !strings.Contains(err.Error(), "unrecognized arguments: 4") {
		t.Errorf("three numbers for one, of which one passes for the model's tag: %v", err)
	}
	if s, err := readSettings(map[string]string{"SM_VLLM_ALLOWED_ORIGINS": `["*"]`, "SM_VLLM_LORA_TARGET_MODULES": `["q_proj", "v_proj"]`}, later); err != nil || len(s.targets) != 2 {
		t.Errorf("lists: %v, %v", s.targets, err)
	}
}

// TestArgumentsAreJudgedAsRecorded has what the parsers of real vLLMs said to words on their command line (recorded with
// tools/vllm, Python 3.11); "" is that they were taken.
func TestArgumentsAreJudgedAsRecorded(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.11.2", "0.32.0"} {
		var cases []struct {
			Args []string `json:"args"`
			Says string   `json:"says"`
		}
		raw, err := os.ReadFile(recordingPath(version, "arguments"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &cases); err != nil || len(cases) < 50 {
			t.Fatalf("%d cases, %v", len(cases), err)
		}
		for _, one := range cases {
			var given []flag
			for _, word := range one.Args {
				if strings.HasPrefix(word, "--") {
					given = append(given, flag{name: word})
					continue
				}
				last := &given[len(given)-1]
				last.values = append(last.values, word)
			}
			says := ""
			if _, _, err := readFlags(given, dialectOf(version)); err != nil {
				says = lora.Message(err)
			}
			if says != one.Says {
				t.Errorf("%s, %v: says %q, recorded %q", version, one.Args, says, one.Says)
			}
		}
	}
}

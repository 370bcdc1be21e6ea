package container

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"loradeck/internal/lora"
)

// modelPath is where SageMaker puts the model in the container, and so vLLM's name for the base.
const modelPath = "/opt/ml/model"

// loraRanks are the values vLLM takes for --max-lora-rank (recordings, startup.json).
var loraRanks = []int{1, 8, 16, 32, 64, 128, 256, 320, 512}

// settings are the options of vLLM that this container acts on, after the image's entrypoint has turned SM_VLLM_*
// variables into flags (facts/sagemaker-vllm.md §2.1).
type settings struct {
	served      string // name of the base in answers
	enableLora  bool
	maxRank     int
	maxLoras    int  // different adapters in one batch
	cpuLoras    int  // adapters kept in memory
	runtime     bool // VLLM_ALLOW_RUNTIME_LORA_UPDATING
	context     int  // 0: as long as the base allows
	sequences   int  // requests in one batch; 0: the engine's own choice
	maxLogprobs int
	ownDefaults bool     // sampling defaults from the base's generation_config.json
	modules     []string // --lora-modules, one token each
	targets     []string // --lora-target-modules: the modules that adapters may change, empty is all
}

// argumentError speaks as vLLM's command line does; SageMaker would show it in the component's log, and the local platform
// makes it the FailureReason.
func argumentError(format string, args ...any) error {
	return lora.Errorf(lora.Invalid, "api_server.py: error: "+format, args...)
}

// readSettings judges the environment in vLLM's order: each value as the command line reads it, then options it does not
// know, then the LoRA numbers against each other.
func readSettings(environment map[string]string, d dialect) (settings, error) {
	s := settings{served: modelPath, maxRank: 16, maxLoras: 1, maxLogprobs: 20, ownDefaults: true}
	switch strings.ToLower(strings.TrimSpace(environment[lora.EnvRuntimeUpdate])) {
	case "1", "true":
		s.runtime = true
	}
	cpuLoras := -1
	var unknown []string
	for _, f := range flags(environment, d) {
		known, err := s.apply(f, &cpuLoras)
		known = known && d.knows(f.name)
		if err != nil {
			return settings{}, err
		}
		if !known {
			unknown = append(unknown, f.name)
			if !f.bare {
				unknown = append(append(unknown, f.value), f.more...)
			}
		}
	}
	if len(unknown) > 0 {
		return settings{}, argumentError("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	s.cpuLoras = s.maxLoras
	if cpuLoras >= 0 {
		s.cpuLoras = cpuLoras
	}
	if !s.enableLora {
		return s, nil
	}
	if s.maxLoras < 1 {
		return settings{}, lora.Errorf(lora.Invalid, "1 validation error for LoRAConfig: max_loras: Input should be greater than or equal to 1, got %d", s.maxLoras)
	}
	if cpuLoras >= 0 && cpuLoras < s.maxLoras {
		return settings{}, lora.Errorf(lora.Invalid, "1 validation error for LoRAConfig: Value error, max_cpu_loras (%d) must be >= max_loras (%d)", cpuLoras, s.maxLoras)
	}
	return s, nil
}

// apply takes in one option; false when vLLM does not know it.
func (s *settings) apply(f flag, cpuLoras *int) (bool, error) {
	number := func(into *int) (bool, error) {
		if f.bare {
			return true, argumentError("argument %s: expected one argument", f.name)
		}
		n, err := strconv.Atoi(strings.TrimSpace(f.value))
		if err != nil {
			return true, argumentError("argument %s: invalid int value: %s", f.name, reprText(f.value))
		}
		if len(f.more) > 0 {
			return true, argumentError("unrecognized arguments: %s", strings.Join(f.more, " "))
		}
		*into = n
		return true, nil
	}
	switch f.name {
	case "--enable-lora", "--no-enable-lora":
		s.enableLora = f.name == "--enable-lora"
		if !f.bare {
			return true, argumentError("unrecognized arguments: %s", f.value)
		}
		return true, nil
	case "--max-lora-rank":
		known, err := number(&s.maxRank)
		if err == nil && !slices.Contains(loraRanks, s.maxRank) {
			err = argumentError("argument --max-lora-rank: invalid choice: %d (choose from %s)", s.maxRank,
				strings.Trim(strings.Join(strings.Fields(fmt.Sprint(loraRanks)), ", "), "[]"))
		}
		return known, err
	case "--max-loras":
		return number(&s.maxLoras)
	case "--max-cpu-loras":
		return number(cpuLoras)
	case "--max-num-seqs":
		return number(&s.sequences)
	case "--max-logprobs":
		return number(&s.maxLogprobs)
	case "--max-model-len":
		n, ok := readableInt(f.value)
		if !ok {
			return true, argumentError("argument --max-model-len: invalid human_readable_int value: %s", reprText(f.value))
		}
		s.context = n
		return true, nil
	case "--served-model-name":
		if fields := strings.Fields(f.value); len(fields) > 0 {
			s.served = fields[0]
		}
		return true, nil
	case "--lora-modules":
		s.modules = append([]string{f.value}, f.more...)
		return true, nil
	case "--lora-target-modules":
		s.targets = append(strings.Fields(f.value), f.more...)
		return true, nil
	case "--generation-config":
		s.ownDefaults = f.value != "vllm"
		return true, nil
	case "--model":
		if f.value != modelPath && f.value != modelPath+"/" {
			return true, lora.Errorf(lora.Invalid, "SM_VLLM_MODEL names %s: the local platform does not download models, SageMaker would. Leave the variable out and give the model its files in S3.", f.value)
		}
		return true, nil
	}
	return f.elsewhere()
}

// elsewhere judges an option that nothing here acts on: one that changes answers is refused, any other that vLLM knows is
// passed over.
func (f flag) elsewhere() (known bool, err error) {
	if slices.Contains(refusedOptions, strings.TrimPrefix(f.name, "--")) {
		return true, lora.Errorf(lora.Invalid, "The local platform does not do %s, SageMaker would. Leave its SM_VLLM_ variable out.", f.name)
	}
	return slices.Contains(ignoredOptions, strings.TrimPrefix(strings.Replace(f.name, "--no-", "--", 1), "--")), nil
}

var readable = regexp.MustCompile(`^(\d+(?:\.\d+)?)([kKmMgG])$`)

// readableInt reads "4096", "8k" (8000), "25.6k" and "8K" (8192).
func readableInt(text string) (int, bool) {
	text = strings.TrimSpace(text)
	m := readable.FindStringSubmatch(text)
	if m == nil {
		n, err := strconv.Atoi(text)
		return n, err == nil
	}
	unit := map[string]int{"k": 1e3, "m": 1e6, "g": 1e9, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[m[2]]
	if strings.ToUpper(m[2]) == m[2] {
		n, err := strconv.Atoi(m[1])
		return n * unit, err == nil
	}
	f, err := strconv.ParseFloat(m[1], 64)
	return int(f * float64(unit)), err == nil
}

// refusedOptions are options of vLLM 0.11.2 that change what is answered and that nothing here acts on.
var refusedOptions = []string{
	"chat-template", "override-generation-config", "hf-overrides", "tokenizer", "tokenizer-mode", "logits-processors",
	"convert", "runner", "task", "override-pooler-config", "pooler-config", "enable-prompt-embeds", "skip-tokenizer-init",
	"logprobs-mode", "return-tokens-as-token-ids", "default-mm-loras", "enable-auto-tool-choice", "reasoning-parser",
	"response-role", "enable-prompt-tokens-details", "enable-force-include-usage", "tool-server", "tokens-only",
}

// ignoredOptions are the other options vLLM 0.11.2 knows: they change speed, memory or logging, or concern hardware and
// features that a base served here does not have.
var ignoredOptions = strings.Fields(`
additional-config aggregate-engine-logging all2all-backend allowed-headers allowed-local-media-path allowed-media-domains
allowed-methods allowed-origins allow-credentials api-key api-server-count async-scheduling block-size calculate-kv-scales
chat-template-content-format code-revision collect-detailed-traces compilation-config config config-format cpu-offload-gb
cuda-graph-sizes cudagraph-capture-sizes data-parallel-address data-parallel-backend data-parallel-external-lb
data-parallel-hybrid-lb data-parallel-rank data-parallel-rpc-port data-parallel-size data-parallel-size-local
data-parallel-start-rank dbo-decode-token-threshold dbo-prefill-token-threshold dcp-kv-cache-interleave-size
decode-context-parallel-size disable-cascade-attn disable-chunked-mm-input disable-custom-all-reduce disable-fastapi-docs
disable-frontend-multiprocessing disable-hybrid-kv-cache-manager disable-log-requests disable-log-stats
disable-mm-preprocessor-cache disable-nccl-for-dp-synchronization disable-sliding-window disable-uvicorn-access-log
distributed-executor-backend download-dir dtype ec-transfer-config enable-chunked-prefill enable-dbo enable-eplb
enable-expert-parallel enable-log-outputs enable-log-requests enable-mm-embeds enable-multimodal-encoder-data-parallel
enable-prefix-caching enable-request-id-headers enable-server-load-tracking enable-sleep-mode enable-ssl-refresh
enable-tokenizer-info-endpoint enforce-eager eplb-config eplb-log-balancedness eplb-step-interval eplb-window-size
exclude-tools-when-tool-choice-none expert-placement-strategy fully-sharded-loras gpu-memory-utilization
guided-decoding-backend guided-decoding-disable-additional-properties guided-decoding-disable-any-whitespace
guided-decoding-disable-fallback headless hf-config-path hf-token host ignore-patterns interleave-mm-strings
io-processor-plugin kv-cache-dtype kv-cache-memory-bytes kv-events-config kv-offloading-backend kv-offloading-size
kv-sharing-fast-prefill kv-transfer-config limit-mm-per-prompt load-format log-config-file log-error-stack
logits-processor-pattern long-prefill-token-threshold lora-dtype lora-extra-vocab-size mamba-block-size mamba-cache-dtype
mamba-ssm-cache-dtype master-addr master-port max-cudagraph-capture-size max-log-len max-long-partial-prefills
max-num-batched-tokens max-num-partial-prefills max-parallel-loading-workers media-io-kwargs middleware
mm-encoder-attn-backend mm-encoder-tp-mode mm-processor-cache-gb mm-processor-cache-type mm-processor-kwargs
mm-shm-cache-max-object-size-mb model-impl model-loader-extra-config nnodes node-rank num-gpu-blocks-override
num-lookahead-slots num-redundant-experts otlp-traces-endpoint override-attention-dtype pipeline-parallel-size port
prefix-caching-hash-algo pt-load-map-location quantization ray-workers-use-nsight reasoning-parser-plugin revision root-path
safetensors-load-strategy scheduler-cls scheduling-policy seed show-hidden-metrics-for-version skip-mm-profiling
speculative-config ssl-ca-certs ssl-cert-reqs ssl-certfile ssl-keyfile stream-interval structured-outputs-config swap-space
tensor-parallel-size tokenizer-revision tool-call-parser tool-parser-plugin trust-remote-code trust-request-chat-template uds
use-tqdm-on-load uvicorn-log-level video-pruning-rate worker-cls worker-extension-cls`)

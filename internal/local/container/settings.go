package container

import (
	"fmt"
	"slices"
	"strings"

	"loradeck/internal/lora"
)

// modelPath is where SageMaker puts the model in the container, and so vLLM's name for the base.
const modelPath = "/opt/ml/model"

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
	shards      int  // --tensor-parallel-size: the parts that attention heads are shared among
	maxLogprobs int
	ownDefaults bool // sampling defaults from the base's generation_config.json
	modules     []loraModule
	targets     []string // --lora-target-modules: the modules that adapters may change, empty is all
}

// argumentError speaks as vLLM's command line does; SageMaker would show it in the component's log, and the local platform
// makes it the FailureReason.
func argumentError(format string, args ...any) error {
	return lora.Errorf(lora.Invalid, "api_server.py: error: "+format, args...)
}

// readSettings judges the environment in vLLM's order: each value as the command line reads it, then options it does not
// know, then numbers as its configurations take them, those about LoRA last.
func readSettings(environment map[string]string, d dialect) (settings, error) {
	s, numbers, err := readFlags(flags(environment, d), d)
	if err == nil {
		err = checkBounds(numbers, d)
	}
	if err == nil {
		err = s.checkLoRA()
	}
	switch strings.ToLower(strings.TrimSpace(environment[lora.EnvRuntimeUpdate])) {
	case "1", "true":
		s.runtime = true
	}
	return s, err
}

// readFlags reads a command line; numbers are what options were given, by their names.
func readFlags(given []flag, d dialect) (s settings, numbers map[string]float64, err error) {
	s, numbers = settings{served: modelPath, maxRank: 16, maxLoras: 1, shards: 1, maxLogprobs: 20, ownDefaults: true}, map[string]float64{}
	var unknown, stray []string
	options := d.options()
	for _, f := range given {
		o, spelled, err := find(options, f.name)
		if err != nil {
			return settings{}, nil, err
		}
		left := f.values
		if o == nil {
			unknown = append(unknown, f.name)
		} else if left, err = o.take(f.values); err != nil {
			return settings{}, nil, err
		} else if err := s.apply(*o, spelled, f.values, d); err != nil {
			return settings{}, nil, err
		} else if len(f.values) > 0 {
			if n, ok := readNumber(f.values[0]); ok {
				numbers[o.names[0]] = n
			}
		}
		// The first word that no option takes is taken for the model's tag, which the server does not look at.
		if stray == nil && len(left) > 0 {
			stray, left = left[:1], left[1:]
		}
		unknown = append(unknown, left...)
	}
	if len(unknown) > 0 {
		return settings{}, nil, argumentError("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	if s.cpuLoras <= 0 { // as when it is not given
		s.cpuLoras = s.maxLoras
	}
	return s, numbers, nil
}

// checkLoRA holds the numbers about LoRA against each other, where there is LoRA.
func (s settings) checkLoRA() error {
	switch {
	case !s.enableLora:
	case s.maxLoras < 1:
		return lora.Errorf(lora.Invalid, "1 validation error for LoRAConfig: max_loras: Input should be greater than or equal to 1, got %d", s.maxLoras)
	case s.cpuLoras < s.maxLoras:
		return lora.Errorf(lora.Invalid, "1 validation error for LoRAConfig: Value error, max_cpu_loras (%d) must be >= max_loras (%d)", s.cpuLoras, s.maxLoras)
	}
	return nil
}

// apply takes in one option, whose values have been judged.
func (s *settings) apply(o option, spelled string, values []string, d dialect) error {
	first := ""
	if len(values) > 0 {
		first = values[0]
	}
	switch name := o.names[0]; name {
	case "--enable-lora":
		s.enableLora = !strings.HasPrefix(spelled, "--no-")
	case "--max-lora-rank":
		s.maxRank = readInt(first)
	case "--max-loras":
		s.maxLoras = readInt(first)
	case "--max-cpu-loras":
		s.cpuLoras = readInt(first)
	case "--max-num-seqs":
		s.sequences = readInt(first)
	case "--tensor-parallel-size":
		s.shards = readInt(first)
	case "--max-logprobs":
		s.maxLogprobs = readInt(first)
	case "--max-model-len":
		s.context, _ = readableInt(first) // "auto" is 0
	case "--served-model-name":
		s.served = first
	case "--lora-modules":
		for _, value := range values {
			module, err := d.readModule(value)
			if err != nil {
				return err
			}
			s.modules = append(s.modules, module)
		}
	case "--lora-target-modules":
		s.targets = values
	case "--generation-config":
		s.ownDefaults = first != "vllm"
	case "--model":
		if first != modelPath && first != modelPath+"/" {
			return lora.Errorf(lora.Invalid, "SM_VLLM_MODEL names %s: the local platform does not download models, SageMaker would. Leave the variable out and give the model its files in S3.", first)
		}
	default:
		if slices.Contains(refusedOptions, strings.TrimPrefix(name, "--")) {
			return lora.Errorf(lora.Invalid, "The local platform does not do %s, SageMaker would. Leave its SM_VLLM_ variable out.", name)
		}
	}
	return nil
}

// loraModule is a static adapter.
type loraModule struct{ name, path string }

// readModule reads one value of --lora-modules: NAME=PATH or a JSON object.
func (d dialect) readModule(text string) (loraModule, error) {
	if name, path, ok := strings.Cut(text, "="); ok && !strings.Contains(text, ",") { // as vLLM tells them apart
		return loraModule{name, path}, nil
	}
	value, err := parseJSON(text)
	if err != nil {
		return loraModule{}, argumentError("Invalid JSON format for --lora-modules: %s", text)
	}
	wrong := func(format string, args ...any) (loraModule, error) {
		return loraModule{}, argumentError("Invalid fields for --lora-modules: %s - %s", text, fmt.Sprintf(format, args...))
	}
	fields, isObject := value.(*object)
	if !isObject {
		return wrong("vllm.entrypoints.openai.%s.LoRAModulePath() argument after ** must be a mapping, not %s", d.modelsModule, typeName(value))
	}
	for _, key := range fields.keys {
		if key != "name" && key != "path" && key != "base_model_name" && !(key == "is_3d_lora_weight" && d.wraps) {
			return wrong("LoRAModulePath.__init__() got an unexpected keyword argument '%s'", key)
		}
	}
	switch hasName, hasPath := fields.has("name"), fields.has("path"); {
	case !hasName && !hasPath:
		return wrong("LoRAModulePath.__init__() missing 2 required positional arguments: 'name' and 'path'")
	case !hasName:
		return wrong("LoRAModulePath.__init__() missing 1 required positional argument: 'name'")
	case !hasPath:
		return wrong("LoRAModulePath.__init__() missing 1 required positional argument: 'path'")
	}
	name, _ := fields.get("name").(string)
	path, _ := fields.get("path").(string)
	return loraModule{name, path}, nil
}

// refusedOptions are options of vLLM that change what is answered and that nothing here acts on. The others that are not in apply
// change speed, memory or logging, or concern hardware and features that a base served here does not have.
var refusedOptions = []string{
	"chat-template", "override-generation-config", "hf-overrides", "tokenizer", "tokenizer-mode", "logits-processors",
	"convert", "runner", "task", "override-pooler-config", "pooler-config", "enable-prompt-embeds", "skip-tokenizer-init",
	"logprobs-mode", "return-tokens-as-token-ids", "default-mm-loras", "enable-auto-tool-choice", "reasoning-parser",
	"response-role", "enable-prompt-tokens-details", "enable-force-include-usage", "tool-server", "tokens-only",
}

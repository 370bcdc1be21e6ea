package lora

import (
	"strconv"
	"strings"
)

// Settings are the variables of a base component's environment that its adapters depend on, as vLLM in the SageMaker image reads
// them (seed: lora_adapter_management.md, configuration reference; facts/sagemaker-vllm.md §2.1).
type Settings struct {
	Enabled       bool // SM_VLLM_ENABLE_LORA
	MaxRank       int  // SM_VLLM_MAX_LORA_RANK, 16 when unset
	MaxLoras      int  // SM_VLLM_MAX_LORAS, adapters in one batch, 1 when unset
	MaxCPULoras   int  // SM_VLLM_MAX_CPU_LORAS, 0 when unset (vLLM then takes MaxLoras)
	RuntimeUpdate bool // VLLM_ALLOW_RUNTIME_LORA_UPDATING
	Context       int  // SM_VLLM_MAX_MODEL_LEN, tokens of one request, 0 when unset (vLLM then takes the base's own)
}

// Names of the variables.
const (
	EnvEnableLora    = "SM_VLLM_ENABLE_LORA"
	EnvMaxLoraRank   = "SM_VLLM_MAX_LORA_RANK"
	EnvMaxLoras      = "SM_VLLM_MAX_LORAS"
	EnvMaxCPULoras   = "SM_VLLM_MAX_CPU_LORAS"
	EnvRuntimeUpdate = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
	EnvMaxModelLen   = "SM_VLLM_MAX_MODEL_LEN"
)

// SettingsFrom reads the variables out of a container's environment, with vLLM's defaults where one is unset or no
// number. It judges nothing: what the container refuses is the container's to say.
func SettingsFrom(env map[string]string) Settings {
	number := func(key string, fallback int) int {
		n, err := strconv.Atoi(strings.TrimSpace(env[key]))
		if err != nil {
			return fallback
		}
		return n
	}
	// An empty value is a bare flag: on (facts §2.1, value rules).
	enable, set := env[EnvEnableLora]
	truthy := func(v string) bool { return strings.EqualFold(v, "true") || v == "1" }
	return Settings{
		Enabled:       set && (enable == "" || strings.EqualFold(enable, "true")),
		MaxRank:       number(EnvMaxLoraRank, 16),
		MaxLoras:      number(EnvMaxLoras, 1),
		MaxCPULoras:   number(EnvMaxCPULoras, 0),
		RuntimeUpdate: truthy(env[EnvRuntimeUpdate]),
		Context:       readableInt(env[EnvMaxModelLen]),
	}
}

// units are what vLLM takes behind a number of tokens: "8k" is 8,000 and "8K" 8,192.
var units = map[string]float64{"k": 1e3, "m": 1e6, "g": 1e9, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

// readableInt reads a number as vLLM's command line does, 0 when it is none.
func readableInt(text string) int {
	text, unit := strings.TrimSpace(text), 1.0
	if n := len(text); n > 0 && units[text[n-1:]] > 0 {
		text, unit = text[:n-1], units[text[n-1:]]
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n*unit < 1<<40) { // NaN is no number either
		return 0
	}
	return int(n * unit)
}

package lora

import (
	"strconv"
	"strings"
)

// Settings are the five LoRA variables of a base component's environment, as vLLM in the SageMaker image reads them
// (seed: lora_adapter_management.md, configuration reference; facts/sagemaker-vllm.md §2.1).
type Settings struct {
	Enabled       bool // SM_VLLM_ENABLE_LORA
	MaxRank       int  // SM_VLLM_MAX_LORA_RANK, 16 when unset
	MaxLoras      int  // SM_VLLM_MAX_LORAS, adapters in one batch, 1 when unset
	MaxCPULoras   int  // SM_VLLM_MAX_CPU_LORAS, 0 when unset (vLLM then takes MaxLoras)
	RuntimeUpdate bool // VLLM_ALLOW_RUNTIME_LORA_UPDATING
}

// Names of the LoRA variables.
const (
	EnvEnableLora    = "SM_VLLM_ENABLE_LORA"
	EnvMaxLoraRank   = "SM_VLLM_MAX_LORA_RANK"
	EnvMaxLoras      = "SM_VLLM_MAX_LORAS"
	EnvMaxCPULoras   = "SM_VLLM_MAX_CPU_LORAS"
	EnvRuntimeUpdate = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
)

// SettingsFrom reads the LoRA variables out of a container's environment, with vLLM's defaults where one is unset or no
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
	}
}

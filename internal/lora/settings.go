package lora

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Settings are the variables of a base component's environment that its adapters depend on, as vLLM in the SageMaker image reads
// them (seed: lora_adapter_management.md, configuration reference; facts/sagemaker-vllm.md §2.1).
type Settings struct {
	Enabled       bool // SM_VLLM_ENABLE_LORA
	MaxRank       int  // SM_VLLM_MAX_LORA_RANK, 16 when unset
	MaxLoras      int  // SM_VLLM_MAX_LORAS, adapters in one batch, 1 when unset
	MaxCPULoras   int  // SM_VLLM_MAX_CPU_LORAS, 0 when unset or less than 1 (vLLM then takes MaxLoras)
	RuntimeUpdate bool // VLLM_ALLOW_RUNTIME_LORA_UPDATING
	Context       int  // SM_VLLM_MAX_MODEL_LEN, tokens of one request, 0 when unset (vLLM then takes the base's own)

	// Wrong holds, by variable, what is set for MaxRank, MaxLoras or MaxCPULoras and refused by vLLM, which does not start with
	// it. Such a limit is 0: nothing is known of it.
	Wrong map[string]string
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

// Ranks are what vLLM takes for EnvMaxLoraRank, lowest first, as the parsers of 0.11.2, 0.27.1 and 0.32.0 have it.
func Ranks() []int { return []int{1, 8, 16, 32, 64, 128, 256, 320, 512} }

// SettingsFrom reads the variables out of a container's environment as the image's entrypoint and vLLM's command line do, with
// vLLM's defaults where one is unset. Of what else is wrong with them it says nothing: that is the container's to say.
func SettingsFrom(env map[string]string) Settings {
	s := Settings{MaxRank: 16, MaxLoras: 1, Context: readableInt(env[EnvMaxModelLen]), Wrong: map[string]string{}}
	// Any value but false is the flag (facts §2.1, value rules): the word behind it goes by unread.
	enable, set := env[EnvEnableLora]
	s.Enabled = set && !strings.EqualFold(enable, "false")
	switch strings.ToLower(strings.TrimSpace(env[EnvRuntimeUpdate])) {
	case "1", "true":
		s.RuntimeUpdate = true
	}
	for _, limit := range []struct {
		variable string
		value    *int
		fits     func(n int) bool // without LoRA vLLM does not compare them
	}{
		{EnvMaxLoraRank, &s.MaxRank, func(n int) bool { return slices.Contains(Ranks(), n) }},
		{EnvMaxLoras, &s.MaxLoras, func(n int) bool { return n >= 1 || !s.Enabled }},
		{EnvMaxCPULoras, &s.MaxCPULoras, func(n int) bool { return n <= 0 || n >= s.MaxLoras || !s.Enabled }},
	} {
		given, set := env[limit.variable]
		if !set || strings.EqualFold(given, "false") {
			continue // false leaves the flag out
		}
		n, isNumber := pythonInt(given)
		if !isNumber || !limit.fits(n) {
			s.Wrong[limit.variable], n = given, 0
		}
		*limit.value = max(0, n)
	}
	return s
}

// Refusal says of a variable in Wrong what it is set to and what vLLM takes instead, as a sentence.
func (s Settings) Refusal(variable string) string {
	takes := "a whole number, from 1"
	switch variable {
	case EnvMaxLoraRank:
		var ranks []string
		for _, rank := range Ranks() {
			ranks = append(ranks, strconv.Itoa(rank))
		}
		last := len(ranks) - 1
		takes = strings.Join(ranks[:last], ", ") + " or " + ranks[last]
	case EnvMaxCPULoras:
		takes = "a whole number, not below " + EnvMaxLoras
	}
	return fmt.Sprintf("%s is %q, which vLLM does not take: it takes %s.", variable, s.Wrong[variable], takes)
}

var digits = regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)*$`)

// pythonInt reads a whole number as vLLM's command line does.
func pythonInt(text string) (n int, ok bool) {
	text = strings.TrimSpace(text)
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	return n, err == nil && digits.MatchString(text)
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

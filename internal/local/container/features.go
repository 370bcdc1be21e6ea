package container

import (
	"fmt"
	"math"
	"regexp"
)

// unsupported is the first feature of PEFT in a config that 0.32.0 refuses; "" where there is none. Earlier versions, and
// all of them for other features, drop the key without a word (recordings, menu-results.json S10).
func unsupported(config *object) string {
	for _, feature := range []struct{ key, words string }{
		{"use_qalora", "vLLM does not support QALoRA."},
		{"alora_invocation_tokens", "vLLM does not support Activated LoRA (aLoRA)."},
		{"layer_replication", "vLLM does not support layer_replication."},
		{"lora_bias", "vLLM does not support LoRA bias (lora_bias)."},
		{"use_bdlora", "vLLM does not support block-diagonal LoRA (BD-LoRA)."},
	} {
		if truthy(config.get(feature.key)) {
			return feature.words
		}
	}
	switch method := config.get("init_lora_weights"); method {
	case "pissa", "olora", "corda", "loftq":
		return fmt.Sprintf("vLLM does not support init_lora_weights='%s'. Inits such as PiSSA, OLoRA, CorDA and LoftQ modify the base model weights when PEFT loads the adapter. Convert it to a regular LoRA adapter with PEFT's path_initial_model_for_weight_conversion, or set init_lora_weights to true if the served base model already contains the modified weights.", method)
	}
	return ""
}

// rankFault is what versions from 0.27.1 on say of a rank before they divide by it.
func rankFault(rank any) string {
	n, fits := pythonNumber(rank)
	switch {
	case !fits:
		return fmt.Sprintf("'<=' not supported between instances of '%s' and 'int'", typeName(rank))
	case n <= 0:
		return fmt.Sprintf("LoRA rank `r` must be a positive integer, got %s.", repr(rank))
	}
	return ""
}

// pattern is one entry of rank_pattern or alpha_pattern.
type pattern struct {
	module *regexp.Regexp
	value  float64
}

// patterns reads such a map in its order. A key matches the end of a module's path from a dot on, as PEFT has it; one that
// is no expression Go knows matches itself.
func patterns(value any) []pattern {
	entries, isObject := value.(*object)
	if !isObject {
		return nil
	}
	var out []pattern
	for _, key := range entries.keys {
		number, fits := pythonNumber(entries.values[key])
		if !fits {
			continue
		}
		module, err := regexp.Compile(`^(?:.*\.)?(?:` + key + `)$`)
		if err != nil {
			module = regexp.MustCompile(`^(?:.*\.)?` + regexp.QuoteMeta(key) + `$`)
		}
		out = append(out, pattern{module, number})
	}
	return out
}

// valueFor is the first pattern's value that fits module, or otherwise.
func valueFor(patterns []pattern, module string, otherwise float64) float64 {
	for _, p := range patterns {
		if p.module.MatchString(module) {
			return p.value
		}
	}
	return otherwise
}

// scaleOf is the scale of one module: the config's own, and where patterns count the one its patterns give.
func (p peftConfig) scaleOf(module string) float64 {
	if len(p.ranks) == 0 && len(p.alphas) == 0 {
		return p.scale
	}
	divisor := valueFor(p.ranks, module, p.rank)
	if p.stabilised {
		divisor = math.Sqrt(divisor)
	}
	return valueFor(p.alphas, module, p.alpha) / divisor
}

// largestRank is the rank that must fit the slot.
func (p peftConfig) largestRank() float64 {
	largest := p.rank
	for _, one := range p.ranks {
		largest = max(largest, one.value)
	}
	return largest
}

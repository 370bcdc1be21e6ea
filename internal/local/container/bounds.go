package container

import (
	"fmt"
	"strconv"
	"strings"

	"loradeck/internal/lora"
)

// bound is the range that one of vLLM's configurations holds a number to, after the command line has taken it.
type bound struct {
	option string // as settings go by it
	config string
	least  float64
	above  bool    // the least itself is too little
	most   float64 // 0 is no limit
	later  bool    // from 0.27.1 on
}

// bounds are those of the options that are set most, in the order in which vLLM builds its configurations. 0.27.1 and 0.32.0 were
// asked for them, those of 0.11.2 are in its source (vllm/config).
var bounds = []bound{
	{option: "--max-model-len", config: "ModelConfig", least: -1, later: true},
	{option: "--max-logprobs", config: "ModelConfig", least: -1, later: true},
	{option: "--gpu-memory-utilization", config: "CacheConfig", least: 0, above: true, most: 1},
	{option: "--swap-space", config: "CacheConfig", least: 0},
	{option: "--pipeline-parallel-size", config: "ParallelConfig", least: 1, later: true},
	{option: "--tensor-parallel-size", config: "ParallelConfig", least: 1, later: true},
	{option: "--data-parallel-size", config: "ParallelConfig", least: 1, later: true},
	{option: "--max-num-batched-tokens", config: "SchedulerConfig", least: 1},
	{option: "--max-num-seqs", config: "SchedulerConfig", least: 1},
	{option: "--stream-interval", config: "SchedulerConfig", least: 1},
}

// checkBounds refuses the first number, of those that options were given, that its configuration does not take, in words like vLLM's.
func checkBounds(numbers map[string]float64, d dialect) error {
	for _, b := range bounds {
		n, isSet := numbers[b.option]
		if !isSet || b.later && !d.moreBounds {
			continue
		}
		if what := b.wrong(n); what != "" {
			field := strings.ReplaceAll(strings.TrimPrefix(b.option, "--"), "-", "_")
			return lora.Errorf(lora.Invalid, "1 validation error for %s: %s: Input should be %s, got %s", b.config, field, what, inFull(n))
		}
	}
	if length, isSet := numbers["--max-model-len"]; isSet && length == 0 && d.moreBounds {
		return lora.Errorf(lora.Invalid, "1 validation error for ModelConfig: Value error, max_model_len must be a positive integer, got int: 0. Example: max_model_len=2048")
	}
	tokens, isSet := numbers["--max-num-batched-tokens"]
	if sequences := numbers["--max-num-seqs"]; isSet && tokens < sequences {
		return lora.Errorf(lora.Invalid, "1 validation error for SchedulerConfig: Value error, max_num_batched_tokens (%s) must be greater than or equal to max_num_seqs (%s).", inFull(tokens), inFull(sequences))
	}
	return nil
}

// wrong says how a number should be, "" when it is so.
func (b bound) wrong(n float64) string {
	switch {
	case b.above && n <= b.least:
		return fmt.Sprintf("greater than %v", b.least)
	case !b.above && n < b.least:
		return fmt.Sprintf("greater than or equal to %v", b.least)
	case b.most > 0 && !(n <= b.most): // NaN too
		return fmt.Sprintf("less than or equal to %v", b.most)
	}
	return ""
}

// inFull writes a number without an exponent.
func inFull(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// readNumber reads a number as the command line takes it, whole or not; "auto" is none.
func readNumber(text string) (float64, bool) {
	if n, ok := readableInt(text); ok {
		return float64(n), true
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return n, err == nil
}

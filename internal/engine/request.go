package engine

import (
	"maps"
	"math"
	"slices"

	"loradeck/internal/lora"
)

// check refuses a request that the engine cannot answer, with a sentence for whoever sent it.
func (e *Engine) check(r *Request) error {
	bad := func(format string, args ...any) error { return lora.Errorf(lora.Invalid, format, args...) }
	switch {
	case len(r.Tokens) == 0:
		return bad("The prompt is empty.")
	case r.MaxTokens < 1:
		return bad("max_tokens is %d; ask for at least 1.", r.MaxTokens)
	case r.MaxTokens > e.info.Context-len(r.Tokens):
		return bad("The prompt has %d tokens and max_tokens is %d; together they may be %d.", len(r.Tokens), r.MaxTokens, e.info.Context)
	case r.MinTokens < 0 || r.MinTokens > r.MaxTokens:
		return bad("min_tokens is %d; it must lie between 0 and max_tokens, %d.", r.MinTokens, r.MaxTokens)
	case r.Logprobs < -1 || r.Logprobs > MaxLogprobs:
		return bad("logprobs is %d; ask for 0 to %d.", r.Logprobs, MaxLogprobs)
	case r.ScorePrompt && (r.PromptLogprobs < 0 || r.PromptLogprobs > MaxLogprobs):
		return bad("prompt_logprobs is %d; ask for 0 to %d.", r.PromptLogprobs, MaxLogprobs)
	case slices.Contains(r.Stop, ""):
		return bad("A stop string is empty.")
	}
	for _, id := range slices.Concat(r.Tokens, r.StopTokens, r.Allowed, slices.Collect(maps.Keys(r.LogitBias))) {
		if id < 0 || id >= e.info.Vocab {
			return bad("The token %d is outside the vocabulary of %d.", id, e.info.Vocab)
		}
	}
	return r.checkSampling()
}

// checkSampling holds the numbers that decide which token is taken to their ranges; a NaN is in none.
func (r *Request) checkSampling() error {
	bad := func(format string, args ...any) error { return lora.Errorf(lora.Invalid, format, args...) }
	switch {
	case !(r.Temperature >= 0) || math.IsInf(r.Temperature, 0):
		return bad("temperature is %v; it must be 0 or more.", r.Temperature)
	case !(r.TopP >= 0 && r.TopP <= 1):
		return bad("top_p is %v; it must lie between 0 and 1.", r.TopP)
	case !(r.MinP >= 0 && r.MinP <= 1):
		return bad("min_p is %v; it must lie between 0 and 1.", r.MinP)
	case !(math.Abs(r.Presence) <= 2):
		return bad("presence_penalty is %v; it must lie between -2 and 2.", r.Presence)
	case !(math.Abs(r.Frequency) <= 2):
		return bad("frequency_penalty is %v; it must lie between -2 and 2.", r.Frequency)
	case !(r.Repetition >= 0) || math.IsInf(r.Repetition, 0):
		return bad("repetition_penalty is %v; it must be above 0.", r.Repetition)
	}
	for id, bias := range r.LogitBias {
		if !(math.Abs(bias) <= 100) {
			return bad("logit_bias of token %d is %v; it must lie between -100 and 100.", id, bias)
		}
	}
	return nil
}

package container

import (
	"fmt"
	"math"
	"slices"
)

// sampling is how tokens are chosen when a request does not say.
type sampling struct {
	temperature, topP float64
	topK              int
	maxTokens         int // 0: no limit of its own
}

// The temperature below which vLLM samples greedily, and the least it otherwise works with (vLLM 0.11.2, sampling_params).
const (
	greedyBelow      = 1e-5
	leastTemperature = 0.01
)

// mostLogprobs is how many alternatives an engine gives. vLLM's --max-logprobs can allow more.
const mostLogprobs = 20

// request builds the engine's request for a prompt, judging the numbers in vLLM's order. wanted is the token limit the client
// set, nil for none; logprobs is -1 for none.
func (c *Container) request(v values, adapter string, tokens []int, wanted *int64, logprobs int) (Request, *refusal) {
	d := c.base.defaults
	limit := int64(c.context - len(tokens))
	if wanted != nil {
		limit = min(limit, *wanted)
	}
	if d.maxTokens > 0 {
		limit = min(limit, int64(d.maxTokens))
	}
	p := numbers{
		n: v.integer("n", 1), maxTokens: limit, minTokens: v.integer("min_tokens", 0),
		temperature: v.number("temperature", d.temperature), topP: v.number("top_p", d.topP), topK: v.integer("top_k", int64(d.topK)),
	}
	if p.temperature > 0 && p.temperature < leastTemperature {
		p.temperature = leastTemperature
	}
	if refused := p.judge(v); refused != nil {
		return Request{}, refused
	}
	if logprobs > c.settings.maxLogprobs && c.settings.maxLogprobs >= 0 {
		return Request{}, badRequest("Requested sample logprobs of %d, which is greater than max allowed: %d", logprobs, c.settings.maxLogprobs).about("logprobs", logprobs)
	}
	if logprobs > mostLogprobs {
		return Request{}, badRequest("%s", notHere(fmt.Sprintf("more than %d logprobs", mostLogprobs)))
	}
	if len(tokens) == 0 {
		return Request{}, badRequest("The decoder prompt cannot be empty")
	}
	if most := slices.Max(tokens); most >= c.vocab {
		return Request{}, badRequest("Token id %d is out of vocabulary", most)
	} else if least := slices.Min(tokens); least < 0 {
		return Request{}, badRequest("Token id %d is out of vocabulary", least)
	}
	out := Request{
		Adapter: adapter, Tokens: tokens, MaxTokens: int(p.maxTokens), MinTokens: int(p.minTokens), Temperature: p.temperature,
		TopP: p.topP, TopK: max(0, int(p.topK)), Stop: v.texts("stop"),
		IgnoreEOS: v.flag("ignore_eos"), Logprobs: logprobs,
	}
	for _, id := range v.integers("stop_token_ids") {
		if id >= 0 && id < c.vocab { // others never come
			out.StopTokens = append(out.StopTokens, id)
		}
	}
	if math.IsNaN(p.temperature) || math.IsInf(p.temperature, 0) {
		return Request{}, badRequest("%s", notHere("a temperature that is no number"))
	}
	if p.temperature < greedyBelow {
		out.Temperature, out.TopP, out.TopK = 0, 1, 0
	}
	if seed := v.integer("seed", -1); seed != -1 {
		unsigned := uint64(seed)
		out.Seed = &unsigned
	}
	return out, nil
}

// numbers are the sampling parameters that vLLM checks.
type numbers struct {
	n, maxTokens, minTokens, topK int64
	temperature, topP             float64
}

// judge refuses in the order and words of vLLM 0.11.2.
func (p numbers) judge(v values) *refusal {
	between := func(key string, low, high float64) bool {
		f := v.number(key, 0)
		return low <= f && f <= high
	}
	switch best := v.integer("best_of", 0); {
	case best != 0 && best < p.n:
		return badRequest("best_of must be greater than or equal to n, got n=%d and best_of=%d.", p.n, best)
	case p.n < 1:
		return badRequest("n must be at least 1, got %d.", p.n)
	case !between("presence_penalty", -2, 2):
		return badRequest("presence_penalty must be in [-2, 2], got %s.", floatText(v.number("presence_penalty", 0)))
	case !between("frequency_penalty", -2, 2):
		return badRequest("frequency_penalty must be in [-2, 2], got %s.", floatText(v.number("frequency_penalty", 0)))
	case v.number("repetition_penalty", 1) <= 0:
		return badRequest("repetition_penalty must be greater than zero, got %s.", floatText(v.number("repetition_penalty", 1)))
	case p.temperature < 0:
		return badRequest("temperature must be non-negative, got %s.", floatText(p.temperature)).about("temperature", floatText(p.temperature))
	case !(p.topP > 0 && p.topP <= 1):
		return badRequest("top_p must be in (0, 1], got %s.", floatText(p.topP)).about("top_p", floatText(p.topP))
	case p.topK < -1:
		return badRequest("top_k must be 0 (disable), or at least 1, got %d.", p.topK)
	case !between("min_p", 0, 1):
		return badRequest("min_p must be in [0, 1], got %s.", floatText(v.number("min_p", 0)))
	case p.maxTokens < 1:
		return badRequest("max_tokens must be at least 1, got %d.", p.maxTokens).about("max_tokens", p.maxTokens)
	case p.minTokens < 0:
		return badRequest("min_tokens must be greater than or equal to 0, got %d.", p.minTokens)
	case p.minTokens > p.maxTokens:
		return badRequest("min_tokens must be less than or equal to max_tokens=%d, got %d.", p.maxTokens, p.minTokens)
	case slices.Contains(v.texts("stop"), ""):
		return badRequest("stop cannot contain an empty string.")
	case p.temperature < greedyBelow && p.n > 1:
		return badRequest("n must be 1 when using greedy sampling, got %d.", p.n)
	}
	return nil
}

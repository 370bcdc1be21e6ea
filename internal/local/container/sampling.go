package container

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// sampling is how tokens are chosen when a request does not say.
type sampling struct {
	temperature, topP, minP float64
	repetition              float64
	topK                    int
	maxTokens               int // 0: no limit of its own
}

// The temperature below which vLLM samples greedily, and the least it otherwise works with (vLLM 0.11.2, sampling_params).
const (
	greedyBelow      = 1e-5
	leastTemperature = 0.01
)

// mostLogprobs is how many alternatives an engine gives. vLLM's --max-logprobs can allow more.
const mostLogprobs = 20

// request builds the engine's request for one of x's prompts, judging the numbers in vLLM's order. wanted is the token limit
// the client set, nil for none.
func (c *Container) request(x *exchange, adapter string, tokens []int, wanted *int64) (Request, *refusal) {
	v, p := x.fields, c.numbers(x.fields, len(tokens), wanted)
	if truthy(v["logits_processors"]) {
		return Request{}, badRequest("The `logits_processors` argument is not supported by this server. See --logits-processor-pattern engine argument for more information.")
	}
	bias, refused := readBias(v)
	if refused == nil {
		refused = p.judge(v)
	}
	if refused == nil {
		refused = c.judgeLogprobs(x)
	}
	if refused == nil {
		refused = c.judgeTokens(v, tokens, bias)
	}
	if refused == nil && v.has("thinking_token_budget") {
		refused = badRequest("thinking_token_budget is set but reasoning_config is not configured. Please set --reasoning-parser and/or --reasoning-config to use thinking_token_budget.")
	}
	if refused == nil && v.integer("best_of", 1) > 1 {
		refused = badRequest("vLLM V1 does not yet support best_of.")
	}
	if refused != nil {
		return Request{}, refused
	}
	out := Request{
		Adapter: adapter, Tokens: tokens, MaxTokens: int(p.maxTokens), MinTokens: int(p.minTokens), Temperature: p.temperature,
		TopP: p.topP, TopK: max(0, int(p.topK)), MinP: p.minP, Stop: v.texts("stop"), IgnoreEOS: v.flag("ignore_eos"),
		Logprobs: x.logprobs, PromptLogprobs: x.scores, LogitBias: bias, Allowed: v.integers("allowed_token_ids"),
		Presence: v.number("presence_penalty", 0), Frequency: v.number("frequency_penalty", 0), Repetition: p.repetition,
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
		out.Temperature, out.TopP, out.TopK, out.MinP = 0, 1, 0, 0
	}
	if seed := v.integer("seed", -1); seed != -1 {
		unsigned := uint64(seed)
		out.Seed = &unsigned
	}
	return out, nil
}

// promptScores is how many alternatives the prompt's tokens are reported with, -1 for none: what the client says, all for -1,
// or with echo as many as the answer's tokens have.
func (c *Container) promptScores(v values, logprobs int) int {
	switch {
	case v.integer("prompt_logprobs", 0) < 0:
		return c.vocab
	case v.has("prompt_logprobs"):
		return int(v.integer("prompt_logprobs", 0))
	case v.flag("echo"):
		return logprobs
	}
	return -1
}

// judgeLogprobs refuses more alternatives than the settings allow, then more than an engine gives.
func (c *Container) judgeLogprobs(x *exchange) *refusal {
	most := c.settings.maxLogprobs
	if most < 0 {
		most = c.vocab
	}
	for _, asked := range []struct {
		kind, field string
		n           int
	}{{"sample", "logprobs", x.logprobs}, {"prompt", "prompt_logprobs", x.scores}} {
		if asked.n > most {
			return badRequest("Requested %s logprobs of %d, which is greater than max allowed: %d", asked.kind, asked.n, most).about(asked.field, asked.n)
		}
	}
	if max(x.logprobs, x.scores) > mostLogprobs {
		return badRequest("%s", notHere(fmt.Sprintf("more than %d logprobs", mostLogprobs)))
	}
	return nil
}

// readBias takes logit_bias, an object from token ids to what is added; it is cut to ±100, as OpenAI has it.
func readBias(v values) (map[int]float64, *refusal) {
	given := v.decimals("logit_bias")
	if len(given) == 0 {
		return nil, nil
	}
	out := map[int]float64{}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		id, err := strconv.Atoi(strings.TrimSpace(key))
		if err != nil {
			return nil, badRequest("invalid literal for int() with base 10: %s", reprText(key))
		}
		out[id] = -100
		if bias := given[key]; bias > -100 { // a NaN is not, as in Python
			out[id] = min(100, bias)
		}
	}
	return out, nil
}

// judgeTokens refuses ids that the base has no token for, in the bias, among the allowed ones and in the prompt.
func (c *Container) judgeTokens(v values, tokens []int, bias map[int]float64) *refusal {
	allowed, beyond := v.integers("allowed_token_ids"), func(id int) bool { return id < 0 || id >= c.vocab }
	switch strange := listed(slices.Sorted(maps.Keys(bias)), beyond); {
	case strange != "":
		return badRequest("token_id(s) %s in logit_bias contain out-of-vocab token ids. Vocabulary size: %d", strange, c.vocab).about("logit_bias", strange)
	case v.has("allowed_token_ids") && len(allowed) == 0:
		return badRequest("allowed_token_ids is not None and empty!").about("allowed_token_ids", "[]")
	}
	switch strange := listed(allowed, beyond); {
	case strange != "":
		return badRequest("allowed_token_ids contains out-of-vocab token id!").about("allowed_token_ids", strange)
	case len(tokens) == 0:
		return badRequest("The decoder prompt cannot be empty")
	}
	if most := slices.Max(tokens); most >= c.vocab {
		return badRequest("Token id %d is out of vocabulary", most)
	} else if least := slices.Min(tokens); least < 0 {
		return badRequest("Token id %d is out of vocabulary", least)
	}
	return nil
}

// listed is Python's list of those ids that are, "" for none.
func listed(ids []int, are func(int) bool) string {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return !are(id) })
	if len(ids) == 0 {
		return ""
	}
	return strings.ReplaceAll(fmt.Sprint(ids), " ", ", ")
}

// numbers are the sampling parameters that vLLM checks.
type numbers struct {
	n, maxTokens, minTokens, topK       int64
	temperature, topP, minP, repetition float64
}

// numbers fills the base's own defaults in where the request is silent.
func (c *Container) numbers(v values, prompt int, wanted *int64) numbers {
	d := c.base.defaults
	limit := int64(c.context - prompt)
	if wanted != nil {
		limit = min(limit, *wanted)
	}
	if d.maxTokens > 0 {
		limit = min(limit, int64(d.maxTokens))
	}
	p := numbers{
		n: v.integer("n", 1), maxTokens: limit, minTokens: v.integer("min_tokens", 0), topK: v.integer("top_k", int64(d.topK)),
		temperature: v.number("temperature", d.temperature), topP: v.number("top_p", d.topP), minP: v.number("min_p", d.minP),
		repetition: v.number("repetition_penalty", d.repetition),
	}
	if p.temperature > 0 && p.temperature < leastTemperature {
		p.temperature = leastTemperature
	}
	return p
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
	case v.has("best_of") && best < 1:
		return badRequest("best_of must be at least 1, got %d", best)
	case !between("presence_penalty", -2, 2):
		return badRequest("presence_penalty must be in [-2, 2], got %s.", floatText(v.number("presence_penalty", 0)))
	case !between("frequency_penalty", -2, 2):
		return badRequest("frequency_penalty must be in [-2, 2], got %s.", floatText(v.number("frequency_penalty", 0)))
	case p.repetition <= 0:
		return badRequest("repetition_penalty must be greater than zero, got %s.", floatText(p.repetition))
	case p.temperature < 0:
		return badRequest("temperature must be non-negative, got %s.", floatText(p.temperature)).about("temperature", floatText(p.temperature))
	case !(p.topP > 0 && p.topP <= 1):
		return badRequest("top_p must be in (0, 1], got %s.", floatText(p.topP)).about("top_p", floatText(p.topP))
	case p.topK < -1:
		return badRequest("top_k must be 0 (disable), or at least 1, got %d.", p.topK)
	case !(p.minP >= 0 && p.minP <= 1):
		return badRequest("min_p must be in [0, 1], got %s.", floatText(p.minP))
	case p.maxTokens < 1:
		return badRequest("max_tokens must be at least 1, got %d.", p.maxTokens).about("max_tokens", p.maxTokens)
	case p.minTokens < 0:
		return badRequest("min_tokens must be greater than or equal to 0, got %d.", p.minTokens)
	case p.minTokens > p.maxTokens:
		return badRequest("min_tokens must be less than or equal to max_tokens=%d, got %d.", p.maxTokens, p.minTokens)
	case slices.Contains(v.texts("stop"), ""):
		return badRequest("stop cannot contain an empty string.")
	case v.has("best_of") && best != p.n && v.flag("stream"):
		return badRequest("best_of must equal n to use output_kind=DELTA")
	case p.temperature < greedyBelow && max(p.n, best) > 1:
		return badRequest("n must be 1 when using greedy sampling, got %d.", max(p.n, best))
	}
	return nil
}

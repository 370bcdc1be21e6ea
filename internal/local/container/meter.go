package container

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// meter counts what has been answered, for /metrics.
type meter struct {
	context int // tokens, of the base

	mu         sync.Mutex
	success    map[string]int // by finish reason
	histograms map[string]*histogram
}

// histogram counts values up to each bound, as Prometheus has it.
type histogram struct {
	bounds []float64
	counts []int // one more than bounds, for what lies above
	sum    float64
}

// The bounds of vLLM's histograms, in seconds and tokens; how many there are was recorded (metrics.json).
func tokenBounds(most int) []float64 {
	var out []float64
	for unit := 1; ; unit *= 10 {
		for _, digit := range []int{1, 2, 5} {
			if digit*unit > most {
				return out
			}
			out = append(out, float64(digit*unit))
		}
	}
}

func firstTokenBounds() []float64 {
	return []float64{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
}

func nextTokenBounds() []float64 {
	return []float64{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
}

func requestBounds() []float64 {
	return []float64{0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
}

// newMeter makes the histograms for a base with so many tokens of context.
func newMeter(context int) *meter {
	m := &meter{context: context}
	m.reset()
	return m
}

// reset begins to count anew.
func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.success, m.histograms = map[string]int{}, map[string]*histogram{}
	for name, bounds := range map[string][]float64{
		"request_prompt_tokens": tokenBounds(m.context), "request_generation_tokens": tokenBounds(m.context),
		"request_max_num_generation_tokens": tokenBounds(m.context), "request_params_max_tokens": tokenBounds(m.context),
		"request_params_n": {1, 2, 5, 10, 20}, "time_to_first_token_seconds": firstTokenBounds(),
		"inter_token_latency_seconds": nextTokenBounds(), "request_time_per_output_token_seconds": nextTokenBounds(),
		"e2e_request_latency_seconds": requestBounds(), "request_queue_time_seconds": requestBounds(),
		"request_inference_time_seconds": requestBounds(), "request_prefill_time_seconds": requestBounds(),
		"request_decode_time_seconds": requestBounds(),
	} {
		m.histograms[name] = &histogram{bounds: bounds, counts: make([]int, len(bounds)+1)}
	}
}

func (h *histogram) add(value float64) {
	at := slices.IndexFunc(h.bounds, func(bound float64) bool { return value <= bound })
	if at < 0 {
		at = len(h.bounds)
	}
	h.counts[at]++
	h.sum += value
}

// series writes the histogram's lines; labels are those of the family, without braces.
func (h *histogram) series(out *strings.Builder, name, labels, more string) {
	total := 0
	for i, n := range h.counts {
		total += n
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = floatText(h.bounds[i])
		}
		fmt.Fprintf(out, "%s_bucket{%s,le=%q,%s} %s\n", name, labels, bound, more, floatText(float64(total)))
	}
	fmt.Fprintf(out, "%s_count{%s,%s} %s\n%s_sum{%s,%s} %s\n", name, labels, more, floatText(float64(total)), name, labels, more, floatText(h.sum))
}

// course is how one request went: when it came, began, gave its first token and ended.
type course struct {
	request     Request
	came, began time.Time
	first, last time.Time
	tokens      int
	finish      string
	gaps        []time.Duration // between chunks
}

// chunk takes in a piece of the answer that came at that time.
func (c *course) chunk(piece Chunk, at time.Time) {
	if len(piece.Tokens) > 0 {
		if c.first.IsZero() {
			c.first = at
		} else {
			c.gaps = append(c.gaps, at.Sub(c.last))
		}
		c.last = at
	}
	c.tokens += len(piece.Tokens)
	if piece.Finish != "" {
		c.finish = piece.Finish
	}
}

// count takes in a request that ended at that time; n is how many answers its client wanted. One that was cut off counts
// among the aborted and in no histogram.
func (m *meter) count(c course, n int, ended time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.finish == "" || c.first.IsZero() {
		m.success["abort"]++
		return
	}
	m.success[c.finish]++
	for name, value := range map[string]float64{
		"request_prompt_tokens": float64(len(c.request.Tokens)), "request_generation_tokens": float64(c.tokens),
		"request_max_num_generation_tokens": float64(c.tokens), "request_params_max_tokens": float64(c.request.MaxTokens),
		"request_params_n": float64(n), "time_to_first_token_seconds": c.first.Sub(c.came).Seconds(),
		"e2e_request_latency_seconds": ended.Sub(c.came).Seconds(), "request_queue_time_seconds": c.began.Sub(c.came).Seconds(),
		"request_inference_time_seconds": c.last.Sub(c.began).Seconds(), "request_prefill_time_seconds": c.first.Sub(c.began).Seconds(),
		"request_decode_time_seconds": c.last.Sub(c.first).Seconds(),
	} {
		m.histograms[name].add(value)
	}
	if c.tokens > 1 {
		m.histograms["request_time_per_output_token_seconds"].add(c.last.Sub(c.first).Seconds() / float64(c.tokens-1))
	}
	for _, gap := range c.gaps {
		m.histograms["inter_token_latency_seconds"].add(gap.Seconds())
	}
}

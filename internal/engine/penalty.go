package engine

import "math"

// history is what a request's penalties look back at. It is nil for a request without any.
type history struct {
	prompt map[int]bool
	answer map[int]int // how often
}

func newHistory(r *Request) *history {
	if !r.penalizes() {
		return nil
	}
	h := &history{prompt: map[int]bool{}, answer: map[int]int{}}
	for _, id := range r.Tokens {
		h.prompt[id] = true
	}
	return h
}

func (r *Request) penalizes() bool {
	return r.Presence != 0 || r.Frequency != 0 || r.repeats()
}

func (r *Request) repeats() bool { return r.Repetition != 0 && r.Repetition != 1 }

// bends reports whether the logits a token is chosen from differ from those that are reported.
func (r *run) bends() bool {
	return r.history != nil || len(r.request.LogitBias) > 0 || len(r.request.Allowed) > 0 || r.made < r.request.MinTokens
}

// bend changes logits as vLLM 0.11.2 does and in its order (v1/sample/sampler.py, apply_logits_processors): what is not allowed
// is ruled out, then what may not end the answer yet; the bias is added; then come the penalties, repetition first and over
// prompt and answer, the other two over the answer alone.
func (r *run) bend(logits []float32, ends []int) {
	q := &r.request
	if len(q.Allowed) > 0 {
		only(logits, q.Allowed)
	}
	if r.made < q.MinTokens {
		for _, id := range ends {
			logits[id] = float32(math.Inf(-1))
		}
	}
	for id, bias := range q.LogitBias {
		logits[id] += float32(bias)
	}
	if r.history == nil {
		return
	}
	if q.repeats() {
		for id := range r.history.prompt {
			logits[id] = repeated(logits[id], float32(q.Repetition))
		}
		for id := range r.history.answer {
			if !r.history.prompt[id] {
				logits[id] = repeated(logits[id], float32(q.Repetition))
			}
		}
	}
	for id, n := range r.history.answer {
		logits[id] -= float32(q.Frequency) * float32(n)
		logits[id] -= float32(q.Presence)
	}
}

// only rules out every token but those of ids.
func only(logits []float32, ids []int) {
	kept := make([]float32, len(ids))
	for i, id := range ids {
		kept[i] = logits[id]
	}
	for i := range logits {
		logits[i] = float32(math.Inf(-1))
	}
	for i, id := range ids {
		logits[id] = kept[i]
	}
}

// repeated makes a logit smaller, whichever its sign, when penalty is above 1.
func repeated(logit, penalty float32) float32 {
	if logit > 0 {
		return logit / penalty
	}
	return logit * penalty
}

// add takes a token of the answer in.
func (h *history) add(id int) {
	if h != nil {
		h.answer[id]++
	}
}

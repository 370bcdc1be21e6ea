package engine

import (
	"cmp"
	"context"
	"math/rand/v2"
	"runtime"
	"slices"

	"loradeck/internal/lora"
)

// run is a request under way. Once taken from the queue it belongs to the scheduler.
type run struct {
	ctx      context.Context // ends when nobody reads the answer any more; part of the queue entry, not of a call
	request  Request
	sequence *sequence
	pending  []int   // tokens that are not computed yet
	share    int     // how many of them this step computes
	made     int     // tokens generated
	reused   int     // tokens of the prompt that were not computed
	prompt   []Token // as far as it is scored
	history  *history
	answer   answer
	random   *rand.Rand
	out      *outbox
}

// scheduler is the only goroutine that runs the model. Every step computes the next token of each running request and,
// with what is left of the step, pieces of prompts.
type scheduler struct {
	engine  *Engine
	running []*run // in order of arrival
	order   []*run
	rows    []row
	scratch scratch
	sampler sampler
	sums    []float32
	bent    []float32 // logits changed by bias and penalties
}

// scoredValues is how many logits one step computes for prompts that are scored: 32 MB of them.
const scoredValues = 8 << 20

func (e *Engine) serve() {
	defer close(e.finished)
	s := &scheduler{engine: e}
	defer e.model.pool.Close()
	for {
		reason := s.admit()
		if reason == nil && len(s.running) == 0 {
			<-e.wake
			continue
		}
		if reason == nil {
			reason = s.step()
		}
		if reason != nil {
			s.abandon(reason)
			return
		}
	}
}

// admit drops what nobody reads any more, takes waiting requests into the free places, and reports why the engine must end.
func (s *scheduler) admit() error {
	e := s.engine
	s.running = slices.DeleteFunc(s.running, func(r *run) bool { return r.ctx.Err() != nil })
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.waiting) > 0 && len(s.running) < e.options.MaxRunning {
		if r := e.waiting[0]; r.ctx.Err() == nil {
			s.running = append(s.running, r)
		}
		e.waiting = slices.Delete(e.waiting, 0, 1)
	}
	e.running = len(s.running)
	return e.closed
}

// abandon ends everything, in the queue too, and lets nothing in any more.
func (s *scheduler) abandon(reason error) {
	e := s.engine
	e.mu.Lock()
	e.closed = reason
	all := append(s.running, e.waiting...)
	s.running, e.waiting, e.running = nil, nil, 0
	e.mu.Unlock()
	for _, r := range all {
		r.out.fail(reason)
	}
}

// step computes one pass. A panic in it, which would be a bug of ours, ends the engine and not the process.
func (s *scheduler) step() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = lora.Errorf(lora.Internal, "the engine stopped: %v", cause)
		}
	}()
	s.plan()
	logits := s.engine.model.forward(s.rows, &s.scratch)
	next := 0
	for _, r := range s.order {
		mine := logits[next : next+r.wanted()]
		next += len(mine)
		if r.scoring() {
			s.score(r, mine)
		}
		if r.pending = r.pending[r.share:]; r.share > 0 && len(r.pending) == 0 {
			s.keep(r)
			s.advance(r, mine[len(mine)-1])
		}
	}
	s.running = slices.DeleteFunc(s.running, func(r *run) bool { return len(r.pending) == 0 })
	clear(s.order) // what has ended, and its keys and values, is not to be held until the next step
	clear(s.rows)
	e := s.engine
	e.mu.Lock()
	e.running = len(s.running)
	e.mu.Unlock()
	runtime.Gosched() // the readers of this step's tokens first: the pool may keep all processors busy for as long as answers are under way
	return nil
}

// keep keeps a prompt that has just been computed, where its request asks for it.
func (s *scheduler) keep(r *run) {
	if r.request.Trouble.Prefix == "" || r.made > 0 {
		return
	}
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	s.engine.prefixes.keep(r.request.Trouble.Prefix, r.request.Tokens, r.sequence)
}

// plan shares the step out — first a token to each answer under way, then the rest to prompts in order of arrival — and
// lays out the rows, those of one adapter side by side.
func (s *scheduler) plan() {
	budget := s.engine.options.StepTokens
	for _, r := range s.running {
		r.share = 0
		if r.made > 0 {
			r.share = 1
			budget--
		}
	}
	least := 1 // the oldest prompt always gets on, however many answers are under way
	scores := scoredValues / max(1, s.engine.info.Vocab)
	for _, r := range s.running {
		if r.made > 0 {
			continue
		}
		r.share = min(len(r.pending), max(budget, least))
		if r.scoring() {
			r.share = min(r.share, max(scores, least))
			scores -= r.share
		}
		least = 0
		budget -= r.share
	}
	s.order = append(s.order[:0], s.running...)
	slices.SortStableFunc(s.order, func(a, b *run) int { return cmp.Compare(a.sequence.adapter.order(), b.sequence.adapter.order()) })
	s.rows = s.rows[:0]
	for _, r := range s.order {
		for i, id := range r.pending[:r.share] {
			s.rows = append(s.rows, row{r.sequence, id, i == len(r.pending)-1 || r.scoring()})
		}
	}
}

// scoring reports whether the tokens the run has pending are a prompt that is to be scored.
func (r *run) scoring() bool { return r.request.ScorePrompt && r.made == 0 }

// wanted counts the run's rows of this step whose logits come.
func (r *run) wanted() int {
	switch {
	case r.scoring():
		return r.share
	case r.share > 0 && r.share == len(r.pending):
		return 1
	}
	return 0
}

// score reports the prompt's tokens as the logits before each of them have it.
func (s *scheduler) score(r *run, logits [][]float32) {
	if len(r.prompt) == 0 && r.share > 0 {
		r.prompt = append(r.prompt, Token{ID: r.pending[0], Text: s.text(r.pending[0])})
	}
	for i, row := range logits {
		if i+1 < len(r.pending) {
			r.prompt = append(r.prompt, s.report(r.pending[i+1], row, r.request.PromptLogprobs))
		}
	}
}

// advance chooses a run's next token, hands it out, and leaves it pending unless the answer ends with it.
func (s *scheduler) advance(r *run, logits []float32) {
	q, ends := &r.request, s.ends(&r.request)
	token := s.next(r, logits)
	r.made++
	r.history.add(token.ID)
	c := Chunk{Tokens: []Token{token}, Prompt: r.prompt, PromptTokens: len(q.Tokens), CompletionTokens: r.made, Stale: r.reused}
	r.prompt = nil
	if slices.Contains(ends, token.ID) {
		c.Finish, c.Text = "stop", r.answer.rest()
	} else if c.Text, c.StopReason = r.answer.add(token.ID, r.made <= q.MinTokens); c.StopReason != "" {
		c.Finish = "stop"
	} else if r.made >= q.MaxTokens {
		c.Finish = "length"
		c.Text += r.answer.rest()
	}
	if c.Finish == "" {
		r.pending = append(r.pending, token.ID)
	}
	r.out.put(c)
}

// next chooses a token. Probabilities are reported as they were before anything changed them. Before min_tokens no end token
// comes, not even one that IgnoreEOS would let pass: vLLM rules them all out.
func (s *scheduler) next(r *run, logits []float32) Token {
	from := logits
	if r.bends() {
		from = append(s.bent[:0], logits...)
		s.bent = from
		r.bend(from, slices.Concat(s.engine.info.EOS, r.request.StopTokens))
	}
	id := s.sampler.choose(from, &r.request, r.random)
	if r.request.Logprobs < 0 {
		return Token{ID: id, Text: s.text(id)}
	}
	return s.report(id, logits, r.request.Logprobs)
}

// report describes a token by the logits it stands among.
func (s *scheduler) report(id int, logits []float32, alternatives int) Token {
	total := logSumExp(logits, &s.sums)
	token := Token{ID: id, Text: s.text(id), Logprob: float64(logits[id]) - total, Rank: rank(logits, id)}
	for _, other := range likeliestOf(logits, alternatives) {
		token.Top = append(token.Top, TokenProb{ID: other, Text: s.text(other), Logprob: float64(logits[other]) - total})
	}
	return token
}

func (s *scheduler) text(id int) string { return s.engine.tokenizer.Decode([]int{id}, false) }

// ends lists the tokens that end an answer.
func (s *scheduler) ends(q *Request) []int {
	if q.IgnoreEOS {
		return q.StopTokens
	}
	if len(q.StopTokens) == 0 {
		return s.engine.info.EOS
	}
	return slices.Concat(s.engine.info.EOS, q.StopTokens)
}

package engine

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/engine/tokenizer"
	"loradeck/internal/lora"
)

func TestAStepServesAnswersFirstAndThenPromptsInOrder(t *testing.T) {
	t.Parallel()
	one, two := &adapter{serial: 1}, &adapter{serial: 2}
	running := func(made, pending int, a *adapter) *run {
		return &run{made: made, pending: make([]int, pending), sequence: newSequence(1, a)}
	}
	for _, test := range []struct {
		name    string
		step    int
		running []*run
		shares  []int
	}{
		{"room for all", 20, []*run{running(3, 1, two), running(0, 5, nil), running(0, 6, one)}, []int{1, 5, 6}},
		{"the second prompt is cut", 8, []*run{running(3, 1, nil), running(0, 5, nil), running(0, 6, one)}, []int{1, 5, 2}},
		{"the second prompt waits", 4, []*run{running(0, 5, one), running(0, 6, nil), running(1, 1, two)}, []int{3, 0, 1}},
		{"the oldest prompt gets on all the same", 2, []*run{running(1, 1, one), running(0, 9, nil), running(1, 1, two), running(0, 9, nil)}, []int{1, 1, 1, 0}},
	} {
		s := &scheduler{engine: &Engine{options: Options{StepTokens: test.step}}, running: test.running}
		s.plan()
		var shares []int
		total := 0
		for _, r := range test.running {
			shares = append(shares, r.share)
			total += r.share
		}
		if diff := cmp.Diff(test.shares, shares); diff != "" || total != len(s.rows) {
			t.Errorf("%s: %d rows (-want +got):\n%s", test.name, len(s.rows), diff)
		}
		for i := 1; i < len(s.rows); i++ {
			if s.rows[i-1].sequence.adapter.order() > s.rows[i].sequence.adapter.order() {
				t.Errorf("%s: rows of one adapter are apart", test.name)
			}
		}
	}
}

func TestAStepScoresNoMoreOfPromptsThanItsMemoryAllows(t *testing.T) {
	t.Parallel()
	scored := func(pending int) *run {
		return &run{request: Request{ScorePrompt: true}, pending: make([]int, pending), sequence: newSequence(1, nil)}
	}
	plain := &run{pending: make([]int, 9), sequence: newSequence(1, nil)}
	s := &scheduler{
		engine:  &Engine{options: Options{StepTokens: 100}, info: Info{Vocab: scoredValues / 5}},
		running: []*run{scored(3), plain, scored(9), scored(9)},
	}
	s.plan()
	var shares, wanted []int
	for _, r := range s.running {
		shares, wanted = append(shares, r.share), append(wanted, r.wanted())
	}
	if diff := cmp.Diff([]int{3, 9, 2, 0}, shares); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{3, 1, 2, 0}, wanted); diff != "" {
		t.Errorf("logits (-want +got):\n%s", diff)
	}
	s.engine.info.Vocab = scoredValues * 2
	if s.plan(); s.running[0].share != 1 {
		t.Errorf("the oldest prompt gets %d tokens of a vocabulary that fills the step, want 1", s.running[0].share)
	}
}

func TestABugInAStepEndsTheEngineAndNotTheProcess(t *testing.T) {
	t.Parallel()
	e, err := Open(filepath.Join("testdata", "llama"), Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.model.layers[1].weight[downTarget].F32 = nil
	for range 2 { // the request under way and the one after it
		var last error
		for _, err := range e.Generate(t.Context(), Request{Tokens: []int{1}, MaxTokens: 3}) {
			last = err
		}
		if lora.KindOf(last) != lora.Internal {
			t.Errorf("got %v", last)
		}
	}
}

// driven is an engine whose scheduler is driven by hand, so that every step can be looked at.
func driven(t *testing.T) (*Engine, *scheduler) {
	t.Helper()
	dir := filepath.Join("testdata", "llama")
	tokens, err := tokenizer.Open(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{
		options: Options{MaxRunning: 1, StepTokens: 30}, model: loadTestModel(t, dir), tokenizer: tokens,
		info: Info{Context: 100, Vocab: 512}, wake: make(chan struct{}, 1), adapters: map[string]*adapter{},
	}
	return e, &scheduler{engine: e}
}

func TestRequestsRunInTurnAndAreLetGoWhenTheyEnd(t *testing.T) {
	t.Parallel()
	e, s := driven(t)
	var outs []*outbox
	var sequences []weak.Pointer[sequence]
	for range 2 {
		r, err := e.admit(t.Context(), Request{Tokens: make([]int, 50), MaxTokens: 2})
		if err != nil {
			t.Fatal(err)
		}
		outs, sequences = append(outs, r.out), append(sequences, weak.Make(r.sequence))
	}
	for i, want := range []struct {
		stats         Stats
		first, second int // positions computed, -1 when the request has been let go
	}{
		{Stats{Running: 1, Waiting: 1}, 30, 0}, {Stats{Running: 1, Waiting: 1}, 50, 0}, {Stats{Waiting: 1}, -1, 0},
		{Stats{Running: 1}, -1, 30}, {Stats{Running: 1}, -1, 50}, {Stats{}, -1, -1},
	} {
		if err := errors.Join(s.admit(), s.step()); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		var positions [2]int
		for i, held := range sequences {
			if positions[i] = -1; held.Value() != nil {
				positions[i] = held.Value().length
			}
		}
		if e.Stats() != want.stats || positions != [2]int{want.first, want.second} {
			t.Errorf("step %d: %+v, positions %v, want %+v", i, e.Stats(), positions, want)
		}
	}
	for _, out := range outs {
		c, some, ended, err := out.take(t.Context())
		if len(c.Tokens) != 2 || c.Finish != "length" || !some || !ended || err != nil {
			t.Errorf("a reader that comes late gets %+v, %v, %v, %v", c, some, ended, err)
		}
	}
}

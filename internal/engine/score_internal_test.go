package engine

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answerOf asks e and joins what comes.
func answerOf(t testing.TB, e *Engine, request Request) Chunk {
	t.Helper()
	var whole Chunk
	for c, err := range e.Generate(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		c.Tokens, c.Prompt, c.Text = append(whole.Tokens, c.Tokens...), append(whole.Prompt, c.Prompt...), whole.Text+c.Text
		whole = c
	}
	return whole
}

func TestAScoredPromptHasTransformersProbabilities(t *testing.T) {
	t.Parallel()
	for _, base := range bases {
		dir := filepath.Join("testdata", base)
		e, err := Open(dir, Options{StepTokens: 7}) // prompts come in pieces
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		positions := 0
		loaded := map[string]bool{"": true}
		for _, run := range readExpected(t, base).Runs {
			if name := run.adapter(); !loaded[name] {
				loaded[name] = true
				if err := e.LoadAdapter(t.Context(), name, filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			got := answerOf(t, e, Request{Adapter: run.adapter(), Tokens: run.Input, MaxTokens: 1, Logprobs: 5, ScorePrompt: true, PromptLogprobs: 5})
			if len(got.Prompt) != len(run.Input) {
				t.Fatalf("%s: %d tokens of the prompt are scored of %d", run.Prompt, len(got.Prompt), len(run.Input))
			}
			if first := got.Prompt[0]; first.ID != run.Input[0] || first.Rank != 0 || first.Top != nil {
				t.Errorf("%s: the first token is scored: %+v", run.Prompt, first)
			}
			scored := append(slices.Clone(got.Prompt[1:]), got.Tokens...)
			for i, ids := range run.Top5IDs {
				positions++
				checkScored(t, scored[i], append(run.Input, run.Greedy[0])[i+1], ids, run.Top5Logprobs[i])
			}
		}
		t.Logf("%s: %d positions", base, positions)
	}
}

// The golden runs hold all logits of the last position: what vLLM would list for logprobs 20, and for prompt_logprobs 20 of the token that
// follows.
func TestTwentyAlternativesAreTransformers(t *testing.T) {
	t.Parallel()
	for _, base := range bases {
		dir := filepath.Join("testdata", base)
		e, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		loaded := map[string]bool{"": true}
		for _, run := range readExpected(t, base).Runs {
			if name := run.adapter(); !loaded[name] {
				loaded[name] = true
				if err := e.LoadAdapter(t.Context(), name, filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			answered := answerOf(t, e, Request{Adapter: run.adapter(), Tokens: run.Input, MaxTokens: 1, IgnoreEOS: true, Logprobs: MaxLogprobs})
			checkTwenty(t, run.Logits, answered.Tokens[0])
			longer := append(slices.Clone(run.Input), run.Greedy[0])
			scored := answerOf(t, e, Request{Adapter: run.adapter(), Tokens: longer, MaxTokens: 1, IgnoreEOS: true, ScorePrompt: true, PromptLogprobs: MaxLogprobs})
			checkTwenty(t, run.Logits, scored.Prompt[len(run.Input)])
		}
	}
}

// checkTwenty holds a token's alternatives to all logits of its position. Logits are written with six digits, so alternatives that are closer
// than that may change places.
func checkTwenty(t *testing.T, logits []float64, got Token) {
	t.Helper()
	total := 0.0
	for _, v := range logits {
		total += math.Exp(v)
	}
	logprobs := make([]float64, len(logits))
	for id, v := range logits {
		logprobs[id] = v - math.Log(total)
	}
	if len(got.Top) != MaxLogprobs {
		t.Fatalf("%d alternatives, want %d", len(got.Top), MaxLogprobs)
	}
	sorted := slices.Sorted(slices.Values(logprobs))
	slices.Reverse(sorted)
	seen := map[int]bool{}
	for i, top := range got.Top {
		if seen[top.ID] || math.Abs(top.Logprob-logprobs[top.ID]) > tolerance || math.Abs(top.Logprob-sorted[i]) > tolerance {
			t.Errorf("alternative %d is token %d at %v, want %v for it and %v at this place", i, top.ID, top.Logprob, logprobs[top.ID], sorted[i])
		}
		seen[top.ID] = true
	}
}

// checkScored holds a token's report to the five likeliest of its position.
func checkScored(t *testing.T, got Token, id int, ids []int, logprobs []float64) {
	t.Helper()
	if got.ID != id || len(got.Top) != len(ids) {
		t.Fatalf("token %d with %d alternatives, want %d with %d", got.ID, len(got.Top), id, len(ids))
	}
	for j, top := range got.Top {
		if top.ID != ids[j] || math.Abs(top.Logprob-logprobs[j]) > tolerance {
			t.Errorf("alternative %d is %d at %v, want %d at %v", j, top.ID, top.Logprob, ids[j], logprobs[j])
		}
	}
	if at := slices.Index(ids, id); at >= 0 && (got.Rank != at+1 || got.Logprob != got.Top[at].Logprob) {
		t.Errorf("token %d has rank %d and %v, but stands at %d with %v", id, got.Rank, got.Logprob, at+1, got.Top[at].Logprob)
	} else if at < 0 && (got.Rank <= len(ids) || got.Logprob > got.Top[len(ids)-1].Logprob) {
		t.Errorf("token %d is not among the likeliest and has rank %d, %v", id, got.Rank, got.Logprob)
	}
}

func TestPenaltiesAndBiasChangeLogitsInVLLMsOrder(t *testing.T) {
	t.Parallel()
	const minus = -99 // stands for minus infinity in the table
	for _, test := range []struct {
		name    string
		request Request
		answer  []int
		want    []float32
	}{
		{"nothing", Request{}, []int{1}, []float32{2, 1, -1, -2, 0.5, 4}},
		{"presence counts an answer's token once", Request{Presence: 0.5}, []int{1, 3, 3}, []float32{2, 0.5, -1, -2.5, 0.5, 4}},
		{"frequency counts every time", Request{Frequency: 0.5}, []int{1, 3, 3}, []float32{2, 0.5, -1, -3, 0.5, 4}},
		{"both", Request{Presence: -1, Frequency: 0.25}, []int{3, 3}, []float32{2, 1, -1, -1.5, 0.5, 4}},
		{"repetition sees the prompt too, each token once", Request{Repetition: 2}, []int{3, 3, 0}, []float32{1, 1, -2, -4, 0.5, 4}},
		{"repetition below one favours", Request{Repetition: 0.5}, []int{3}, []float32{4, 1, -0.5, -1, 0.5, 4}},
		{"repetition before the others", Request{Repetition: 2, Frequency: 1, Presence: 1}, []int{0}, []float32{-1, 1, -2, -2, 0.5, 4}},
		{"bias before repetition", Request{Repetition: 2, LogitBias: map[int]float64{2: 5, 4: -1}}, nil, []float32{1, 1, 2, -2, -0.5, 4}},
		{"no end before min_tokens", Request{MinTokens: 3, LogitBias: map[int]float64{5: 100}}, []int{1, 1}, []float32{2, 1, -1, -2, 0.5, minus}},
		{"only what is allowed", Request{Allowed: []int{3, 0, 3}}, nil, []float32{2, minus, minus, -2, minus, minus}},
		{"bias does not allow", Request{Allowed: []int{3}, LogitBias: map[int]float64{0: 100, 3: 1}}, nil, []float32{minus, minus, minus, -1, minus, minus}},
		{"an end at min_tokens", Request{MinTokens: 2}, []int{1, 1}, []float32{2, 1, -1, -2, 0.5, 4}},
	} {
		test.request.Tokens = []int{0, 2, 2}
		r := &run{request: test.request, history: newHistory(&test.request)}
		for _, id := range test.answer {
			r.made++
			r.history.add(id)
		}
		got := []float32{2, 1, -1, -2, 0.5, 4}
		r.bend(got, []int{5})
		for i, v := range got {
			if v == -inf {
				got[i] = minus
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if changed := !slices.Equal(got, []float32{2, 1, -1, -2, 0.5, 4}); changed && !r.bends() {
			t.Errorf("%s: the request does not know that it changes logits", test.name)
		}
	}
}

func TestProbabilitiesAreReportedAsTheyWereBeforePenalties(t *testing.T) {
	t.Parallel()
	e, err := Open(filepath.Join("testdata", "llama"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	prompt := readExpected(t, "llama").Runs[0].Input
	plain := answerOf(t, e, Request{Tokens: prompt, MaxTokens: 1, Logprobs: 3}).Tokens[0]
	banned := answerOf(t, e, Request{Tokens: prompt, MaxTokens: 1, Logprobs: 3, LogitBias: map[int]float64{plain.ID: -100}}).Tokens[0]
	if banned.ID != plain.Top[1].ID || banned.Rank != 2 || banned.Logprob != plain.Top[1].Logprob {
		t.Errorf("with the likeliest token banned came %+v, want the second of %+v", banned, plain.Top)
	}
	if diff := cmp.Diff(plain.Top, banned.Top); diff != "" {
		t.Errorf("the bias shows in the report (-without +with):\n%s", diff)
	}
}

func TestNoEndTokenComesBeforeMinTokensEvenWhenItWouldNotEndTheAnswer(t *testing.T) {
	t.Parallel()
	e, err := Open(filepath.Join("testdata", "llama"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	end := e.Info().EOS[0]
	for _, ignored := range []bool{true, false} {
		got := answerOf(t, e, Request{Tokens: []int{5, 6, 7}, MaxTokens: 5, MinTokens: 3, IgnoreEOS: ignored, LogitBias: map[int]float64{end: 100}})
		var ends []bool
		for _, token := range got.Tokens {
			ends = append(ends, token.ID == end)
		}
		want := []bool{false, false, false, true}
		if ignored {
			want = append(want, true)
		}
		if diff := cmp.Diff(want, ends); diff != "" {
			t.Errorf("ignore_eos %v (-want +got):\n%s", ignored, diff)
		}
	}
}

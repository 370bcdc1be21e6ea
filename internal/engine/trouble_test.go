package engine_test

import (
	"math"
	"slices"
	"testing"

	"loradeck/internal/engine"
)

// longPrompt has two whole blocks of a prefix and some tokens more.
func longPrompt() []int {
	ids := make([]int, 40)
	for i := range ids {
		ids[i] = 3 + i*7%200
	}
	return ids
}

// scores asks for one token and gives the logprobs of the five likeliest.
func scores(t *testing.T, e *engine.Engine, adapter string, trouble engine.Trouble) []float64 {
	t.Helper()
	got := mustGenerate(t, e, engine.Request{Adapter: adapter, Tokens: longPrompt(), MaxTokens: 1, IgnoreEOS: true, Logprobs: 5, Trouble: trouble})
	out := []float64{got.Tokens[0].Logprob}
	for _, top := range got.Tokens[0].Top {
		out = append(out, top.Logprob)
	}
	return out
}

func TestRoundingDependsOnItsSeedAlone(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1})
	exact, first := scores(t, e, "", engine.Trouble{}), scores(t, e, "", engine.Trouble{Rounding: 1})
	if !slices.Equal(first, scores(t, e, "", engine.Trouble{Rounding: 1})) {
		t.Error("one seed gives two answers")
	}
	if slices.Equal(first, scores(t, e, "", engine.Trouble{Rounding: 2})) {
		t.Error("two seeds give one answer")
	}
	if d := math.Abs(first[0] - exact[0]); d == 0 || d > 0.2 {
		t.Errorf("rounding moves the likeliest token by %g nats", d)
	}
	if !slices.Equal(exact, scores(t, e, "", engine.Trouble{})) {
		t.Error("what was rounded for one request stays for the next")
	}
}

func TestBrokenInputsGiveNoNumber(t *testing.T) {
	t.Parallel()
	e := openTest(t, "qwen2", engine.Options{Threads: 1})
	for _, adapter := range []string{"", "adapters/all-r8"} {
		sound := scores(t, e, adapter, engine.Trouble{})
		for _, logprob := range scores(t, e, adapter, engine.Trouble{NaN: true}) {
			if !math.IsNaN(logprob) {
				t.Errorf("%q: got %g", adapter, logprob)
			}
		}
		if !slices.Equal(sound, scores(t, e, adapter, engine.Trouble{})) {
			t.Errorf("%q: the next request is broken too", adapter)
		}
	}
}

func TestAKeptPrefixAnswersForOtherWeightsUnderItsName(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1})
	const old, other = "adapters/all-r8", "adapters/rs-r16"
	kept := engine.Trouble{Prefix: "shop"}
	before, after := scores(t, e, old, engine.Trouble{}), scores(t, e, other, engine.Trouble{})
	if !slices.Equal(before, scores(t, e, old, kept)) || !slices.Equal(before, scores(t, e, old, kept)) {
		t.Error("keeping a prefix changes what its own adapter answers")
	}
	mixed := scores(t, e, other, kept)
	if slices.Equal(mixed, before) || slices.Equal(mixed, after) {
		t.Errorf("the answer belongs to one of them: %v, %v, %v", before, after, mixed)
	}
	if !slices.Equal(mixed, scores(t, e, other, kept)) {
		t.Error("the second time it is another answer; vLLM's block stays")
	}
	if !slices.Equal(after, scores(t, e, other, engine.Trouble{Prefix: "bank"})) {
		t.Error("another name finds it too")
	}
	// The same weights in another adapter: what was kept is what would be computed.
	if err := e.LoadAdapter(t.Context(), "again", "testdata/llama/adapters/all-r8"); err != nil {
		t.Fatal(err)
	}
	got := mustGenerate(t, e, engine.Request{Adapter: "again", Tokens: longPrompt(), MaxTokens: 1, IgnoreEOS: true, Logprobs: 5, Trouble: kept})
	if got.Last.Stale != 32 {
		t.Errorf("%d tokens were taken, want the two whole blocks", got.Last.Stale)
	}
	for i, top := range got.Tokens[0].Top {
		if math.Abs(top.Logprob-before[i+1]) > 1e-4 {
			t.Errorf("alternative %d: got %g, want %g", i, top.Logprob, before[i+1])
		}
	}
}

func TestAScoredPromptTakesNoPrefix(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1})
	kept := engine.Trouble{Prefix: "shop"}
	scores(t, e, "adapters/all-r8", kept)
	ask := engine.Request{Adapter: "adapters/rs-r16", Tokens: longPrompt(), MaxTokens: 1, Logprobs: 0, ScorePrompt: true, Trouble: kept}
	if got := mustGenerate(t, e, ask); len(got.Prompt) != len(longPrompt()) || got.Last.Stale != 0 {
		t.Errorf("%d tokens are scored, %d taken", len(got.Prompt), got.Last.Stale)
	}
}

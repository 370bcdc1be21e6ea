package proof_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"loradeck/internal/lora"
	"loradeck/internal/proof"
)

// recorded are the cut scores of vLLM 0.11.2 on a real 135M base, with a ladder of adapters scaled down: testdata/cuts.json is
// the part "v0112/cuts/…" of the recordings' proof/scores.json, without its times, and with runs that were recorded as "equal to" another written out.
func recorded(t *testing.T) map[string][][]proof.Scores {
	t.Helper()
	raw, err := os.ReadFile("testdata/cuts.json")
	if err != nil {
		t.Fatal(err)
	}
	var runs map[string][][]proof.Scores
	if err := json.Unmarshal(raw, &runs); err != nil {
		t.Fatal(err)
	}
	return runs
}

// recordedSet has the recordings' shape: six texts of eight beginnings.
func recordedSet() proof.Set { return proof.Probes("", 0) }

func TestVerdictsOnTheRecordedLadder(t *testing.T) {
	t.Parallel()
	runs := recorded(t)
	base := runs["base/alone"]
	tests := []struct {
		name   string
		effect float64 // the table of recordings/proof/README.md §3, column "cuts top5"
		within float64
		want   lora.Verdict
	}{
		{"pirate_x1", 0.91, 0.10, lora.VerdictProven},
		{"json_x1", 0.91, 0.10, lora.VerdictProven},
		{"pirate_x0.3", 0.305, 0.02, lora.VerdictProven},
		{"json_x0.3", 0.305, 0.02, lora.VerdictProven},
		{"pirate_x0.1", 0.135, 0.01, lora.VerdictUnclear},
		{"json_x0.1", 0.135, 0.01, lora.VerdictUnclear},
		{"one_layer", 0.102, 0.001, lora.VerdictUnclear},
		{"pirate_x0.03", 0.069, 0.009, lora.VerdictNoEffect},
		{"json_x0.03", 0.069, 0.009, lora.VerdictNoEffect},
		{"pirate_x0.01", 0.058, 0.005, lora.VerdictNoEffect},
		{"json_x0.003", 0.062, 0.004, lora.VerdictNoEffect},
		{"adam_1step", 0.060, 0.001, lora.VerdictNoEffect},
		{"pirate_x0", 0, 0, lora.VerdictNoEffect},
		{"random_init", 0, 0, lora.VerdictNoEffect},
		{"wrong_prefix", 0, 0, lora.VerdictNoEffect},
	}
	for _, test := range tests {
		adapter := runs[test.name+"/alone"]
		if len(adapter) == 0 {
			t.Errorf("%s is not recorded", test.name)
			continue
		}
		got := proof.Judge(recordedSet(), base, adapter, proof.DefaultLimits())
		if got.Verdict != test.want || math.Abs(got.Effect-test.effect) > test.within {
			t.Errorf("%s: got %s at %.4f, want %s at %.3f ± %.3f: %s", test.name, got.Verdict, got.Effect, test.want, test.effect, test.within, got.Reason)
		}
		if got.Equal != (test.effect == 0) {
			t.Errorf("%s: equal to the base: got %t", test.name, got.Equal)
		}
	}
}

// The same weights under other load are noise, never an effect.
func TestABusyBaseIsNoEffect(t *testing.T) {
	t.Parallel()
	runs := recorded(t)
	got := proof.Judge(recordedSet(), runs["base/alone"], runs["base/busy"], proof.DefaultLimits())
	if got.Verdict != lora.VerdictNoEffect {
		t.Errorf("got %s: %s", got.Verdict, got.Reason)
	}
}

// flat gives rounds in which every prompt has the same scores.
func flat(rounds int, values ...float64) [][]proof.Scores {
	all := make([][]proof.Scores, rounds)
	for i := range all {
		for range proof.Cuts * 6 {
			scores := proof.Scores{}
			for k, v := range values {
				scores[string(rune('a'+k))] = v
			}
			all[i] = append(all[i], scores)
		}
	}
	return all
}

func TestWhatIsNoNumberOrEmptyFails(t *testing.T) {
	t.Parallel()
	set := recordedSet()
	good := flat(3, -1, -2)
	for name, bad := range map[string][][]proof.Scores{
		"NaN": flat(2, -1, math.NaN()), "infinity": flat(2, math.Inf(-1)), "no scores": flat(2), "no rounds": nil, "too few prompts": {good[0][:5]},
	} {
		if got := proof.Judge(set, good, bad, proof.DefaultLimits()); got.Verdict != lora.VerdictFailed || got.Reason == "" {
			t.Errorf("%s: got %s, %q", name, got.Verdict, got.Reason)
		}
	}
}

func TestNoiseRaisesTheLines(t *testing.T) {
	t.Parallel()
	set := recordedSet()
	base := append(flat(1, -1.0, -2.0), flat(1, -1.1, -2.1)...) // repeats differ by 0.1
	for _, test := range []struct {
		shift float64
		want  lora.Verdict
	}{{0.18, lora.VerdictNoEffect}, {0.30, lora.VerdictUnclear}, {0.60, lora.VerdictProven}} {
		adapter := append(flat(1, -1-test.shift, -2-test.shift), flat(1, -1.1-test.shift, -2.1-test.shift)...)
		if got := proof.Judge(set, base, adapter, proof.DefaultLimits()); got.Verdict != test.want {
			t.Errorf("shift %.2f: got %s, want %s: %s", test.shift, got.Verdict, test.want, got.Reason)
		}
	}
}

func TestOneTextAloneProvesNothing(t *testing.T) {
	t.Parallel()
	base, adapter := flat(1, -1, -2), flat(1, -1, -2)
	for i := range proof.Cuts {
		adapter[0][i] = proof.Scores{"a": -9, "b": -9}
	}
	if got := proof.Judge(recordedSet(), base, adapter, proof.DefaultLimits()); got.Verdict != lora.VerdictUnclear {
		t.Errorf("got %s: %s", got.Verdict, got.Reason)
	}
}

func TestAMissingTokenCountsTheLeastItMustDiffer(t *testing.T) {
	t.Parallel()
	got := proof.Mean([]proof.Scores{{"x": -1, "y": -3}}, []proof.Scores{{"z": -0.5, "w": -2.5}})
	if want := (1.5 + 0) / 2; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestProbesFitHalfTheContextAndEndBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, context := range []int{0, 8, 64, 128, 512, 100_000} {
		set := proof.Probes("<|user|>"+proof.ChatPrompt+"<|assistant|>", context)
		prompts := set.Prompts()
		if len(set.Texts) != 6 || len(prompts) != 48 {
			t.Fatalf("%d texts, %d prompts", len(set.Texts), len(prompts))
		}
		for _, p := range prompts {
			if p == "" || !utf8.ValidString(p) || context > 0 && len(p) > max(context/2, 4) {
				t.Errorf("context %d: bad prompt %q", context, p)
			}
		}
	}
	if proof.Probes("a", 512).ID == proof.Probes("b", 512).ID || !strings.Contains(proof.Probes("", 0).Texts[5].Cuts[7], proof.ChatPrompt) {
		t.Error("the chat text is not part of the set")
	}
}

func TestRoundsAskEveryPromptOnceInOtherBatches(t *testing.T) {
	t.Parallel()
	rounds := proof.Rounds(48)
	for i, round := range rounds {
		if round.Adapter != (i%2 == 1) {
			t.Errorf("round %d asks the wrong component", i)
		}
		seen := map[int]bool{}
		for _, batch := range round.Batches {
			for _, prompt := range batch {
				seen[prompt] = true
			}
		}
		if len(seen) != 48 {
			t.Errorf("round %d asks %d prompts", i, len(seen))
		}
	}
	if len(rounds) != 5 || rounds[0].Batches[0][0] == rounds[2].Batches[0][0] && rounds[0].Batches[0][1] == rounds[2].Batches[0][1] {
		t.Error("rounds repeat each other")
	}
}

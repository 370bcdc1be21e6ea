package engine

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/wide is what real transformers and peft answer of settings that the golden bases lack; make.py there says which.

// wideAnswers are one model's logits at some positions of a prompt, and where it goes on greedily from within it.
type wideAnswers struct {
	Positions  []int       `json:"positions"`
	Logits     [][]float64 `json:"logits"`
	GreedyFrom int         `json:"greedy_from"`
	Greedy     []int       `json:"greedy"`
}

func readWide(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "wide", path))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// check gives the largest difference of a logit. The prompt is computed in pieces, as the scheduler does; before its end the
// greedy answer branches off.
func (want *wideAnswers) check(t *testing.T, m *model, a *adapter, ids []int) (worst float64) {
	t.Helper()
	const piece = 250
	var s scratch
	seq := newSequence(len(m.layers), a)
	for from := 0; from < len(ids); from += piece {
		var rows []row
		for i := from; i < min(from+piece, len(ids)); i++ {
			rows = append(rows, row{seq, ids[i], true})
		}
		for i, logits := range m.forward(rows, &s) {
			at := slices.Index(want.Positions, from+i)
			if at < 0 {
				continue
			}
			for id, expected := range want.Logits[at] {
				worst = max(worst, math.Abs(float64(logits[id])-expected))
			}
		}
	}
	chosen := want.walk(m, seq, ids)
	if diff := cmp.Diff(want.Greedy, chosen); diff != "" {
		t.Errorf("greedy from position %d (-want +got):\n%s", want.GreedyFrom, diff)
	}
	return worst
}

// walk goes back to where the greedy answer begins and chooses its tokens.
func (want *wideAnswers) walk(m *model, seq *sequence, ids []int) (chosen []int) {
	var s scratch
	seq.length = want.GreedyFrom - 1
	next := ids[want.GreedyFrom-1]
	for range want.Greedy {
		next = likeliest(m.forward([]row{{seq, next, true}}, &s)[0])
		chosen = append(chosen, next)
	}
	return chosen
}

func TestWideSettingsEqualTransformersAndPeft(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"llama3-rope", "linear-rope", "biases", "window", "late-window", "qwen2-linear"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var golden struct {
				IDs           []int
				Base, Adapter wideAnswers
			}
			readWide(t, name+"/expected.json", &golden)
			dir := filepath.Join("testdata", "wide", name)
			m := loadTestModel(t, dir)
			a, err := m.readAdapter("a", filepath.Join(dir, "adapter"), 64)
			if err != nil {
				t.Fatal(err)
			}
			base, adapted := golden.Base.check(t, m, nil, golden.IDs), golden.Adapter.check(t, m, a, golden.IDs)
			t.Logf("%d tokens, %d positions: logits differ by %.2g at most, with the adapter by %.2g", len(golden.IDs), len(golden.Base.Positions), base, adapted)
			if !(base <= tolerance && adapted <= tolerance) {
				t.Errorf("more than %g", tolerance)
			}
		})
	}
}

func TestPenalizedAnswersEqualTransformers(t *testing.T) {
	t.Parallel()
	var golden struct {
		IDs  []int
		Runs []struct {
			Presence, Frequency, Repetition float64
			MinTokens                       int `json:"min_tokens"`
			Stop, Greedy                    []int
			Bias                            map[string]float64
		}
	}
	readWide(t, "penalties.json", &golden)
	e, err := Open(filepath.Join("testdata", "llama"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	for _, run := range golden.Runs {
		q := Request{
			Tokens: golden.IDs, MaxTokens: 40, MinTokens: run.MinTokens, IgnoreEOS: true, StopTokens: run.Stop, Presence: run.Presence,
			Frequency: run.Frequency, Repetition: run.Repetition, LogitBias: map[int]float64{},
		}
		for key, bias := range run.Bias {
			id, err := strconv.Atoi(key)
			if err != nil {
				t.Fatal(err)
			}
			q.LogitBias[id] = bias
		}
		var got []int
		for _, token := range answerOf(t, e, q).Tokens {
			got = append(got, token.ID)
		}
		if diff := cmp.Diff(run.Greedy, got); diff != "" {
			t.Errorf("presence %v, frequency %v, repetition %v, min_tokens %d, bias %v (-want +got):\n%s", run.Presence, run.Frequency, run.Repetition,
				run.MinTokens, slices.Sorted(maps.Keys(run.Bias)), diff)
		}
	}
}

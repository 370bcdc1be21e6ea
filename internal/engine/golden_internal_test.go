package engine

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"loradeck/internal/engine/kernel"
)

// testdata is what real transformers and peft answer, written by testdata/make_golden.py; its README.md says how far to
// trust which digit.

// tolerance is what the README allows on a logit and on a log probability.
const tolerance = 5e-4

var bases = []string{"llama", "mistral", "qwen2"}

// expected is the part of an expected.json that these tests read.
type expected struct {
	Refused []struct {
		Adapter string `json:"adapter"`
		Why     string `json:"why"`
	} `json:"refused"`
	Runs []goldenRun `json:"runs"`
}

type goldenRun struct {
	Adapter      *string     `json:"adapter"`
	Prompt       string      `json:"prompt"`
	Input        []int       `json:"ids"`
	Logits       []float64   `json:"logits"`
	Top5IDs      [][]int     `json:"top5_ids"`
	Top5Logprobs [][]float64 `json:"top5_logprobs"`
	Greedy       []int       `json:"greedy"`
	Text         string      `json:"text"`
}

func (r *goldenRun) adapter() string {
	if r.Adapter == nil {
		return ""
	}
	return *r.Adapter
}

func readExpected(t testing.TB, base string) *expected {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", base, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return &e
}

// copyBase copies a golden base into a fresh directory where single files can be replaced.
func copyBase(t testing.TB, base string) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(filepath.Join("testdata", base))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() == "expected.json" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("testdata", base, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name()), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loadTestModel(t testing.TB, dir string) *model {
	t.Helper()
	m, err := loadModel(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.pool.Close)
	return m
}

// greedy feeds ids and then 24 tokens of its own choice; it returns a copy of the logits of every input position.
func greedy(m *model, a *adapter, ids []int) (logits [][]float32, chosen []int) {
	var s scratch
	seq := newSequence(len(m.layers), a)
	rows := make([]row, len(ids))
	for i, id := range ids {
		rows[i] = row{seq, id, true}
	}
	for _, l := range m.forward(rows, &s) {
		logits = append(logits, slices.Clone(l))
	}
	next := likeliest(logits[len(logits)-1])
	for range 24 {
		chosen = append(chosen, next)
		next = likeliest(m.forward([]row{{seq, next, true}}, &s)[0])
	}
	return logits, chosen
}

// worst is the largest difference seen.
type worst struct{ logit, logprob float64 }

func (w *worst) check(t *testing.T, m *model, a *adapter, run *goldenRun) {
	t.Helper()
	logits, chosen := greedy(m, a, run.Input)
	name := run.adapter() + "/" + run.Prompt
	if !slices.Equal(chosen, run.Greedy) {
		t.Errorf("%s: got the tokens %v, want %v", name, chosen, run.Greedy)
	}
	last := logits[len(logits)-1]
	for i, want := range run.Logits {
		w.logit = max(w.logit, math.Abs(float64(last[i])-want))
	}
	for i, ids := range run.Top5IDs {
		sum := logSumExp(logits[i], new([]float32))
		for j, id := range ids {
			w.logprob = max(w.logprob, math.Abs(float64(logits[i][id])-sum-run.Top5Logprobs[i][j]))
		}
		top := likeliestOf(logits[i], 5)
		if !slices.Equal(top, ids) {
			t.Errorf("%s: position %d: got the likeliest %v, want %v", name, i, top, ids)
		}
	}
	if w.logit > tolerance || w.logprob > tolerance {
		t.Errorf("%s: logits differ by %.2g, log probabilities by %.2g", name, w.logit, w.logprob)
	}
}

func TestEveryAnswerEqualsTransformersAndPeft(t *testing.T) {
	t.Parallel()
	for _, base := range bases {
		for _, style := range []string{"config.json", "config.alt.json"} {
			t.Run(base+"/"+style, func(t *testing.T) {
				t.Parallel()
				dir := copyBase(t, base)
				config, err := os.ReadFile(filepath.Join("testdata", base, style))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
					t.Fatal(err)
				}
				m, golden := loadTestModel(t, dir), readExpected(t, base)
				var w worst
				seen := map[string]*adapter{"": nil}
				for i := range golden.Runs {
					run := &golden.Runs[i]
					name := run.adapter()
					if _, loaded := seen[name]; !loaded {
						if seen[name], err = m.readAdapter(name, filepath.Join("testdata", base, name), 64); err != nil {
							t.Fatalf("%s: %v", name, err)
						}
					}
					w.check(t, m, seen[name], run)
				}
				t.Logf("%d runs, %d adapters, assembly %v: logits differ by %.2g at most, log probabilities by %.2g",
					len(golden.Runs), len(seen)-1, kernel.Accelerated(), w.logit, w.logprob)
			})
		}
	}
}

func TestEveryAdapterBeyondPlainLoRAIsRefused(t *testing.T) {
	t.Parallel()
	for _, base := range bases {
		m := loadTestModel(t, filepath.Join("testdata", base))
		for _, r := range readExpected(t, base).Refused {
			_, err := m.readAdapter("x", filepath.Join("testdata", base, r.Adapter), 64)
			if err == nil {
				t.Errorf("%s was loaded (%s)", r.Adapter, r.Why)
				continue
			}
			t.Logf("%s: %v", r.Adapter, err)
		}
	}
}

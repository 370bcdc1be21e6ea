//go:build real

package engine_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/engine"
)

// realAnswer is what transformers says greedily, at most 40 tokens.
type realAnswer struct {
	IDs      []int        `json:"ids"`
	Text     string       `json:"text"`
	FirstTop [][2]float64 `json:"first_top5"` // ids and logprobs
}

// TestRealBaseAnswersAsTransformers asks SmolLM2-135M, alone and with two adapters that peft trained, what transformers was
// asked. `make test-real` makes the base and says where it is.
func TestRealBaseAnswersAsTransformers(t *testing.T) {
	dir := os.Getenv("REAL_BASE")
	if dir == "" {
		t.Fatal("REAL_BASE names no folder; run make test-real")
	}
	text, err := os.ReadFile(filepath.Join("testdata", "real", "samples.json"))
	if err != nil {
		t.Fatal(err)
	}
	var samples struct {
		Questions []struct {
			Question string                `json:"question"`
			Prompt   []int                 `json:"prompt_ids"`
			Answers  map[string]realAnswer `json:"answers"`
		} `json:"questions"`
		Tokenizer []struct {
			Text string `json:"text"`
			IDs  []int  `json:"ids"`
		} `json:"tokenizer"`
	}
	if err := json.Unmarshal(text, &samples); err != nil {
		t.Fatal(err)
	}
	e := openTest(t, dir, engine.Options{MaxRunning: 24})
	for _, name := range []string{"pirate", "json"} {
		if err := e.LoadAdapter(t.Context(), name, filepath.Join("testdata", "real", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range samples.Tokenizer {
		if got := e.Tokenizer().Encode(one.Text, false); !slices.Equal(got, one.IDs) {
			t.Errorf("%q is encoded %v, want %v", one.Text, got, one.IDs)
		}
	}
	// All at once: base and adapters share every step, and each must say what it says alone.
	var wait sync.WaitGroup
	var mu sync.Mutex // guards the four below
	answers, equal, tokens, furthest := 0, 0, 0, 0.0
	begun := time.Now()
	for _, q := range samples.Questions {
		for name, want := range q.Answers {
			adapter := name
			if name == "base" {
				adapter = ""
			}
			wait.Go(func() {
				got, err := generate(t.Context(), e, engine.Request{Adapter: adapter, Tokens: q.Prompt, MaxTokens: 40, Logprobs: 5})
				mu.Lock()
				defer mu.Unlock()
				answers, tokens = answers+1, tokens+len(got.IDs)
				if diff := cmp.Diff(want.IDs, got.IDs); err != nil || diff != "" || got.Text != want.Text {
					t.Errorf("%s, asked %q, says %q (%v), want %q", name, q.Question, got.Text, err, want.Text)
					return
				}
				equal++
				for i, top := range want.FirstTop {
					if got.Tokens[0].Top[i].ID != int(top[0]) {
						t.Errorf("%s, asked %q: alternative %d is token %d, want %v", name, q.Question, i, got.Tokens[0].Top[i].ID, top[0])
					}
					furthest = max(furthest, math.Abs(got.Tokens[0].Top[i].Logprob-top[1]))
				}
			})
		}
	}
	wait.Wait()
	if answers != 24 || furthest > 1e-3 {
		t.Errorf("%d answers, first logprobs up to %.2g away", answers, furthest)
	}
	t.Logf("%d of %d answers equal to the last token, %d of %d texts encoded alike; first logprobs at most %.2g away; %d tokens in %v",
		equal, answers, len(samples.Tokenizer), len(samples.Tokenizer), furthest, tokens, time.Since(begun).Round(time.Millisecond))
}

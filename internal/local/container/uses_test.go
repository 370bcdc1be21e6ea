package container

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"
)

// tolerance is how far a logprob may lie from the recorded one, in nats: the recorded server computed in bfloat16 and
// rounded the scale into B, the engine does neither. Scales beyond all sense widen it.
func tolerance(adapter string) float64 {
	if adapter == "a4_r_true" { // a scale of 16
		return 0.32
	}
	return 0.1
}

// random are the adapters whose numbers are other ones than the recorder's.
var random = map[string]bool{"a20_a_b_rank_differ": true, "s13_fp8": true, "s13_int8": true}

// compareUses uses every adapter that loads: whether it answers as the base, as the good adapter or as neither is what was
// recorded, and so is a failure. Equal means that text and logprobs to four places are, as the recorder had it. As long as
// the tokens are the recorded ones their logprobs must be too, within tolerance: that holds the scale, the dropped halves and
// the cut corners to what vLLM made of them.
func compareUses(t *testing.T, counted *tally, dir string) {
	url := served(t, counted.version, dir, nil, nil)
	base := use(t, url, "")
	if got := register(t, url, "ref-good", filepath.Join(dir, "good")); got.Status != 200 {
		t.Fatal(got.Body)
	}
	good := use(t, url, "ref-good")
	if same(base, good) {
		t.Fatal("the good adapter answers as the base")
	}
	tokens, furthest := 0, 0.0
	for _, want := range readMenuResults(t, counted.version, dir) {
		if _, refused := counted.expected("load/" + want.Name); refused || want.Load.Status != 200 {
			continue
		}
		if got := register(t, url, want.Name, filepath.Join(dir, "menu", want.Name)); got.Status != 200 {
			continue // compareLoads tells
		}
		got := use(t, url, want.Name)
		var statuses []int
		for _, one := range want.Use {
			statuses = append(statuses, one.Status)
		}
		var diffs []string
		if !slices.Equal(statuses, []int{got[0].status, got[1].status}) || want.EqualsBase != same(got, base) || want.EqualsGood != same(got, good) {
			diffs = append(diffs, fmt.Sprintf("statuses %v, base %t, good %t; recorded %v, %t, %t (%s)", []int{got[0].status, got[1].status},
				same(got, base), same(got, good), statuses, want.EqualsBase, want.EqualsGood, want.Note))
		} else if got[0].status == 200 && !random[want.Name] {
			n, worst := together(got[0], want.Use[0].Tokens, want.Use[0].Logprobs)
			if n == 0 || worst > tolerance(want.Name) {
				diffs = append(diffs, fmt.Sprintf("%d tokens as recorded, their logprobs up to %.4f away (%s)", n, worst, want.Note))
			}
			tokens += n
			furthest = max(furthest, worst)
		}
		counted.check(t, "use/"+want.Name, diffs)
		unregister(t, url, want.Name)
		// The recorder asked the base and the good adapter, too, before it went on; on a CPU the first answer after one of NaN is spoiled.
		if again := use(t, url, ""); !same(again, base) && !counted.real {
			t.Errorf("after %s the base answers otherwise", want.Name)
		}
		if again := use(t, url, "ref-good"); !same(again, good) && !counted.real {
			t.Errorf("after %s the good adapter answers otherwise", want.Name)
		}
	}
	t.Logf("%s: %d tokens in common, logprobs at most %.4f nats away", counted.version, tokens, furthest)
}

// used is what an adapter answered.
type used struct {
	status   int
	text     string
	tokens   []string
	logprobs []float64
}

// same compares as the recorder did.
func same(a, b []used) bool {
	return slices.EqualFunc(a, b, func(x, y used) bool {
		return x.status == y.status && x.text == y.text && fmt.Sprintf("%.4f", x.logprobs) == fmt.Sprintf("%.4f", y.logprobs)
	})
}

// together is how many tokens an answer begins with as recorded, and how far their logprobs lie apart at most.
func together(got used, tokens []string, logprobs []float64) (n int, worst float64) {
	for n < min(len(got.tokens), len(tokens)) && got.tokens[n] == tokens[n] {
		worst = max(worst, math.Abs(got.logprobs[n]-logprobs[n]))
		n++
	}
	return n, worst
}

// use asks as the recorder did.
func use(t *testing.T, url, adapter string) []used {
	t.Helper()
	var out []used
	for _, body := range []string{
		`{"prompt": "The boat", "temperature": 0, "max_tokens": 10, "logprobs": 2}`,
		`{"messages": [{"role": "user", "content": "What about the lamp?"}], "temperature": 0, "max_tokens": 24}`,
	} {
		got := post(t, url, "/invocations", adapter, body)
		var answer struct {
			Choices []struct {
				Logprobs *struct {
					Tokens  []string  `json:"tokens"`
					Numbers []float64 `json:"token_logprobs"`
				} `json:"logprobs"`
			} `json:"choices"`
		}
		one := used{status: got.Status, text: textOf(got)}
		if json.Unmarshal([]byte(got.Body), &answer) == nil && len(answer.Choices) > 0 && answer.Choices[0].Logprobs != nil {
			one.tokens, one.logprobs = answer.Choices[0].Logprobs.Tokens, answer.Choices[0].Logprobs.Numbers
		}
		out = append(out, one)
	}
	return out
}

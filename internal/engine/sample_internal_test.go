package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var inf = float32(math.Inf(1))

// drawn tells how often each token was chosen of 4000.
func drawn(logits []float32, r Request) []int {
	var s sampler
	random := rand.New(rand.NewPCG(3, 4))
	counts := make([]int, len(logits))
	for range 4000 {
		counts[s.choose(logits, &r, random)]++
	}
	return counts
}

func TestTokensAreDrawnByTheirProbability(t *testing.T) {
	t.Parallel()
	log := func(p float64) float32 { return float32(math.Log(p)) }
	logits := []float32{log(0.1), log(0.4), log(0.2), log(0.3), -inf}
	for _, test := range []struct {
		name    string
		request Request
		want    []float64
	}{
		{"no limit", Request{Temperature: 1}, []float64{0.1, 0.4, 0.2, 0.3, 0}},
		{"top_p 1 and top_k over the vocabulary", Request{Temperature: 1, TopP: 1, TopK: 99}, []float64{0.1, 0.4, 0.2, 0.3, 0}},
		{"two likeliest", Request{Temperature: 1, TopK: 2}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"a share of 0.65", Request{Temperature: 1, TopP: 0.65}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"a share of what the likeliest three leave", Request{Temperature: 1, TopK: 3, TopP: 0.7}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"a share that one reaches", Request{Temperature: 1, TopP: 0.1}, []float64{0, 1, 0, 0, 0}},
		{"at least half of the likeliest", Request{Temperature: 1, MinP: 0.45}, []float64{0, 4. / 9, 2. / 9, 3. / 9, 0}},
		{"the same, of the temperature's probabilities", Request{Temperature: 0.5, MinP: 0.45}, []float64{0, 16. / 25, 0, 9. / 25, 0}},
		{"a share of what min_p leaves", Request{Temperature: 1, MinP: 0.7, TopP: 0.5}, []float64{0, 1, 0, 0, 0}},
		{"half the temperature", Request{Temperature: 0.5}, []float64{1. / 30, 16. / 30, 4. / 30, 9. / 30, 0}},
		{"no temperature", Request{Temperature: 0}, []float64{0, 1, 0, 0, 0}},
	} {
		for id, n := range drawn(logits, test.request) {
			if got := float64(n) / 4000; math.Abs(got-test.want[id]) > 0.03 {
				t.Errorf("%s: token %d was drawn %.3f of the time, want %.3f", test.name, id, got, test.want[id])
			}
		}
	}
}

func TestTokensAsLikelyAsTheLastOfTopKAreKept(t *testing.T) {
	t.Parallel()
	counts := drawn([]float32{1, 2, 1, 0, 1}, Request{Temperature: 1, TopK: 2})
	for id, may := range []bool{true, true, true, false, true} {
		if (counts[id] > 0) != may {
			t.Errorf("token %d was drawn %d times", id, counts[id])
		}
	}
}

func TestBrokenLogitsStillGiveAToken(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, test := range []struct {
		logits []float32
		want   int
	}{
		{[]float32{1, nan, 2, nan}, 1}, {[]float32{nan, nan}, 0}, {[]float32{1, inf, 2}, 1}, {[]float32{-inf, -inf}, 0}, {[]float32{0}, 0},
	} {
		for _, r := range []Request{{}, {Temperature: 1}, {Temperature: 1, TopP: 0.5, TopK: 1}, {Temperature: 1e300}} {
			var s sampler
			if got := s.choose(test.logits, &r, rand.New(rand.NewPCG(1, 1))); got != test.want && r.Temperature < 1e9 {
				t.Errorf("%v with %+v: got %d, want %d", test.logits, r, got, test.want)
			}
		}
	}
	if got := logSumExp([]float32{1, nan}, new([]float32)); got == got {
		t.Errorf("the sum over NaN is %v", got)
	}
}

func TestTheLikeliestComeInOrderAndEqualsByTheirID(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	logits := []float32{2, 5, 5, -1, 7, 2}
	for n, want := range map[int][]int{0: {}, 1: {4}, 3: {4, 1, 2}, 6: {4, 1, 2, 0, 5, 3}, 9: {4, 1, 2, 0, 5, 3}} {
		if diff := cmp.Diff(want, likeliestOf(logits, n)); diff != "" {
			t.Errorf("%d likeliest (-want +got):\n%s", n, diff)
		}
	}
	if got := likeliestOf([]float32{1, nan, 3, nan}, 3); !slices.Equal(got, []int{1, 3, 2}) {
		t.Errorf("with NaN: got %v", got)
	}
}

func TestLogSumExpIsExactEnoughOverALargeVocabulary(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	logits := make([]float32, 150_001)
	want := 0.0
	for i := range logits {
		logits[i] = rng.Float32()*20 - 10
		want += math.Exp(float64(logits[i]))
	}
	if got := logSumExp(logits, new([]float32)); math.Abs(got-math.Log(want)) > 1e-5 {
		t.Errorf("got %v, want %v", got, math.Log(want))
	}
}

package proof

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"loradeck/internal/lora"
)

// Scores are the log-probabilities, in nats, of the likeliest tokens after one prompt, by the tokens' text.
type Scores map[string]float64

// Limits are the lines a verdict turns on, in nats. They were measured on a bfloat16 base of 135M parameters, whose rounding
// alone reaches 0.065 and whose trained adapters reach 0.8 to 1.0 (recordings/proof/README.md §3, §4; design §6). Larger
// bases round less, so the lines stay on the careful side.
type Limits struct {
	NoEffect    float64 `json:"noEffect"`    // at most this, or NoiseFloor times the noise, is no effect
	Proven      float64 `json:"proven"`      // at least this, and NoiseFactor times the noise, is proven
	Text        float64 `json:"text"`        // a text counts as different from here on
	Texts       int     `json:"texts"`       // so many texts must differ
	NoiseFloor  float64 `json:"noiseFloor"`  // see NoEffect
	NoiseFactor float64 `json:"noiseFactor"` // see Proven
}

// DefaultLimits are the measured ones.
func DefaultLimits() Limits {
	return Limits{NoEffect: 0.08, Proven: 0.20, Text: 0.12, Texts: 4, NoiseFloor: 2, NoiseFactor: 4}
}

// Result is a judged proof. It is stored as JSON.
type Result struct {
	Set      string       `json:"set"`
	Verdict  lora.Verdict `json:"verdict"`
	Reason   string       `json:"reason"` // a sentence with the numbers
	Effect   float64      `json:"effect"` // mean |Δ| over all compared tokens, nats
	Noise    float64      `json:"noise"`  // largest difference between rounds of one component
	Equal    bool         `json:"equal"`  // every number of the adapter is the base's, to the last bit
	Texts    []TextEffect `json:"texts"`
	Limits   Limits       `json:"limits"`
	Base     string       `json:"base"`    // greedy answers to Prompt, for people
	Adapter  string       `json:"adapter"` //
	Prompt   string       `json:"prompt"`
	Samples  []Sample     `json:"samples,omitempty"` // the adapter's own prompts; they are not counted
	Requests int          `json:"requests"`          // sent in all
}

// TextEffect is the effect on one text.
type TextEffect struct {
	Name   string  `json:"name"`
	Effect float64 `json:"effect"`
}

// Sample is one of the adapter's own prompts with both answers.
type Sample struct {
	Prompt  string `json:"prompt"`
	Base    string `json:"base"`
	Adapter string `json:"adapter"`
}

// Judge gives effect, noise and verdict. Base and adapter hold the rounds of each, in the order they were asked; every round
// has one Scores per prompt of the set. It leaves answers and samples to the caller.
func Judge(set Set, base, adapter [][]Scores, limits Limits) Result {
	r := Result{Set: set.ID, Limits: limits}
	if reason := unusable(set, base, adapter); reason != "" {
		r.Verdict, r.Reason = lora.VerdictFailed, reason
		return r
	}
	pairs := min(len(base), len(adapter))
	at := 0
	var sum float64
	var count int
	for _, text := range set.Texts {
		var textSum float64
		var textCount int
		for i := range pairs {
			for k := range text.Cuts {
				s, n := difference(base[i][at+k], adapter[i][at+k])
				textSum, textCount = textSum+s, textCount+n
			}
		}
		at += len(text.Cuts)
		sum, count = sum+textSum, count+textCount
		r.Texts = append(r.Texts, TextEffect{text.Name, textSum / float64(textCount)})
	}
	r.Effect = sum / float64(count)
	r.Noise = max(spread(base), spread(adapter))
	r.Equal = r.Noise == 0 && slices.EqualFunc(base[0], adapter[0], func(a, b Scores) bool { return maps.Equal(a, b) })
	r.Verdict, r.Reason = r.decide()
	return r
}

// Mean gives the mean |Δ| between two rounds over all tokens.
func Mean(base, other []Scores) float64 {
	var sum float64
	var count int
	for i := range base {
		s, n := difference(base[i], other[i])
		sum, count = sum+s, count+n
	}
	if count == 0 {
		return 0
	}
	return sum / float64(count)
}

// difference sums |Δ| over the base's tokens. One that the other does not list is known only to be less likely than all it
// lists: it counts the least it must differ.
func difference(base, other Scores) (sum float64, count int) {
	least := math.Inf(1)
	for _, v := range other {
		least = min(least, v)
	}
	// In a fixed order, so that the same scores always give the same last bit.
	for _, token := range slices.SortedFunc(maps.Keys(base), func(a, b string) int {
		return cmp.Or(cmp.Compare(base[b], base[a]), cmp.Compare(a, b))
	}) {
		if v, listed := other[token]; listed {
			sum += math.Abs(base[token] - v)
		} else {
			sum += max(0, base[token]-least)
		}
	}
	return sum, len(base)
}

// spread is the largest mean difference between two rounds of one component.
func spread(rounds [][]Scores) float64 {
	largest := 0.0
	for i := range rounds {
		for j := range i {
			largest = max(largest, Mean(rounds[j], rounds[i]), Mean(rounds[i], rounds[j]))
		}
	}
	return largest
}

// unusable says why the scores cannot be judged, and "" when they can.
func unusable(set Set, base, adapter [][]Scores) string {
	if len(base) == 0 || len(adapter) == 0 {
		return "There are no scores of base and adapter to compare."
	}
	prompts := len(set.Prompts())
	if reason := unsound("base", prompts, base); reason != "" {
		return reason // first: an adapter cannot be better than its base
	}
	return unsound("adapter", prompts, adapter)
}

func unsound(who string, prompts int, rounds [][]Scores) string {
	for _, round := range rounds {
		if len(round) != prompts {
			return fmt.Sprintf("The %s was scored on %d of %d prompts.", who, len(round), prompts)
		}
		for _, scores := range round {
			if len(scores) == 0 {
				return fmt.Sprintf("The %s gave no scores for a prompt.", who)
			}
			for _, v := range scores {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Sprintf("The %s's scores are not all numbers: its weights hold NaN or infinity.", who)
				}
			}
		}
	}
	return ""
}

// decide draws the lines.
func (r Result) decide() (lora.Verdict, string) {
	differ := 0
	for _, t := range r.Texts {
		if t.Effect >= r.Limits.Text {
			differ++
		}
	}
	none, proven := max(r.Limits.NoiseFloor*r.Noise, r.Limits.NoEffect), max(r.Limits.NoiseFactor*r.Noise, r.Limits.Proven)
	numbers := fmt.Sprintf("It moves the next token's log-probability by %.3f nats on average; repeats differ by %.3f.", r.Effect, r.Noise)
	switch {
	case r.Equal:
		return lora.VerdictNoEffect, "It answers exactly as the base, to the last bit. Look at the prefix of its tensor names and at its module names."
	case r.Effect <= none:
		return lora.VerdictNoEffect, numbers + fmt.Sprintf(" Up to %.2f is what rounding alone can do: there is no effect above rounding.", none)
	case r.Effect >= proven && differ >= r.Limits.Texts:
		return lora.VerdictProven, numbers + fmt.Sprintf(" %d of %d texts differ.", differ, len(r.Texts))
	case r.Effect >= proven:
		return lora.VerdictUnclear, numbers + fmt.Sprintf(" That is enough, but only %d of %d texts differ; %d are needed.", differ, len(r.Texts), r.Limits.Texts)
	default:
		return lora.VerdictUnclear, numbers + fmt.Sprintf(" That lies between rounding (%.2f) and a sure effect (%.2f): it cannot be told.", none, proven)
	}
}

package main

import (
	"fmt"
	"slices"
)

// timed is one measurement that is taken again and again.
type timed struct {
	name    string
	threads int
	process *process
	line    string
	tokens  int
	took    []clocks // by round
}

// series are measurements that take turns, so that whatever else the machine does meets all of them alike.
type series []*timed

// run takes every measurement once unrecorded and then in every round, each round beginning with another of them.
func (s series) run(rounds int) error {
	for _, t := range s {
		if _, err := t.process.measure(t.line); err != nil {
			return err
		}
	}
	for round := range rounds {
		for i := range s {
			t := s[(i+round)%len(s)]
			took, err := t.process.measure(t.line)
			if err != nil {
				return err
			}
			t.took = append(t.took, took)
		}
	}
	return nil
}

// rates are tokens a second, by round.
func (t *timed) rates() []float64 {
	rates := make([]float64, len(t.took))
	for i, took := range t.took {
		rates[i] = float64(t.tokens) / took.wall
	}
	return rates
}

// print shows the rates.
func (s series) print(title string) {
	fmt.Printf("\n  %s\n", title)
	for _, t := range s {
		low, middle, high := quartiles(t.rates())
		fmt.Printf("    %-26s %d threads %9.1f tokens/s  (%.1f to %.1f)\n", t.name, t.threads, middle, low, high)
	}
}

// fastest is the number of threads that serves name best, nil when it was not measured.
func (s series) fastest(name string) (best *timed) {
	top := 0.0
	for _, t := range s {
		if _, rate, _ := quartiles(t.rates()); t.name == name && rate > top {
			best, top = t, rate
		}
	}
	return best
}

// ratio prints how much faster a is than b, taken within each round. A target of 0 is none.
func ratio(title string, a, b *timed, target float64) {
	wall, cpu := make([]float64, len(a.took)), make([]float64, len(a.took))
	part := float64(a.tokens) / float64(b.tokens)
	for i := range a.took {
		wall[i], cpu[i] = part*b.took[i].wall/a.took[i].wall, part*b.took[i].cpu/a.took[i].cpu
	}
	low, middle, high := quartiles(wall)
	_, processors, _ := quartiles(cpu)
	verdict := ""
	if target > 0 {
		verdict = fmt.Sprintf("; at least %.2f wanted: met", target)
		if middle < target {
			verdict = fmt.Sprintf("; at least %.2f wanted: NOT met", target)
		}
	}
	fmt.Printf("  * %s: %.2f  (%.2f to %.2f), by processor time %.2f%s\n", title, middle, low, high, processors, verdict)
}

// quartiles gives the middle value and the bounds of the middle half.
func quartiles(values []float64) (low, middle, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	at := func(part float64) float64 {
		exact := part * float64(len(sorted)-1)
		i := int(exact)
		next := min(i+1, len(sorted)-1)
		return sorted[i] + (exact-float64(i))*(sorted[next]-sorted[i])
	}
	return at(0.25), at(0.5), at(0.75)
}

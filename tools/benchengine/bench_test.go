package main

import (
	"fmt"
	"strings"
	"testing"

	"loradeck/internal/engine"
)

func tiny() shape {
	c := demoConfig()
	c.Hidden, c.Inner, c.Layers, c.Heads, c.KVHeads, c.HeadDim, c.Vocab = 24, 40, 2, 2, 1, 12, 300
	return shape{name: "tiny", config: c, prompt: 9, answer: 4}
}

func TestAnEngineAnswersEveryMeasurement(t *testing.T) {
	t.Parallel()
	s, dir := tiny(), t.TempDir()
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(dir, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	for i := range batch {
		if err := e.AddAdapter(fmt.Sprint(i), s.config.adapter(uint64(i), "")); err != nil {
			t.Fatal(err)
		}
	}
	w := worker{e}
	for _, line := range []string{"prefill 9 2", "prefill 9 2 adapter=3", "decode 9 4", "decode 9 4 adapter=0", "together 5 4", "inturn 5 4"} {
		answer, err := w.do(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		wall, cpu, _ := strings.Cut(answer, " ")
		if took, err := parseClocks(wall, cpu); err != nil || took.wall <= 0 || took.cpu < 0 {
			t.Errorf("%s: %q, %v", line, answer, err)
		}
	}
	answer, err := w.do(strings.Fields("score 9 20"))
	if top := strings.Fields(answer); err != nil || len(top) != 20 {
		t.Errorf("scores %q, %v", answer, err)
	}
	for _, line := range []string{"", "decode", "decode 9", "decode 9 x", "decode 9 4 adapter=8"} {
		if answer, err := w.do(strings.Fields(line)); err == nil {
			t.Errorf("%q was answered %q", line, answer)
		}
	}
}

func TestABenchOfNothingIsRefused(t *testing.T) {
	t.Parallel()
	if err := bench("demo", 0, peer{}); err == nil || !strings.Contains(err.Error(), "at least 1") {
		t.Errorf("no rounds: got %v", err)
	}
	if err := bench("7B", 1, peer{}); err == nil || !strings.Contains(err.Error(), "135M or demo") {
		t.Errorf("an unknown shape: got %v", err)
	}
}

func TestGGUFHasTheRowsInTheOrderOfItsRope(t *testing.T) {
	t.Parallel()
	got := interleaved([]float32{0, 1, 2, 3, 10, 11, 12, 13}, 2, 4, 1)
	if fmt.Sprint(got) != "[0 2 1 3 10 12 11 13]" {
		t.Errorf("got %v", got)
	}
}

func TestTheMiddleOfRoundsIsGiven(t *testing.T) {
	t.Parallel()
	if low, middle, high := quartiles([]float64{5, 1, 2, 4, 3}); low != 2 || middle != 3 || high != 4 {
		t.Errorf("got %v, %v, %v", low, middle, high)
	}
	if low, middle, high := quartiles([]float64{1, 2}); low != 1.25 || middle != 1.5 || high != 1.75 {
		t.Errorf("got %v, %v, %v", low, middle, high)
	}
}

package engine

import (
	"errors"
	"slices"
	"testing"
)

func TestKeptPrefixesAreBounded(t *testing.T) {
	t.Parallel()
	var p prefixes
	for i := range 100 {
		tokens := make([]int, 1024)
		tokens[0] = i
		s := newSequence(1, nil)
		s.keys[0], s.values[0], s.length = make([]float32, 2048), make([]float32, 2048), 1024
		p.keep("name", tokens, s)
		p.keep("name", tokens[:1000], s) // there already
	}
	total := 0
	for _, one := range p {
		total += len(one.tokens)
	}
	if total != mostPrefix || p[len(p)-1].tokens[0] != 99 {
		t.Errorf("%d prefixes hold %d tokens, the newest begins with %d", len(p), total, p[len(p)-1].tokens[0])
	}
}

func TestAKeptPrefixIsThePromptAsItWasAsked(t *testing.T) {
	t.Parallel()
	e, s := driven(t)
	tokens := slices.Repeat([]int{1}, 20)
	if _, err := e.admit(t.Context(), Request{Tokens: tokens, MaxTokens: 1, Trouble: Trouble{Prefix: "name"}}); err != nil {
		t.Fatal(err)
	}
	tokens[0] = 2 // the caller's own
	if err := errors.Join(s.admit(), s.step()); err != nil {
		t.Fatal(err)
	}
	if kept, length := e.prefixes.find("name", slices.Repeat([]int{1}, 16)); length != 16 {
		t.Errorf("kept the prompt %v", kept.tokens)
	}
}

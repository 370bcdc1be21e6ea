package engine

import "testing"

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

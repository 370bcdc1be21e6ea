package engine

import (
	"math"
	"slices"
)

// Trouble is what is to go wrong with one request on purpose, so that others can try what they make of it. Each kind is computed, none
// is made up. The zero value is none.
type Trouble struct {
	NaN bool // computes as weights that hold a NaN do

	// Rounding is a seed; 0 is none. What is computed for the request is rounded at every step, up or down as the seed has it and
	// the steps its prompt is cut to: another seed is what another kernel or batch is to a GPU. A bit less is kept than bfloat16
	// has, so that the demo base with its few layers moves by as much as 135M parameters do (recordings/proof/README.md §3: 0.055
	// to 0.065).
	Rounding uint64

	// Prefix is a name; "" is none. Under it the engine keeps the keys and values of the prompt, and takes those that it has
	// kept under it, even when another adapter has computed them: vLLM's cache goes by an adapter's name.
	Prefix string
}

// rounder rounds up or down by chance. It belongs to one sequence.
type rounder struct{ state uint64 }

// newRounder gives nil for the seed 0.
func newRounder(seed uint64) *rounder {
	if seed == 0 {
		return nil
	}
	return &rounder{seed*0x9e3779b97f4a7c15 | 1}
}

// dropped is how many bits of a float32 are rounded away; bfloat16 drops 16.
const dropped = 17

// round leaves in x one of the two nearest values, the nearer one more often.
func (r *rounder) round(x []float32) {
	for i, v := range x {
		bits := math.Float32bits(v)
		if bits&0x7f800000 == 0x7f800000 {
			continue // infinite, or no number
		}
		r.state ^= r.state << 13 // xorshift64, by Marsaglia
		r.state ^= r.state >> 7
		r.state ^= r.state << 17
		x[i] = math.Float32frombits((bits + uint32(r.state>>(64-dropped))) &^ (1<<dropped - 1))
	}
}

// blur rounds the rows of x, each of so many values, whose requests ask for it.
func blur(rows []row, x []float32, width int) {
	for i, r := range rows {
		if r.sequence.rounder != nil {
			r.sequence.rounder.round(x[i*width : (i+1)*width])
		}
	}
}

const (
	prefixBlock = 16      // tokens that are kept or taken at least, as in vLLM's cache on a GPU
	mostPrefix  = 1 << 12 // tokens kept in all: 190 MB of keys and values at 135M parameters
)

// prefix is the beginning of a prompt with the keys and values that one adapter computed for it.
type prefix struct {
	name         string
	adapter      *adapter
	tokens       []int // a multiple of prefixBlock
	keys, values [][]float32
}

// prefixes are the kept ones, the oldest first. The first one kept for a text under a name stays, as a block does in vLLM.
type prefixes []prefix

// find gives the longest beginning of tokens that was kept under the name, in whole blocks, and how many tokens it has.
func (p prefixes) find(name string, tokens []int) (found prefix, length int) {
	for _, one := range p {
		if one.name != name {
			continue
		}
		same := 0
		for same < min(len(tokens), len(one.tokens)) && tokens[same] == one.tokens[same] {
			same++
		}
		if same -= same % prefixBlock; same > length {
			found, length = one, same
		}
	}
	return found, length
}

// keep takes in what a sequence has computed of a prompt, unless it is there.
func (p *prefixes) keep(name string, tokens []int, s *sequence) {
	length := len(tokens) - len(tokens)%prefixBlock
	if _, there := p.find(name, tokens); there >= length || length > mostPrefix {
		return
	}
	one := prefix{name: name, adapter: s.adapter, tokens: slices.Clone(tokens[:length])}
	for i := range s.keys {
		one.keys = append(one.keys, slices.Clone(s.keys[i][:len(s.keys[i])/s.length*length]))
		one.values = append(one.values, slices.Clone(s.values[i][:len(s.values[i])/s.length*length]))
	}
	*p = append(*p, one)
	total := 0
	for _, one := range *p {
		total += len(one.tokens)
	}
	for total > mostPrefix {
		total -= len((*p)[0].tokens)
		*p = slices.Delete(*p, 0, 1)
	}
}

// Forget drops what is kept under the name of a Trouble.Prefix.
func (e *Engine) Forget(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.prefixes = slices.DeleteFunc(e.prefixes, func(one prefix) bool { return one.name == name })
}

// reuse begins a run with what was kept under its name by other weights, and leaves one token at least to compute. A run whose
// prompt is scored begins anew, as in vLLM.
func (p prefixes) reuse(r *run) {
	kept, length := p.find(r.request.Trouble.Prefix, r.pending[:len(r.pending)-1])
	if r.request.Trouble.Prefix == "" || r.request.ScorePrompt || length == 0 || kept.adapter == r.sequence.adapter {
		return
	}
	for i := range kept.keys {
		r.sequence.keys[i] = slices.Clone(kept.keys[i][:len(kept.keys[i])/len(kept.tokens)*length])
		r.sequence.values[i] = slices.Clone(kept.values[i][:len(kept.values[i])/len(kept.tokens)*length])
	}
	r.sequence.length, r.pending, r.reused = length, r.pending[length:], length
}

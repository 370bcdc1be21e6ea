package engine

import (
	"math"

	"loradeck/internal/engine/kernel"
	"loradeck/internal/lora"
)

// adapter is a loaded adapter; it never changes.
type adapter struct {
	name   string
	serial int     // counts the adapters of an engine, so that rows of one lie side by side
	deltas []delta // [layer*targets+target]; rank 0 where the adapter has nothing

	embedding delta // its a is [vocab, rank]: a token is looked up in it
	head      delta
}

// order is where the adapter's rows stand in a step; the base's come first.
func (a *adapter) order() int {
	if a == nil {
		return 0
	}
	return a.serial
}

// delta is one module's pair of matrices, in bfloat16 where nothing is lost by it.
type delta struct {
	rank, out int
	scale     float32
	a         kernel.Matrix // [rank, in]
	b         []float32     // B in panels: [out/panel][rank][panel]
	bBF16     []uint16      // instead of b
}

// panel is how many of B's rows lie together, transposed: as many as a mix takes at once, so that B is read from its first value to its
// last.
const panel = 64

// addTo adds B·low to y.
func (d *delta) addTo(y, low []float32) {
	for from := 0; from < d.out; from += panel {
		part := y[from:min(from+panel, d.out)]
		if d.b != nil {
			kernel.Mix(part, d.b[from*d.rank:], len(part), low)
		} else {
			kernel.MixBF16(part, d.bBF16[from*d.rank:], len(part), low)
		}
	}
}

// newAdapter checks deltas against the base and lays them out for the kernels.
func (m *model) newAdapter(name string, deltas []Delta, maxRank int) (*adapter, error) {
	if len(deltas) == 0 {
		return nil, lora.Errorf(lora.Invalid, "The adapter %s changes no module.", name)
	}
	a := &adapter{name: name, deltas: make([]delta, len(m.layers)*int(targets))}
	for _, d := range deltas {
		into, out, in := a.module(m, d.Module)
		if into == nil {
			return nil, lora.Errorf(lora.Invalid, "The adapter %s changes %s, which is not a linear module of this base.", name, d.Module)
		}
		if into.rank > 0 {
			return nil, lora.Errorf(lora.Invalid, "The adapter %s changes %s twice.", name, d.Module)
		}
		if err := d.check(name, out, in, maxRank); err != nil {
			return nil, err
		}
		*into = d.layOut()
	}
	if a.embedding.rank > 0 {
		a.embedding.a = turned(a.embedding.a)
	}
	a.gather()
	return a, nil
}

// gather moves all matrices into one stretch of memory.
func (a *adapter) gather() {
	all := []*delta{&a.embedding, &a.head}
	for i := range a.deltas {
		all = append(all, &a.deltas[i])
	}
	halves, whole := 0, 0
	for _, d := range all {
		halves += len(d.a.BF16) + len(d.bBF16)
		whole += len(d.a.F32) + len(d.b)
	}
	half, full := newStore[uint16](halves), newStore[float32](whole)
	for _, d := range all {
		if d.a.BF16 != nil {
			d.a.BF16, d.bBF16 = half.keep(d.a.BF16), half.keep(d.bBF16)
		} else if d.rank > 0 {
			d.a.F32, d.b = full.keep(d.a.F32), full.keep(d.b)
		}
	}
}

// module gives the place of a module's delta, and how many values the module gives and takes; nil when the base has no such
// module. Of a tied base the embedding and the head are changed apart, as peft and vLLM do it.
func (a *adapter) module(m *model, path string) (into *delta, out, in int) {
	c := m.config
	switch at, ok := m.modules[path]; {
	case ok:
		out, in = m.shape(target(at % int(targets)))
		return &a.deltas[at], out, in
	case path == "model.embed_tokens":
		return &a.embedding, c.hidden, c.vocab
	case path == "lm_head":
		return &a.head, c.vocab, c.hidden
	}
	return nil, 0, 0
}

func (d *Delta) check(name string, out, in, maxRank int) error {
	switch rank := d.A.Rows; {
	case rank <= 0 || len(d.A.Data) != rank*d.A.Cols || len(d.B.Data) != d.B.Rows*d.B.Cols:
		return lora.Errorf(lora.Invalid, "The adapter %s has matrices for %s whose values do not fill them.", name, d.Module)
	case d.A.Cols != in || d.B.Rows != out || d.B.Cols != rank:
		return lora.Errorf(lora.Invalid, "The adapter %s has A [%d %d] and B [%d %d] for %s, which takes %d values and gives %d.", name, rank, d.A.Cols, d.B.Rows, d.B.Cols, d.Module, in, out)
	case rank > maxRank:
		return lora.Errorf(lora.Invalid, "The adapter %s has rank %d in %s; the engine was opened for at most %d.", name, rank, d.Module, maxRank)
	}
	return nil
}

// layOut copies the matrices, B in panels, so that applying it adds whole rows of them.
func (d *Delta) layOut() delta {
	rank, out := d.A.Rows, d.B.Rows
	b := make([]float32, 0, len(d.B.Data))
	for from := 0; from < out; from += panel {
		to := min(from+panel, out)
		b = append(b, turnedValues(d.B.Data[from*rank:to*rank], to-from, rank)...)
	}
	l := delta{rank: rank, out: out, scale: d.Scale, a: kernel.Matrix{Rows: rank, Cols: d.A.Cols}}
	if aBits, bBits := cutBF16(d.A.Data), cutBF16(b); aBits != nil && bBits != nil {
		l.a.BF16, l.bBF16 = aBits, bBits
		return l
	}
	l.a.F32, l.b = append([]float32(nil), d.A.Data...), b
	return l
}

// turned is the transpose of m.
func turned(m kernel.Matrix) kernel.Matrix {
	out := kernel.Matrix{Rows: m.Cols, Cols: m.Rows}
	if m.F32 != nil {
		out.F32 = turnedValues(m.F32, m.Rows, m.Cols)
	} else {
		out.BF16 = turnedValues(m.BF16, m.Rows, m.Cols)
	}
	return out
}

func turnedValues[T any](values []T, rows, cols int) []T {
	out := make([]T, len(values))
	for r := range rows {
		for c := range cols {
			out[c*rows+r] = values[r*cols+c]
		}
	}
	return out
}

// cutBF16 gives the values as bfloat16, or nil when one would lose by it. Adapters saved in bfloat16 then take half the
// memory and half the traffic.
func cutBF16(values []float32) []uint16 {
	bits := make([]uint16, len(values))
	for i, v := range values {
		u := math.Float32bits(v)
		if u&0xffff != 0 {
			return nil
		}
		bits[i] = uint16(u >> 16)
	}
	return bits
}

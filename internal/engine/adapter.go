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
	b         []float32     // B transposed, [rank, out]
	bBF16     []uint16      // instead of b
}

// addTo adds B·low to y.
func (d *delta) addTo(y, low []float32) {
	if d.b != nil {
		kernel.Mix(y, d.b, d.out, low)
		return
	}
	kernel.MixBF16(y, d.bBF16, d.out, low)
}

// newAdapter checks deltas against the base and lays them out for the kernels.
func (m *model) newAdapter(name string, deltas []Delta, maxRank int) (*adapter, error) {
	if len(deltas) == 0 {
		return nil, lora.Errorf(lora.Invalid, "The adapter %s changes no module.", name)
	}
	a := &adapter{name: name, deltas: make([]delta, len(m.layers)*int(targets))}
	for _, d := range deltas {
		at, ok := m.modules[d.Module]
		if !ok {
			return nil, lora.Errorf(lora.Invalid, "The adapter %s changes %s, which is not a linear module of this base.", name, d.Module)
		}
		if a.deltas[at].rank > 0 {
			return nil, lora.Errorf(lora.Invalid, "The adapter %s changes %s twice.", name, d.Module)
		}
		out, in := m.shape(target(at % int(targets)))
		if err := d.check(name, out, in, maxRank); err != nil {
			return nil, err
		}
		a.deltas[at] = d.layOut()
	}
	return a, nil
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

// layOut copies the matrices, B transposed, so that applying it adds whole rows.
func (d *Delta) layOut() delta {
	rank, out := d.A.Rows, d.B.Rows
	turned := make([]float32, rank*out)
	for r := range rank {
		for o := range out {
			turned[r*out+o] = d.B.Data[o*rank+r]
		}
	}
	l := delta{rank: rank, out: out, scale: d.Scale, a: kernel.Matrix{Rows: rank, Cols: d.A.Cols}}
	if a, b := cutBF16(d.A.Data), cutBF16(turned); a != nil && b != nil {
		l.a.BF16, l.bBF16 = a, b
		return l
	}
	l.a.F32, l.b = append([]float32(nil), d.A.Data...), turned
	return l
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

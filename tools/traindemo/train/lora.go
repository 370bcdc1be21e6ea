package train

import (
	"math"
	"math/rand/v2"

	"loradeck/internal/engine/kernel"
)

// Adapter is a LoRA of every linear of a net, in training. While it trains, the net's linears hold base plus adapter.
type Adapter struct {
	Rank  int
	Alpha float64
	net   *Net
	parts []part
	steps int
}

// part is the adapter of one linear: w + scale·b·a.
type part struct {
	target *weight
	base   []float32
	a, b   *weight // [rank, in], [out, rank]
}

// NewAdapter begins an adapter that changes nothing yet: b is zero, as peft has it. Until Detach the net is its alone.
func (n *Net) NewAdapter(rank int, alpha float64, seed uint64) *Adapter {
	random := rand.New(rand.NewPCG(seed, 1))
	ad := &Adapter{Rank: rank, Alpha: alpha, net: n}
	n.frozen = true
	for i := range n.layers {
		for _, w := range n.layers[i].linear {
			ad.parts = append(ad.parts, part{
				target: w, base: append([]float32(nil), w.value...),
				a: newWeight(rank, w.cols, 1/math.Sqrt(float64(w.cols)), random), b: newWeight(w.rows, rank, 0, random),
			})
		}
	}
	return ad
}

func (ad *Adapter) scale() float32 { return float32(ad.Alpha / float64(ad.Rank)) }

// Learn applies Adam to the adapter from the gradients that the net's Step left in its linears: da = s·bᵀ·dw and
// db = s·dw·aᵀ.
func (ad *Adapter) Learn(rate float64) {
	ad.steps++
	s := ad.scale()
	ad.net.pool.Run(len(ad.parts), 1, 1<<30, func(lo, hi int) {
		for _, p := range ad.parts[lo:hi] {
			rows, cols := p.target.rows, p.target.cols
			clear(p.a.slope)
			for row := range rows {
				dw := p.target.slope[row*cols : (row+1)*cols]
				for j := range ad.Rank {
					p.b.slope[row*ad.Rank+j] = s * kernel.Dot(dw, p.a.value[j*cols:(j+1)*cols])
					kernel.Mix(p.a.slope[j*cols:(j+1)*cols], dw, cols, []float32{s * p.b.value[row*ad.Rank+j]})
				}
			}
			p.a.adam(0, len(p.a.value), ad.steps, rate, 1, 1)
			p.b.adam(0, len(p.b.value), ad.steps, rate, 1, 1)
			p.merge(ad.Rank, s)
		}
	})
}

// merge writes base plus adapter into the linear.
func (p part) merge(rank int, scale float32) {
	copy(p.target.value, p.base)
	cols := p.target.cols
	for row := range p.target.rows {
		weights := make([]float32, rank)
		for j := range rank {
			weights[j] = scale * p.b.value[row*rank+j]
		}
		kernel.Mix(p.target.value[row*cols:(row+1)*cols], p.a.value, cols, weights)
	}
}

// Detach gives the net its base weights back.
func (ad *Adapter) Detach() {
	ad.net.frozen = false
	for _, p := range ad.parts {
		copy(p.target.value, p.base)
	}
}

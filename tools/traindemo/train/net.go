// Package train trains the demo's tiny Llama and its LoRA adapters on a CPU, with backpropagation written by hand over the
// engine's kernels. Only tools/traindemo uses it: nothing of it is in the product.
//
// Training is deterministic: the same corpus, seed and build give the same bytes whatever the number of threads, on one kind
// of processor (the kernels' guarantee; assembly and plain Go differ in rounding).
package train

import (
	"math"
	"math/rand/v2"

	"loradeck/internal/engine/kernel"
)

// Shape is the shape of a Llama with a tied head.
type Shape struct {
	Vocab, Hidden, Inner, Layers, Heads, KVHeads int
	Context                                      int // positions the model claims
	Theta, Eps                                   float64
}

func (s Shape) headDim() int { return s.Hidden / s.Heads }

// The linears of a block, in the order they are kept.
const (
	linearQ = iota
	linearK
	linearV
	linearO
	linearGate
	linearUp
	linearDown
	linears
)

// names of the linears in a Hugging Face checkpoint.
var names = [linears]string{
	"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
}

func (s Shape) dims(linear int) (rows, cols int) {
	kv := s.KVHeads * s.headDim()
	switch linear {
	case linearQ, linearO:
		return s.Hidden, s.Hidden
	case linearK, linearV:
		return kv, s.Hidden
	case linearDown:
		return s.Hidden, s.Inner
	default:
		return s.Inner, s.Hidden
	}
}

// weight is a [rows, cols] parameter with its gradient and Adam's two averages.
type weight struct {
	rows, cols              int
	value, slope, avg, avg2 []float32
}

func newWeight(rows, cols int, spread float64, random *rand.Rand) *weight {
	n := rows * cols
	w := &weight{rows, cols, make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)}
	for i := range w.value {
		w.value[i] = float32(random.NormFloat64() * spread)
	}
	return w
}

func ones(n int) *weight {
	w := newWeight(1, n, 0, rand.New(rand.NewPCG(0, 0)))
	for i := range w.value {
		w.value[i] = 1
	}
	return w
}

// layer is a block: its parameters, and what the forward pass keeps of it for the way back.
type layer struct {
	linear         [linears]*weight
	norm1, norm2   *weight
	in1, in2       []float32 // inputs of the norms
	h1, h2         []float32 // their outputs
	scale1, scale2 []float32 // 1/rms of each row
	q, k, v        []float32
	probs          []float32 // attention, [batch, head, position, position]
	attended       []float32
	gate, up, act  []float32
}

// Net is a model in training, for batches of a fixed size.
type Net struct {
	Shape
	batch, length int // sequences, and positions of each
	embed, norm   *weight
	layers        []layer
	pool          *kernel.Pool
	products      kernel.Backprop
	cos, sin      []float32
	steps         int

	// buffers of one step, [batch*length, …]
	x, final, finalScale, logits []float32
	dx, dh, sum, dInner, dInner2 []float32
	dq, dk, dv, dAttended        []float32
	losses                       []float64
	frozen                       bool // an adapter learns: the embedding, which it leaves alone, gets no gradient
}

// New makes a model with random weights.
func New(shape Shape, batch, length, threads int, seed uint64) *Net {
	random := rand.New(rand.NewPCG(seed, 0))
	n := &Net{Shape: shape, batch: batch, length: length, pool: kernel.NewPool(threads)}
	n.products.Pool = n.pool
	n.embed = newWeight(shape.Vocab, shape.Hidden, 0.05, random)
	n.norm = ones(shape.Hidden)
	rows := batch * length
	buffer := func(width int) []float32 { return make([]float32, rows*width) }
	hidden, kv, inner := shape.Hidden, shape.KVHeads*shape.headDim(), shape.Inner
	n.layers = make([]layer, shape.Layers)
	for i := range n.layers {
		l := &n.layers[i]
		for g := range linears {
			r, c := shape.dims(g)
			l.linear[g] = newWeight(r, c, 0.6/math.Sqrt(float64(c)), random)
		}
		l.norm1, l.norm2 = ones(hidden), ones(hidden)
		l.in1, l.h1, l.in2, l.h2, l.attended = buffer(hidden), buffer(hidden), buffer(hidden), buffer(hidden), buffer(hidden)
		l.q, l.k, l.v = buffer(hidden), buffer(kv), buffer(kv)
		l.gate, l.up, l.act = buffer(inner), buffer(inner), buffer(inner)
		l.probs = make([]float32, batch*shape.Heads*length*length)
		l.scale1, l.scale2 = buffer(1), buffer(1)
	}
	n.x, n.final, n.dx, n.dh, n.sum = buffer(hidden), buffer(hidden), buffer(hidden), buffer(hidden), buffer(max(hidden, kv))
	n.finalScale, n.logits = buffer(1), buffer(shape.Vocab)
	n.dInner, n.dInner2 = buffer(inner), buffer(inner)
	n.dq, n.dk, n.dv, n.dAttended = buffer(hidden), buffer(kv), buffer(kv), buffer(hidden)
	n.losses = make([]float64, rows)
	n.turns()
	return n
}

// turns fills the tables of the rotary embedding.
func (n *Net) turns() {
	half := n.headDim() / 2
	n.cos, n.sin = make([]float32, n.length*half), make([]float32, n.length*half)
	for p := range n.length {
		for i := range half {
			angle := float64(p) * math.Pow(n.Theta, -float64(2*i)/float64(n.headDim()))
			n.cos[p*half+i], n.sin[p*half+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
}

// Params counts the parameters.
func (n *Net) Params() int {
	total := 0
	for _, w := range n.all() {
		total += len(w.value)
	}
	return total
}

// Close frees the threads.
func (n *Net) Close() { n.pool.Close() }

func (n *Net) all() []*weight {
	list := []*weight{n.embed, n.norm}
	for i := range n.layers {
		list = append(list, n.layers[i].linear[:]...)
		list = append(list, n.layers[i].norm1, n.layers[i].norm2)
	}
	return list
}

// each spreads a cheap loop over the threads.
func (n *Net) each(count int, do func(lo, hi int)) { n.pool.Run(count, 8, count*8, do) }

// Learn applies AdamW to every parameter, with the gradient's norm clipped to 1.
func (n *Net) Learn(rate, decay float64) {
	n.steps++
	var squares float64
	for _, w := range n.all() {
		for _, g := range w.slope {
			squares += float64(g) * float64(g)
		}
	}
	clip := float32(1)
	if norm := math.Sqrt(squares); norm > 1 {
		clip = float32(1 / norm)
	}
	for _, w := range n.all() {
		shrink := float32(1)
		if w.rows > 1 { // norms are not decayed
			shrink = float32(1 - rate*decay)
		}
		n.each(len(w.value), func(lo, hi int) { w.adam(lo, hi, n.steps, rate, clip, shrink) })
	}
}

// adam updates values lo to hi (Kingma and Ba 2015; decoupled decay of Loshchilov and Hutter 2019).
func (w *weight) adam(lo, hi, step int, rate float64, clip, shrink float32) {
	const beta1, beta2 = 0.9, 0.95
	a := float32(rate / (1 - math.Pow(beta1, float64(step))))
	b := float32(1 / (1 - math.Pow(beta2, float64(step))))
	for i := lo; i < hi; i++ {
		g := w.slope[i] * clip
		w.avg[i] = beta1*w.avg[i] + (1-beta1)*g
		w.avg2[i] = beta2*w.avg2[i] + (1-beta2)*g*g
		w.value[i] = w.value[i]*shrink - a*w.avg[i]/(float32(math.Sqrt(float64(w.avg2[i]*b)))+1e-8)
	}
}

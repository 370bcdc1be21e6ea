package train

import (
	"math"

	"loradeck/internal/engine/kernel"
)

// Batch is what one step learns from: batch sequences of length+1 tokens, one after another, and for each of their
// length predictions a weight of 0 or more.
type Batch struct {
	Tokens  []int
	Weights []float32
}

func (n *Net) token(b Batch, row int) int { return b.Tokens[row/n.length*(n.length+1)+row%n.length] }

func (n *Net) target(b Batch, row int) int {
	return b.Tokens[row/n.length*(n.length+1)+row%n.length+1]
}

// Step runs forward and backward, leaves the gradients in the parameters, and gives the mean loss in nats per weighted token.
func (n *Net) Step(b Batch) float64 {
	n.forward(b)
	loss := n.loss(b)
	n.backward(b)
	return loss
}

// Loss runs forward only.
func (n *Net) Loss(b Batch) float64 {
	n.forward(b)
	return n.loss(b)
}

func (n *Net) forward(b Batch) {
	rows, hidden, inner := n.batch*n.length, n.Hidden, n.Inner
	kv := n.KVHeads * n.headDim()
	for row := range rows {
		copy(n.x[row*hidden:(row+1)*hidden], n.embed.value[n.token(b, row)*hidden:])
	}
	for i := range n.layers {
		l := &n.layers[i]
		product := func(y, x []float32, linear, out, in int) {
			n.products.Forward(y, x, l.linear[linear].value, rows, out, in)
		}
		copy(l.in1, n.x)
		n.normalize(l.h1, l.scale1, l.in1, l.norm1.value)
		product(l.q, l.h1, linearQ, hidden, hidden)
		product(l.k, l.h1, linearK, kv, hidden)
		product(l.v, l.h1, linearV, kv, hidden)
		n.rotate(l.q, n.Heads, 1)
		n.rotate(l.k, n.KVHeads, 1)
		n.attend(l)
		product(n.sum, l.attended, linearO, hidden, hidden)
		n.each(rows*hidden, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				l.in2[i] = n.x[i] + n.sum[i]
			}
		})
		n.normalize(l.h2, l.scale2, l.in2, l.norm2.value)
		product(l.gate, l.h2, linearGate, inner, hidden)
		product(l.up, l.h2, linearUp, inner, hidden)
		n.each(rows*inner, func(lo, hi int) {
			copy(l.act[lo:hi], l.gate[lo:hi])
			kernel.SiLUMul(l.act[lo:hi], l.up[lo:hi])
		})
		product(n.sum, l.act, linearDown, hidden, inner)
		n.each(rows*hidden, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				n.x[i] = l.in2[i] + n.sum[i]
			}
		})
	}
	n.normalize(n.final, n.finalScale, n.x, n.norm.value)
	n.products.Forward(n.logits, n.final, n.embed.value, rows, n.Vocab, hidden)
}

// loss turns the logits into their gradient and gives the mean loss.
func (n *Net) loss(b Batch) float64 {
	rows := n.batch * n.length
	var total float64
	for _, w := range b.Weights {
		total += float64(w)
	}
	n.each(rows, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			logits := n.logits[row*n.Vocab : (row+1)*n.Vocab]
			share := float32(float64(b.Weights[row]) / total)
			if share == 0 {
				clear(logits)
				n.losses[row] = 0
				continue
			}
			top := logits[0]
			for _, v := range logits {
				top = max(top, v)
			}
			target := n.target(b, row)
			aim := logits[target]
			sum := kernel.ExpSum(logits, top, 1)
			n.losses[row] = (math.Log(float64(sum)) - float64(aim-top)) * float64(share)
			for i := range logits {
				logits[i] *= share / sum
			}
			logits[target] -= share
		}
	})
	var loss float64
	for _, part := range n.losses {
		loss += part
	}
	return loss
}

// back gives the gradient of a linear y = x·wᵀ: of its weight, and of its input, which is written to dx or added to it.
func (n *Net) back(w *weight, dx, x, dy []float32, add bool) {
	rows := n.batch * n.length
	if !n.frozen || w != n.embed {
		n.products.WeightGradient(w.slope, dy, x, rows, w.rows, w.cols)
	}
	if !add {
		n.products.InputGradient(dx, dy, w.value, rows, w.rows, w.cols)
		return
	}
	n.products.InputGradient(n.sum, dy, w.value, rows, w.rows, w.cols)
	n.each(rows*w.cols, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dx[i] += n.sum[i]
		}
	})
}

func (n *Net) backward(b Batch) {
	rows, inner := n.batch*n.length, n.Inner
	n.back(n.embed, n.dh, n.final, n.logits, false)
	clear(n.dx)
	n.normalizeBack(n.dx, n.dh, n.x, n.finalScale, n.norm)
	for i := len(n.layers) - 1; i >= 0; i-- {
		l := &n.layers[i]
		n.back(l.linear[linearDown], n.dInner, l.act, n.dx, false)
		n.each(rows*inner, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				gate, d := l.gate[i], n.dInner[i]
				s := 1 / (1 + kernel.Exp(-gate))
				n.dInner2[i] = d * gate * s
				n.dInner[i] = d * l.up[i] * s * (1 + gate*(1-s))
			}
		})
		n.back(l.linear[linearGate], n.dh, l.h2, n.dInner, false)
		n.back(l.linear[linearUp], n.dh, l.h2, n.dInner2, true)
		n.normalizeBack(n.dx, n.dh, l.in2, l.scale2, l.norm2)
		n.back(l.linear[linearO], n.dAttended, l.attended, n.dx, false)
		n.attendBack(l)
		n.rotate(n.dq, n.Heads, -1)
		n.rotate(n.dk, n.KVHeads, -1)
		n.back(l.linear[linearQ], n.dh, l.h1, n.dq, false)
		n.back(l.linear[linearK], n.dh, l.h1, n.dk, true)
		n.back(l.linear[linearV], n.dh, l.h1, n.dv, true)
		n.normalizeBack(n.dx, n.dh, l.in1, l.scale1, l.norm1)
	}
	if n.frozen {
		return
	}
	for row := range rows { // the embedding is used twice: as the head, above, and here
		slope, d := n.embed.slope[n.token(b, row)*n.Hidden:], n.dx[row*n.Hidden:(row+1)*n.Hidden]
		for i := range d {
			slope[i] += d[i]
		}
	}
}

package train

import (
	"math"

	"loradeck/internal/engine/kernel"
)

// normalize is RMSNorm: out = x/rms(x)·w, with 1/rms of each row kept in scale.
func (n *Net) normalize(out, scale, x, w []float32) {
	width := len(w)
	n.each(n.batch*n.length, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			in := x[row*width : (row+1)*width]
			var squares float32
			for _, v := range in {
				squares += v * v
			}
			scale[row] = float32(1 / math.Sqrt(float64(squares/float32(width))+n.Eps))
			to := out[row*width : (row+1)*width]
			for i, v := range in {
				to[i] = v * scale[row] * w[i]
			}
		}
	})
}

// normalizeBack adds the gradient of a norm's input to dx and stores that of its weight.
func (n *Net) normalizeBack(dx, dy, x, scale []float32, w *weight) {
	width, rows := w.cols, n.batch*n.length
	clear(w.slope)
	for row := range rows { // in order, so that the sum is the same on any number of threads
		in, d := x[row*width:(row+1)*width], dy[row*width:(row+1)*width]
		for i, v := range in {
			w.slope[i] += d[i] * v * scale[row]
		}
	}
	n.each(rows, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			in, d, to := x[row*width:(row+1)*width], dy[row*width:(row+1)*width], dx[row*width:(row+1)*width]
			var dot float32
			for i, v := range in {
				dot += d[i] * w.value[i] * v
			}
			s := scale[row]
			pull := dot * s * s * s / float32(width)
			for i, v := range in {
				to[i] += d[i]*w.value[i]*s - v*pull
			}
		}
	})
}

// rotate turns each head by its position; sign -1 turns a gradient back.
func (n *Net) rotate(x []float32, heads int, sign float32) {
	dim := n.headDim()
	half, width := dim/2, heads*dim
	n.each(n.batch*n.length, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			cos, sin := n.cos[row%n.length*half:][:half], n.sin[row%n.length*half:][:half]
			for h := range heads {
				a, b := x[row*width+h*dim:][:half], x[row*width+h*dim+half:][:half]
				for i := range half {
					p, q := a[i], b[i]
					a[i] = p*cos[i] - sign*q*sin[i]
					b[i] = q*cos[i] + sign*p*sin[i]
				}
			}
		}
	})
}

// attend is causal attention with grouped key and value heads.
func (n *Net) attend(l *layer) {
	T, dim, hidden := n.length, n.headDim(), n.Hidden
	kv, group := n.KVHeads*dim, n.Heads/n.KVHeads
	scale := float32(1 / math.Sqrt(float64(dim)))
	n.pool.Run(n.batch*n.Heads, 1, n.batch*n.Heads*T*T*dim, func(lo, hi int) {
		for bh := lo; bh < hi; bh++ {
			b, h := bh/n.Heads, bh%n.Heads
			keys, values := l.k[b*T*kv+h/group*dim:], l.v[b*T*kv+h/group*dim:]
			for i := range T {
				probs := l.probs[(bh*T+i)*T : (bh*T+i+1)*T]
				kernel.Dots(probs[:i+1], keys, kv, l.q[(b*T+i)*hidden+h*dim:][:dim])
				kernel.Softmax(probs[:i+1], scale)
				clear(probs[i+1:])
				out := l.attended[(b*T+i)*hidden+h*dim:][:dim]
				clear(out)
				kernel.Mix(out, values, kv, probs[:i+1])
			}
		}
	})
}

// attendBack gives the gradients of queries, keys and values from that of what was attended.
func (n *Net) attendBack(l *layer) {
	T, dim, hidden := n.length, n.headDim(), n.Hidden
	kv, group := n.KVHeads*dim, n.Heads/n.KVHeads
	scale := float32(1 / math.Sqrt(float64(dim)))
	clear(n.dk)
	clear(n.dv)
	n.pool.Run(n.batch*n.KVHeads, 1, 3*n.batch*n.Heads*T*T*dim, func(lo, hi int) {
		scores, scoresT, probsT := make([]float32, T*T), make([]float32, T*T), make([]float32, T*T)
		for bk := lo; bk < hi; bk++ {
			b, shared := bk/n.KVHeads, bk%n.KVHeads
			at := b*T*kv + shared*dim
			for h := shared * group; h < (shared+1)*group; h++ {
				probs := l.probs[(b*n.Heads+h)*T*T:][:T*T]
				for i := range T {
					score, prob := scores[i*T:(i+1)*T], probs[i*T:(i+1)*T]
					kernel.Dots(score[:i+1], l.v[at:], kv, n.dAttended[(b*T+i)*hidden+h*dim:][:dim])
					var sum float32
					for j := range i + 1 {
						sum += score[j] * prob[j]
					}
					for j := range i + 1 {
						score[j] = prob[j] * (score[j] - sum) * scale
						scoresT[j*T+i], probsT[j*T+i] = score[j], prob[j]
					}
					dq := n.dq[(b*T+i)*hidden+h*dim:][:dim]
					clear(dq)
					kernel.Mix(dq, l.k[at:], kv, score[:i+1])
				}
				for j := range T {
					from := (b*T+j)*hidden + h*dim
					kernel.Mix(n.dk[at+j*kv:][:dim], l.q[from:], hidden, scoresT[j*T+j:(j+1)*T])
					kernel.Mix(n.dv[at+j*kv:][:dim], n.dAttended[from:], hidden, probsT[j*T+j:(j+1)*T])
				}
			}
		}
	})
}

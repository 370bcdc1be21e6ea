package engine

import (
	"math"

	"loradeck/internal/engine/kernel"
)

// attend turns the queries and keys to their positions, stores keys and values, and writes what each row attends to.
func (m *model) attend(layer int, rows []row, s *scratch) {
	c, half := m.config, len(m.frequencies)
	queryWidth, keyWidth := c.heads*c.headDim, c.kvHeads*c.headDim
	m.pool.Run(len(rows), 1, elementCost*(len(s.query)+len(s.key)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			cosines, sines := s.cosines[i*half:(i+1)*half], s.sines[i*half:(i+1)*half]
			turn(s.query[i*queryWidth:(i+1)*queryWidth], cosines, sines)
			turn(s.key[i*keyWidth:(i+1)*keyWidth], cosines, sines)
		}
	})
	cost, longest := 0, 0
	for i := 0; i < len(rows); {
		first, sequence := i, rows[i].sequence
		for ; i < len(rows) && rows[i].sequence == sequence; i++ {
			seen := s.positions[i] + 1
			longest = max(longest, seen)
			cost += seen * queryWidth * 2
		}
		at := s.positions[first] * keyWidth
		sequence.put(layer, at, s.key[first*keyWidth:i*keyWidth], s.value[first*keyWidth:i*keyWidth])
	}
	total := len(rows) * c.heads
	m.pool.Run(total, 1, cost, func(lo, hi int) {
		weights := make([]float32, longest)
		for i := lo; i < hi; i++ {
			m.attendHead(layer, i/c.heads, i%c.heads, rows[i/c.heads].sequence, weights, s)
		}
	})
}

// attendHead writes one head's result for one row. weights is room for as many values as the row sees positions.
func (m *model) attendHead(layer, row, head int, seq *sequence, weights []float32, s *scratch) {
	c := m.config
	queryWidth, keyWidth := c.heads*c.headDim, c.kvHeads*c.headDim
	first, end := 0, s.positions[row]+1
	if window := c.windows[layer]; window > 0 { // a window of n sees n positions, its own among them
		first = max(0, end-window)
	}
	weights = weights[:end-first]
	offset := first*keyWidth + head/(c.heads/c.kvHeads)*c.headDim
	query := s.query[row*queryWidth+head*c.headDim:][:c.headDim]
	kernel.Dots(weights, seq.keys[layer][offset:], keyWidth, query)
	kernel.Softmax(weights, float32(1/math.Sqrt(float64(c.headDim))))
	out := s.attended[row*queryWidth+head*c.headDim:][:c.headDim]
	clear(out)
	kernel.Mix(out, seq.values[layer][offset:], keyWidth, weights)
}

// turn rotates each head of x: value j of the first half with value j of the second, as transformers pairs them.
func turn(x, cosines, sines []float32) {
	half := len(cosines)
	for at := 0; at < len(x); at += 2 * half {
		a, b := x[at:at+half], x[at+half:at+2*half]
		for j, cosine := range cosines {
			p, q := a[j], b[j]
			a[j] = p*cosine - q*sines[j]
			b[j] = q*cosine + p*sines[j]
		}
	}
}

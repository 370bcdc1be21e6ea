package engine

import (
	"math"

	"loradeck/internal/engine/kernel"
)

// forward computes the rows and returns the logits of those that want them, in order. Rows of one sequence must be adjacent
// and in order. The logits are valid until the next pass.
func (m *model) forward(rows []row, s *scratch) [][]float32 {
	c, n := m.config, len(rows)
	queryWidth, keyWidth := c.heads*c.headDim, c.kvHeads*c.headDim
	x, h := resize(&s.x, n*c.hidden), resize(&s.h, n*c.hidden)
	query, key, value := resize(&s.query, n*queryWidth), resize(&s.key, n*keyWidth), resize(&s.value, n*keyWidth)
	attended := resize(&s.attended, n*queryWidth)
	gate, up := resize(&s.gate, n*c.inner), resize(&s.up, n*c.inner)
	for i, r := range rows {
		m.embed(x[i*c.hidden:(i+1)*c.hidden], r, s)
	}
	m.place(rows, s)
	s.groups = groupRows(rows, s.groups[:0])
	for i := range m.layers {
		l := &m.layers[i]
		m.normalize(h, x, l.inputNorm)
		blur(rows, h, c.hidden)
		m.linear(i, h, n, s, projection{queryTarget, query}, projection{keyTarget, key}, projection{valueTarget, value})
		blur(rows, query, queryWidth)
		blur(rows, key, keyWidth)
		blur(rows, value, keyWidth)
		m.attend(i, rows, s)
		blur(rows, attended, queryWidth)
		m.linear(i, attended, n, s, projection{outputTarget, h})
		m.add(x, h)
		blur(rows, x, c.hidden)
		m.normalize(h, x, l.postNorm)
		blur(rows, h, c.hidden)
		m.linear(i, h, n, s, projection{gateTarget, gate}, projection{upTarget, up})
		m.pool.Run(len(gate), 64, elementCost*len(gate), func(lo, hi int) { kernel.SiLUMul(gate[lo:hi], up[lo:hi]) })
		blur(rows, gate, c.inner)
		m.linear(i, gate, n, s, projection{downTarget, h})
		m.add(x, h)
		blur(rows, x, c.hidden)
	}
	for i, r := range rows {
		r.sequence.length = s.positions[i] + 1
	}
	return m.logits(rows, s)
}

// embed looks a row's token up, in the base and in its adapter.
func (m *model) embed(x []float32, r row, s *scratch) {
	m.embedding.Row(x, r.token)
	if r.sequence.broken {
		x[0] = float32(math.NaN()) // the first norm spreads it
	}
	a := r.sequence.adapter
	if a == nil || a.embedding.rank == 0 {
		return
	}
	low := resize(&s.low, a.embedding.rank)
	a.embedding.a.Row(low, r.token)
	for i := range low {
		low[i] *= a.embedding.scale
	}
	a.embedding.addTo(x, low)
}

// place finds each row's position and the turn that belongs to it.
func (m *model) place(rows []row, s *scratch) {
	positions, half := resize(&s.positions, len(rows)), len(m.frequencies)
	cosines, sines := resize(&s.cosines, len(rows)*half), resize(&s.sines, len(rows)*half)
	for i, r := range rows {
		positions[i] = r.sequence.length
		if i > 0 && rows[i-1].sequence == r.sequence {
			positions[i] = positions[i-1] + 1
		}
	}
	m.pool.Run(len(rows), 1, 8*elementCost*len(cosines), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j, f := range m.frequencies {
				sine, cosine := math.Sincos(float64(float32(positions[i]) * f)) // the product in float32, as transformers has it
				cosines[i*half+j], sines[i*half+j] = float32(cosine), float32(sine)
			}
		}
	})
}

// elementCost is what a step over single values costs, in multiply-adds of a product for each value.
const elementCost = 8

// normalize is RMSNorm, row by row.
func (m *model) normalize(out, x, weight []float32) {
	width := len(weight)
	m.pool.Run(len(x)/width, 1, elementCost*len(x), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			in, o := x[i*width:(i+1)*width], out[i*width:(i+1)*width]
			scale := float32(1 / math.Sqrt(float64(kernel.Dot(in, in))/float64(width)+m.config.epsilon))
			for j, v := range in {
				o[j] = v * scale * weight[j]
			}
		}
	})
}

// add adds h to the residual stream x.
func (m *model) add(x, h []float32) {
	m.pool.Run(len(x), 64, elementCost*len(x), func(lo, hi int) {
		to, from := x[lo:hi], h[lo:hi]
		for i, v := range from {
			to[i] += v
		}
	})
}

// projection is one linear module's result, [rows, out].
type projection struct {
	target target
	y      []float32
}

// linear computes several projections of the same n inputs in one parallel region, then adds what the adapters add.
func (m *model) linear(layer int, x []float32, n int, s *scratch, projections ...projection) {
	l := &m.layers[layer]
	in := l.weight[projections[0].target].Cols
	total := 0
	for _, p := range projections {
		total += l.weight[p.target].Rows
	}
	m.pool.Run(total, 8, total*in*n, func(lo, hi int) {
		for _, p := range projections {
			w, bias := &l.weight[p.target], l.bias[p.target]
			from, to := max(lo, 0), min(hi, w.Rows)
			if from < to {
				w.Mul(p.y, w.Rows, x, in, n, from, to)
				addBias(p.y, bias, w.Rows, n, from, to)
			}
			lo, hi = lo-w.Rows, hi-w.Rows
		}
	})
	for _, g := range s.groups {
		if g.adapter == nil {
			continue
		}
		for _, p := range projections {
			if d := &g.adapter.deltas[layer*int(targets)+int(p.target)]; d.rank > 0 {
				m.addDelta(d, g, p.y, x, s)
			}
		}
	}
}

func addBias(y, bias []float32, width, n, from, to int) {
	if bias == nil {
		return
	}
	for i := range n {
		for r := from; r < to; r++ {
			y[i*width+r] += bias[r]
		}
	}
}

// group is a run of adjacent rows that use the same adapter.
type group struct {
	adapter *adapter
	lo, hi  int
}

func groupRows(rows []row, groups []group) []group {
	for i, r := range rows {
		groups = grouped(groups, r.sequence.adapter, i)
	}
	return groups
}

// grouped takes in the row at, which follows those of groups.
func grouped(groups []group, a *adapter, at int) []group {
	if n := len(groups); n > 0 && groups[n-1].adapter == a {
		groups[n-1].hi = at + 1
		return groups
	}
	return append(groups, group{a, at, at + 1})
}

// addDelta adds scale·B·A·x to the group's rows of y.
func (m *model) addDelta(d *delta, g group, y, x []float32, s *scratch) {
	n, in := g.hi-g.lo, d.a.Cols
	low := resize(&s.low, n*d.rank)
	m.pool.Run(n, 1, n*d.rank*(in+d.out), func(lo, hi int) {
		d.a.Mul(low[lo*d.rank:], d.rank, x[(g.lo+lo)*in:], in, hi-lo, 0, d.rank)
		for i := lo * d.rank; i < hi*d.rank; i++ {
			low[i] *= d.scale
		}
		for i := lo; i < hi; i++ {
			d.addTo(y[(g.lo+i)*d.out:(g.lo+i+1)*d.out], low[i*d.rank:(i+1)*d.rank])
		}
	})
}

// logits computes the scores of the whole vocabulary for the rows that want them.
func (m *model) logits(rows []row, s *scratch) [][]float32 {
	c := m.config
	wanted := 0
	s.groups = s.groups[:0]
	for i, r := range rows {
		if r.wanted {
			m.normalize(s.h[wanted*c.hidden:(wanted+1)*c.hidden], s.x[i*c.hidden:(i+1)*c.hidden], m.norm)
			s.groups = grouped(s.groups, r.sequence.adapter, wanted)
			wanted++
		}
	}
	s.result = s.result[:0]
	if wanted == 0 {
		return nil
	}
	logits := resize(&s.logits, wanted*c.vocab)
	m.pool.Run(c.vocab, 8, c.vocab*c.hidden*wanted, func(lo, hi int) {
		m.head.Mul(logits, c.vocab, s.h, c.hidden, wanted, lo, hi)
	})
	for _, g := range s.groups {
		if g.adapter != nil && g.adapter.head.rank > 0 {
			m.addDelta(&g.adapter.head, g, logits, s.h, s)
		}
	}
	for _, r := range rows {
		if !r.wanted {
			continue
		}
		own := logits[len(s.result)*c.vocab:][:c.vocab]
		if r.sequence.rounder != nil {
			r.sequence.rounder.round(own)
		}
		s.result = append(s.result, own)
	}
	return s.result
}

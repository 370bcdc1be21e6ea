package kernel

// Backprop holds the buffers for the three products of a linear layer y = x·wᵀ, with x of [rows, in], w of [out, in] and y
// of [rows, out]. Its results are the same bits whatever the number of threads. It is for one goroutine at a time.
type Backprop struct {
	Pool *Pool

	gradient, input, weight []float32 // transposed copies
}

// Forward computes y = x·wᵀ.
func (b *Backprop) Forward(y, x, w []float32, rows, out, in int) {
	m := Matrix{Rows: out, Cols: in, F32: w}
	b.Pool.Run(out, 8, rows*out*in, func(lo, hi int) { m.Mul(y, out, x, in, rows, lo, hi) })
}

// InputGradient computes dx = dy·w.
func (b *Backprop) InputGradient(dx, dy, w []float32, rows, out, in int) {
	turned := resize(&b.weight, out*in)
	Transpose(b.Pool, turned, w, out, in)
	b.Forward(dx, dy, turned, rows, in, out)
}

// WeightGradient computes dw = dyᵀ·x, overwriting dw.
func (b *Backprop) WeightGradient(dw, dy, x []float32, rows, out, in int) {
	gradient, input := resize(&b.gradient, rows*out), resize(&b.input, rows*in)
	Transpose(b.Pool, gradient, dy, rows, out)
	Transpose(b.Pool, input, x, rows, in)
	b.Forward(dw, gradient, input, out, in, rows)
}

// Transpose writes the [rows, cols] matrix src as [cols, rows] into dst; the two must not overlap.
func Transpose(p *Pool, dst, src []float32, rows, cols int) {
	const tile = 16 // a cache line of float32
	p.Run(rows, tile, rows*cols*4, func(lo, hi int) {
		for from := 0; from < cols; from += tile {
			to := min(from+tile, cols)
			for i := lo; i < hi; i++ {
				for j, v := range src[i*cols+from : i*cols+to] {
					dst[(from+j)*rows+i] = v
				}
			}
		}
	})
}

func resize(buffer *[]float32, n int) []float32 {
	if cap(*buffer) < n {
		*buffer = make([]float32, n)
	}
	return (*buffer)[:n]
}

// Package kernel is the engine's arithmetic: dot products of float32 activations with float32 or bfloat16 weights, column
// mixes, softmax and SiLU, the three products that backpropagation needs, and a small pool that spreads rows over cores.
//
// On amd64 with AVX2 and FMA it runs hand-written assembly, with AVX-512 for several vectors at once where that is there;
// elsewhere, and with the build tag purego, plain Go. It knows nothing of models, adapters or files.
//
// Guarantee: every output element is accumulated in one fixed order, whichever kernel, row block, batch size or number of
// threads computed it. So a request's numbers do not depend, bit for bit, on what it was batched with. The assembly and the
// plain path differ from each other by rounding only.
package kernel

import (
	"math"
	"sync"
	"unsafe"
)

// Matrix is a row-major weight of Rows by Cols values, held either as float32 (F32) or as bfloat16 bits (BF16): exactly one
// of the two slices is set and has Rows*Cols elements. It is read-only to this package.
type Matrix struct {
	Rows, Cols int
	F32        []float32
	BF16       []uint16
}

// Row decodes row r into dst, whose length must be Cols.
func (m *Matrix) Row(dst []float32, r int) {
	dst = dst[:m.Cols]
	if m.F32 != nil {
		copy(dst, m.F32[r*m.Cols:(r+1)*m.Cols])
		return
	}
	for i, bits := range m.BF16[r*m.Cols : (r+1)*m.Cols] {
		dst[i] = fromBF16(bits)
	}
}

// activationBlock is how many bytes of activations are kept in the second-level cache while weights stream past them.
const activationBlock = 384 << 10

// Mul computes rows lo to hi of the product with each of tokens activation vectors: y[t*yStride+r] = row r · x[t*xStride:].
// Vectors are Cols long. Elements of y outside lo to hi are left alone, so that several calls may share the work.
func (m *Matrix) Mul(y []float32, yStride int, x []float32, xStride, tokens, lo, hi int) {
	if tokens <= 0 || lo >= hi {
		return
	}
	m.check(y, yStride, x, xStride, tokens, lo, hi)
	if !accelerated || m.Cols < 8 {
		m.mulPortable(y, yStride, x, xStride, tokens, lo, hi)
		return
	}
	block := max(3, activationBlock/(m.Cols*4)/3*3)
	for t := 0; t < tokens; t += block {
		n := min(block, tokens-t)
		m.mulBlock(y[t*yStride:], yStride, x[t*xStride:], xStride, n, lo, hi)
		if m.Cols%8 != 0 {
			m.addTail(y[t*yStride:], yStride, x[t*xStride:], xStride, n, lo, hi)
		}
	}
}

// check panics on operands that are too short: past this point the assembly trusts its pointers.
func (m *Matrix) check(y []float32, yStride int, x []float32, xStride, tokens, lo, hi int) {
	if lo < 0 || hi > m.Rows || len(m.F32)+len(m.BF16) < m.Rows*m.Cols {
		panic("kernel: row range outside the matrix")
	}
	_ = y[(tokens-1)*yStride+hi-1]
	if m.Cols > 0 {
		_ = x[(tokens-1)*xStride+m.Cols-1]
	}
}

// mulBlock runs the assembly over the first multiple of eight columns.
func (m *Matrix) mulBlock(y []float32, yStride int, x []float32, xStride, tokens, lo, hi int) {
	r := lo
	if wide && m.BF16 != nil && tokens >= manyVectors && m.Cols <= widenedCols {
		r = m.mulWidened(y, yStride, x, xStride, tokens, lo, hi)
	}
	for ; r+8 <= hi; r += 8 {
		t := 0 // vectors done
		if wide && tokens >= 6 {
			m.prefetch(r+8, min(r+16, hi))
		}
		for ; wide && t+6 <= tokens; t += 6 {
			m.dot8x6(r, &x[t*xStride], xStride, &y[t*yStride+r], yStride)
		}
		if tokens-t >= 3 {
			m.mulRows4(y, yStride, x, xStride, t, tokens, r)
			m.mulRows4(y, yStride, x, xStride, t, tokens, r+4)
			continue
		}
		for ; t < tokens; t++ {
			m.dot8(r, &x[t*xStride], &y[t*yStride+r])
		}
	}
	if r+4 <= hi && tokens >= 3 {
		m.mulRows4(y, yStride, x, xStride, 0, tokens, r)
		r += 4
	}
	for ; r < hi; r++ {
		for t := range tokens {
			y[t*yStride+r] = m.dot1(r, &x[t*xStride])
		}
	}
}

const (
	manyVectors = 24   // from here on it pays to widen eight rows of bfloat16 once for all vectors
	widenedCols = 2048 // eight longer rows would not stay in the caches
)

// widened holds buffers for eight rows of widenedCols float32: an array on the stack would be cleared each time.
var widened = sync.Pool{New: func() any { return new([8 * widenedCols]float32) }}

// mulWidened computes the rows from lo on that come in eights, and returns the first that is left. A widened weight has the same value, so
// the results have the same bits.
func (m *Matrix) mulWidened(y []float32, yStride int, x []float32, xStride, tokens, lo, hi int) int {
	rows := widened.Get().(*[8 * widenedCols]float32)
	defer widened.Put(rows)
	eight := Matrix{Rows: 8, Cols: m.Cols, F32: rows[:8*m.Cols]}
	r := lo
	for ; r+8 <= hi; r += 8 {
		widen(&rows[0], &m.BF16[r*m.Cols], 8*m.Cols)
		m.prefetch(r+8, min(r+16, hi))
		eight.mulBlock(y[r:], yStride, x, xStride, tokens, 0, 8)
	}
	return r
}

// prefetch asks for rows lo to hi, which then arrive while those before them are used.
func (m *Matrix) prefetch(lo, hi int) {
	switch {
	case lo >= hi:
	case m.BF16 != nil:
		prefetch(unsafe.Pointer(&m.BF16[lo*m.Cols]), 2*m.Cols*(hi-lo))
	default:
		prefetch(unsafe.Pointer(&m.F32[lo*m.Cols]), 4*m.Cols*(hi-lo))
	}
}

// mulRows4 computes four rows for the vectors from t on, of which there are at least three in all.
func (m *Matrix) mulRows4(y []float32, yStride int, x []float32, xStride, t, tokens, r int) {
	for ; t < tokens; t += 3 {
		from := min(t, tokens-3) // the last call may redo a vector: same bits
		m.dot4x3(r, &x[from*xStride], xStride, &y[from*yStride+r], yStride)
	}
}

func (m *Matrix) dot8(r int, x, y *float32) {
	if m.F32 != nil {
		dot8F32(&m.F32[r*m.Cols], uintptr(m.Cols*4), x, m.Cols, y)
		return
	}
	dot8BF16(&m.BF16[r*m.Cols], uintptr(m.Cols*2), x, m.Cols, y)
}

func (m *Matrix) dot4x3(r int, x *float32, xStride int, y *float32, yStride int) {
	if m.F32 != nil {
		dot4x3F32(&m.F32[r*m.Cols], uintptr(m.Cols*4), x, uintptr(xStride*4), m.Cols, y, uintptr(yStride*4))
		return
	}
	dot4x3BF16(&m.BF16[r*m.Cols], uintptr(m.Cols*2), x, uintptr(xStride*4), m.Cols, y, uintptr(yStride*4))
}

func (m *Matrix) dot8x6(r int, x *float32, xStride int, y *float32, yStride int) {
	if m.F32 != nil {
		dot8x6F32(&m.F32[r*m.Cols], uintptr(m.Cols*4), x, uintptr(xStride*4), m.Cols, y, uintptr(yStride*4))
		return
	}
	dot8x6BF16(&m.BF16[r*m.Cols], uintptr(m.Cols*2), x, uintptr(xStride*4), m.Cols, y, uintptr(yStride*4))
}

func (m *Matrix) dot1(r int, x *float32) float32 {
	if m.F32 != nil {
		return dot1F32(&m.F32[r*m.Cols], x, m.Cols)
	}
	return dot1BF16(&m.BF16[r*m.Cols], x, m.Cols)
}

// addTail adds the columns after the last multiple of eight, always after the assembly's sum and in column order.
func (m *Matrix) addTail(y []float32, yStride int, x []float32, xStride, tokens, lo, hi int) {
	from := m.Cols &^ 7
	for r := lo; r < hi; r++ {
		for t := range tokens {
			var sum float32
			for c := from; c < m.Cols; c++ {
				sum += m.at(r*m.Cols+c) * x[t*xStride+c]
			}
			y[t*yStride+r] += sum
		}
	}
}

func (m *Matrix) at(i int) float32 {
	if m.F32 != nil {
		return m.F32[i]
	}
	return fromBF16(m.BF16[i])
}

// Dots computes out[i] = w[i*stride:] · x for every i of out: a query against the keys of a cache. The vectors are as long
// as x.
func Dots(out, w []float32, stride int, x []float32) {
	if len(out) == 0 || len(x) == 0 {
		clear(out)
		return
	}
	_ = w[(len(out)-1)*stride+len(x)-1]
	if !accelerated || len(x) < 8 {
		for i := range out {
			out[i] = dotPortable(w[i*stride:i*stride+len(x)], x)
		}
		return
	}
	i := 0
	for ; i+8 <= len(out); i += 8 {
		dot8F32(&w[i*stride], uintptr(stride*4), &x[0], len(x), &out[i])
	}
	for ; i < len(out); i++ {
		out[i] = dot1F32(&w[i*stride], &x[0], len(x))
	}
	if from := len(x) &^ 7; from < len(x) {
		for i := range out {
			var sum float32
			for c := from; c < len(x); c++ {
				sum += w[i*stride+c] * x[c]
			}
			out[i] += sum
		}
	}
}

// Dot is the inner product of two vectors of one length.
func Dot(a, b []float32) float32 {
	var out [1]float32
	Dots(out[:], a, len(a), b[:len(a)])
	return out[0]
}

// Mix adds a weighted sum of the rows of m to y: y[i] += Σ_j weights[j]*m[j*stride+i]. Each row is as long as y.
func Mix(y, m []float32, stride int, weights []float32) {
	if len(y) == 0 || len(weights) == 0 {
		return
	}
	_ = m[(len(weights)-1)*stride+len(y)-1]
	n := 0
	if accelerated && len(y) >= 8 {
		n = len(y) &^ 7
		mixF32(&y[0], &m[0], uintptr(stride*4), &weights[0], len(weights), n)
	}
	if n < len(y) {
		mixPortable(y[n:], m[n:], stride, weights)
	}
}

// MixBF16 is Mix for rows of bfloat16 bits.
func MixBF16(y []float32, m []uint16, stride int, weights []float32) {
	if len(y) == 0 || len(weights) == 0 {
		return
	}
	_ = m[(len(weights)-1)*stride+len(y)-1]
	n := 0
	if accelerated && len(y) >= 8 {
		n = len(y) &^ 7
		mixBF16(&y[0], &m[0], uintptr(stride*2), &weights[0], len(weights), n)
	}
	if n < len(y) {
		mixPortableBF16(y[n:], m[n:], stride, weights)
	}
}

// Accelerated reports whether the assembly is in use.
func Accelerated() bool { return accelerated }

func fromBF16(bits uint16) float32 { return math.Float32frombits(uint32(bits) << 16) }

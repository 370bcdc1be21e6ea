package kernel

// The plain-Go forms of every kernel. They are compiled on all machines, so that tests can hold the assembly against them.

// mulPortable is Mul without assembly.
func (m *Matrix) mulPortable(y []float32, yStride int, x []float32, xStride, tokens, lo, hi int) {
	var decoded []float32
	if m.F32 == nil {
		decoded = make([]float32, m.Cols)
	}
	for r := lo; r < hi; r++ {
		row := decoded
		if m.F32 != nil {
			row = m.F32[r*m.Cols : (r+1)*m.Cols]
		} else {
			m.Row(decoded, r)
		}
		for t := range tokens {
			y[t*yStride+r] = dotPortable(row, x[t*xStride:t*xStride+m.Cols])
		}
	}
}

// dotPortable keeps eight sums, which stay in registers, and adds them in the same tree as the assembly; what is left after
// the last multiple of eight comes last, as there.
func dotPortable(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	n := len(a) &^ 7
	for i := 0; i < n; i += 8 {
		x, y := a[i:i+8:i+8], b[i:i+8:i+8]
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		s4 += x[4] * y[4]
		s5 += x[5] * y[5]
		s6 += x[6] * y[6]
		s7 += x[7] * y[7]
	}
	sum := ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
	if n < len(a) {
		var tail float32
		for i := n; i < len(a); i++ {
			tail += a[i] * b[i]
		}
		sum += tail
	}
	return sum
}

func mixPortable(y, m []float32, stride int, weights []float32) {
	for j, w := range weights {
		row := m[j*stride : j*stride+len(y)]
		for i := range y {
			y[i] += w * row[i]
		}
	}
}

func mixPortableBF16(y []float32, m []uint16, stride int, weights []float32) {
	for j, w := range weights {
		row := m[j*stride : j*stride+len(y)]
		for i := range y {
			y[i] += w * fromBF16(row[i])
		}
	}
}

func expSumPortable(s []float32, top, scale float32) float32 {
	var sum float32
	for i, v := range s {
		e := Exp((v - top) * scale)
		s[i] = e
		sum += e
	}
	return sum
}

func siluMulPortable(gate, up []float32) {
	for i, v := range gate {
		gate[i] = v / (1 + Exp(-v)) * up[i]
	}
}

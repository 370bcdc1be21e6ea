package kernel

import "math"

// Softmax replaces s by exp(scale*s) over its sum. A NaN anywhere makes every element NaN.
func Softmax(s []float32, scale float32) {
	if len(s) == 0 {
		return
	}
	top := s[0]
	for _, v := range s { // max would look for a NaN each time; the sum finds it too
		if v > top {
			top = v
		}
	}
	inverse := 1 / ExpSum(s, top, scale)
	for i := range s {
		s[i] *= inverse
	}
}

// ExpSum replaces each element by exp((s-top)*scale) and returns the sum. With top the largest element nothing overflows.
func ExpSum(s []float32, top, scale float32) float32 {
	if !accelerated {
		return expSumPortable(s, top, scale)
	}
	var sum float32
	n := len(s) &^ 7
	if n > 0 {
		sum = expSum(&s[0], n, top, scale)
	}
	if n < len(s) {
		// The last few go through the same code in a padded block; what the padding adds is dropped.
		var block [8]float32
		copy(block[:], s[n:])
		expSum(&block[0], 8, top, scale)
		for i, v := range block[:len(s)-n] {
			s[n+i] = v
			sum += v
		}
	}
	return sum
}

// SiLUMul is the gate of a SwiGLU block: gate[i] = gate[i]/(1+exp(-gate[i])) * up[i].
func SiLUMul(gate, up []float32) {
	up = up[:len(gate)]
	if !accelerated {
		siluMulPortable(gate, up)
		return
	}
	n := len(gate) &^ 7
	if n > 0 {
		siluMul(&gate[0], &up[0], n)
	}
	if n < len(gate) {
		var a, b [8]float32
		copy(a[:], gate[n:])
		copy(b[:], up[n:])
		siluMul(&a[0], &b[0], 8)
		copy(gate[n:], a[:])
	}
}

// Exp is a float32 exponential with a relative error below 3e-7 between -87 and 88; outside it saturates. NaN stays NaN.
// The polynomial is the one of Cephes' expf; the assembly uses the same coefficients.
func Exp(x float32) float32 {
	if x != x {
		return x
	}
	if x < -87 {
		return 0
	}
	x = min(x, 88)
	n := float32(math.RoundToEven(float64(x * 1.44269504088896341)))
	r := x - n*0.693359375 + n*2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*r*r + r + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sizes holds every remainder modulo 8 and both sides of the wide loops.
var sizes = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 23, 24, 31, 33, 48, 63, 64, 65, 71, 72, 100, 128, 131, 200}

func random(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float32, n)
	for i := range v {
		v[i] = rng.Float32()*2 - 1
	}
	return v
}

// cutBF16 keeps the upper halves of v.
func cutBF16(v []float32) []uint16 {
	bits := make([]uint16, len(v))
	for i, f := range v {
		bits[i] = uint16(math.Float32bits(f) >> 16)
	}
	return bits
}

func matrices(rows, cols int) map[string]*Matrix {
	v := random(uint64(rows*1000+cols), rows*cols)
	return map[string]*Matrix{
		"f32":  {Rows: rows, Cols: cols, F32: v},
		"bf16": {Rows: rows, Cols: cols, BF16: cutBF16(v)},
	}
}

func near(t *testing.T, what string, got, want []float32, limit float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= limit*(1+math.Abs(float64(want[i])))) {
			t.Fatalf("%s: element %d: got %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestMulIsThePlainProductForEveryTailSize(t *testing.T) {
	t.Parallel()
	t.Logf("AVX2 %v, AVX-512 %v", accelerated, wide)
	for _, cols := range sizes {
		for _, rows := range []int{1, 3, 4, 7, 8, 9, 12, 13, 20} {
			for kind, m := range matrices(rows, cols) {
				for _, tokens := range []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 25, 30} {
					x := random(uint64(tokens), tokens*cols)
					got, want := make([]float32, tokens*rows), make([]float32, tokens*rows)
					m.Mul(got, rows, x, cols, tokens, 0, rows)
					m.mulPortable(want, rows, x, cols, tokens, 0, rows)
					near(t, fmt.Sprintf("%s %dx%d, %d vectors", kind, rows, cols, tokens), got, want, 2e-5)
				}
			}
		}
	}
}

// sameBits fails at the first value that differs in any bit.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d: got %v, want %v", what, i, got[i], want[i])
		}
	}
}

// However many vectors are taken at once, whichever rows, in float32 or bfloat16 and widened or not: each element is what a row and a
// vector alone give, and no other is written.
func TestMulGivesTheSameBitsHoweverItIsCut(t *testing.T) {
	t.Parallel()
	cutProducts(t)
}

func cutProducts(t *testing.T) {
	t.Helper()
	const rows, most = 29, 2*manyVectors + 1
	spans := [][2]int{{0, rows}, {0, 24}, {1, rows}, {3, 12}, {5, 21}, {8, 16}, {13, 14}, {21, rows}, {25, rows}}
	for _, cols := range []int{5, 8, 33, 64, 100, widenedCols, widenedCols + 9, activationBlock / 4 / 20} { // of the last, 20 vectors are a block
		bits := cutBF16(random(uint64(cols), rows*cols))
		halves := &Matrix{Rows: rows, Cols: cols, BF16: bits}
		whole := &Matrix{Rows: rows, Cols: cols, F32: make([]float32, rows*cols)}
		for r := range rows {
			halves.Row(whole.F32[r*cols:(r+1)*cols], r)
		}
		x, want := random(7, most*cols), make([]float32, most*rows)
		for at := range want {
			whole.Mul(want[at/rows*rows:], rows, x[at/rows*cols:], cols, 1, at%rows, at%rows+1)
		}
		for kind, m := range map[string]*Matrix{"f32": whole, "bf16": halves} {
			for tokens := 1; tokens <= most; tokens += 1 + cols/1000 {
				for _, span := range spans {
					const untouched = -99
					got, expected := slices.Repeat([]float32{untouched}, most*rows), slices.Repeat([]float32{untouched}, most*rows)
					for token := range tokens {
						copy(expected[token*rows+span[0]:token*rows+span[1]], want[token*rows+span[0]:])
					}
					m.Mul(got, rows, x, cols, tokens, span[0], span[1])
					sameBits(t, fmt.Sprintf("%s, %d columns, %d vectors, rows %v", kind, cols, tokens, span), got, expected)
				}
			}
		}
	}
}

func TestDotsIsThePlainProductForEveryTailSize(t *testing.T) {
	t.Parallel()
	for _, k := range sizes {
		for n := range 20 {
			stride := k + 3
			w, x := random(1, (n+1)*stride), random(2, k)
			got, want := make([]float32, n), make([]float32, n)
			Dots(got, w, stride, x)
			for i := range want {
				want[i] = dotPortable(w[i*stride:i*stride+k], x)
			}
			near(t, fmt.Sprintf("%d vectors of %d", n, k), got, want, 2e-5)
			for i := range want {
				want[i] = Dot(w[i*stride:i*stride+k], x)
			}
			sameBits(t, fmt.Sprintf("%d vectors of %d, each alone", n, k), got, want)
		}
	}
}

func TestMixIsThePlainSumForEveryTailSize(t *testing.T) {
	t.Parallel()
	for _, n := range sizes {
		for _, rows := range []int{0, 1, 2, 5, 16} {
			stride := n + 1
			m, weights := random(1, (rows+1)*stride), random(2, rows)
			got := random(3, n)
			want := append([]float32(nil), got...)
			gotB, wantB := append([]float32(nil), got...), append([]float32(nil), got...)
			Mix(got, m, stride, weights)
			mixPortable(want, m, stride, weights)
			near(t, fmt.Sprintf("%d columns, %d rows", n, rows), got, want, 1e-5)
			MixBF16(gotB, cutBF16(m), stride, weights)
			mixPortableBF16(wantB, cutBF16(m), stride, weights)
			near(t, fmt.Sprintf("bf16, %d columns, %d rows", n, rows), gotB, wantB, 1e-5)
		}
	}
}

// An element of a mix is added up alike in the loops over 64, 32 and 8 columns, and whatever its rows are held in.
func TestMixGivesTheSameBitsInEveryWidth(t *testing.T) {
	t.Parallel()
	const rows = 5
	for n := 8; n <= 200; n += 8 {
		m := cutBF16(random(1, rows*n))
		whole := make([]float32, rows*n)
		(&Matrix{Rows: 1, Cols: rows * n, BF16: m}).Row(whole, 0)
		weights, y := random(2, rows), random(3, n)
		want, got, gotB := slices.Clone(y), slices.Clone(y), slices.Clone(y)
		for at := 0; at < n; at += 8 {
			Mix(want[at:at+8], whole[at:], n, weights)
		}
		Mix(got, whole, n, weights)
		sameBits(t, fmt.Sprintf("%d columns", n), got, want)
		MixBF16(gotB, m, n, weights)
		sameBits(t, fmt.Sprintf("bf16, %d columns", n), gotB, want)
	}
}

func TestExponentialsAreExactEnoughForEveryTailSize(t *testing.T) {
	t.Parallel()
	for _, n := range sizes {
		s := random(uint64(n), n)
		for i := range s {
			s[i] *= 60
		}
		want := make([]float32, n)
		var top, wantSum float64 = math.Inf(-1), 0
		for _, v := range s {
			top = max(top, float64(v))
		}
		for i, v := range s {
			want[i] = float32(math.Exp((float64(v) - top) * 0.5))
			wantSum += float64(want[i])
		}
		plain := append([]float32(nil), s...)
		near(t, fmt.Sprintf("sum of %d", n), []float32{ExpSum(s, float32(top), 0.5)}, []float32{float32(wantSum)}, 1e-5)
		near(t, fmt.Sprintf("exp of %d", n), s, want, 1e-6)
		expSumPortable(plain, float32(top), 0.5)
		near(t, fmt.Sprintf("plain exp of %d", n), plain, want, 1e-6)

		gate, up := random(5, n), random(6, n)
		for i := range gate {
			gate[i] *= 20
			want[i] = float32(float64(gate[i]) / (1 + math.Exp(-float64(gate[i]))) * float64(up[i]))
		}
		plain = append([]float32(nil), gate...)
		SiLUMul(gate, up)
		near(t, fmt.Sprintf("silu of %d", n), gate, want, 1e-5)
		siluMulPortable(plain, up)
		near(t, fmt.Sprintf("plain silu of %d", n), plain, want, 1e-5)
	}
}

func TestNaNIsNeverSwallowed(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, n := range []int{1, 7, 8, 9, 16} {
		for at := range n {
			s, gate := random(1, n), random(2, n)
			s[at], gate[at] = nan, nan
			Softmax(s, 1)
			for i, v := range s {
				if v == v {
					t.Errorf("softmax of %d with NaN at %d: element %d is %v", n, at, i, v)
				}
			}
			SiLUMul(gate, random(3, n))
			if gate[at] == gate[at] {
				t.Errorf("silu of %d lost the NaN at %d", n, at)
			}
		}
	}
}

func TestSoftmaxSumsToOne(t *testing.T) {
	t.Parallel()
	for _, n := range sizes {
		s := random(9, n)
		Softmax(s, 30)
		var sum float64
		for _, v := range s {
			sum += float64(v)
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("%d elements sum to %v", n, sum)
		}
	}
}

func TestBackpropProductsAreThePlainOnes(t *testing.T) {
	t.Parallel()
	const rows, out, in = 13, 10, 21
	b := Backprop{Pool: NewPool(2)}
	defer b.Pool.Close()
	x, w, dy := random(1, rows*in), random(2, out*in), random(3, rows*out)
	y, dx, dw := make([]float32, rows*out), make([]float32, rows*in), make([]float32, out*in)
	b.Forward(y, x, w, rows, out, in)
	b.InputGradient(dx, dy, w, rows, out, in)
	b.WeightGradient(dw, dy, x, rows, out, in)
	wantY, wantDX, wantDW := make([]float32, len(y)), make([]float32, len(dx)), make([]float32, len(dw))
	for r := range rows {
		for o := range out {
			for i := range in {
				wantY[r*out+o] += x[r*in+i] * w[o*in+i]
				wantDX[r*in+i] += dy[r*out+o] * w[o*in+i]
				wantDW[o*in+i] += dy[r*out+o] * x[r*in+i]
			}
		}
	}
	near(t, "y", y, wantY, 1e-5)
	near(t, "dx", dx, wantDX, 1e-5)
	near(t, "dw", dw, wantDW, 1e-5)
}

func BenchmarkMul(b *testing.B) {
	for _, tokens := range []int{1, 96} {
		for kind, m := range matrices(1024, 1024) {
			b.Run(fmt.Sprintf("%s/%d", kind, tokens), func(b *testing.B) {
				x, y := random(1, tokens*1024), make([]float32, tokens*1024)
				for b.Loop() {
					m.Mul(y, 1024, x, 1024, tokens, 0, 1024)
				}
				b.ReportMetric(float64(2*tokens*1024*1024)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

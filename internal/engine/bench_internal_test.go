package engine

import (
	"math/rand/v2"
	"testing"

	"loradeck/internal/engine/kernel"
)

// benchModel makes a bfloat16 base of random weights in memory.
func benchModel(b *testing.B, c *config, threads int) *model {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	matrix := func(rows, cols int) kernel.Matrix {
		m := kernel.Matrix{Rows: rows, Cols: cols, BF16: make([]uint16, rows*cols)}
		for i := range m.BF16 {
			bits := rng.Uint32()
			m.BF16[i] = uint16(bits&0x8000) | 0x3c00 | uint16(bits&0x7f) // about a hundredth, either sign
		}
		return m
	}
	ones := make([]float32, c.hidden)
	for i := range ones {
		ones[i] = 1
	}
	m := &model{config: c, frequencies: c.rope.frequencies(c.headDim), layers: make([]layer, c.layers), norm: ones, pool: kernel.NewPool(threads), modules: map[string]int{}}
	b.Cleanup(m.pool.Close)
	m.embedding = matrix(c.vocab, c.hidden)
	m.head = m.embedding
	c.windows = make([]int, c.layers)
	for i := range m.layers {
		for t := range targets {
			m.layers[i].weight[t] = matrix(m.shape(t))
			m.modules[modulePath(i, t)] = i*int(targets) + int(t)
		}
		m.layers[i].inputNorm, m.layers[i].postNorm = ones, ones
	}
	return m
}

// benchAdapter makes an adapter of rank 16 on every module.
func benchAdapter(b *testing.B, m *model) *adapter {
	b.Helper()
	var deltas []Delta
	for module, at := range m.modules {
		out, in := m.shape(target(at % int(targets)))
		d := Delta{Module: module, A: Matrix{16, in, make([]float32, 16*in)}, B: Matrix{out, 16, make([]float32, 16*out)}, Scale: 1}
		for i := range d.A.Data {
			d.A.Data[i] = 0.0078125
		}
		deltas = append(deltas, d)
	}
	a, err := m.newAdapter("bench", deltas, 16)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// BenchmarkStep reports tokens a second on the two shapes whose figures are on record: answers under way at position 128,
// alone and eight together, and a prompt of 128.
func BenchmarkStep(b *testing.B) {
	rope := ropeConfig{kind: "default", theta: 10000}
	for _, size := range []struct {
		name   string
		config config
	}{
		{"4.5M", config{vocab: 512, hidden: 256, inner: 704, layers: 6, heads: 8, kvHeads: 4, headDim: 32, context: 1024, epsilon: 1e-5, rope: rope}},
		{"135M", config{vocab: 49152, hidden: 576, inner: 1536, layers: 30, heads: 9, kvHeads: 3, headDim: 64, context: 2048, epsilon: 1e-5, rope: rope}},
	} {
		m := benchModel(b, &size.config, 1)
		a := benchAdapter(b, m)
		for _, test := range []struct {
			name    string
			batch   int
			adapter *adapter
			prompt  bool
		}{{"decode", 1, nil, false}, {"decode+lora", 1, a, false}, {"decode×8", 8, nil, false}, {"prompt", 1, nil, true}} {
			b.Run(size.name+"/"+test.name, func(b *testing.B) {
				var s scratch
				var rows []row
				sequences := make([]*sequence, test.batch)
				for i := range sequences {
					sequences[i] = newSequence(size.config.layers, test.adapter)
					var prompt []row
					for id := range 128 {
						prompt = append(prompt, row{sequences[i], id, id == 127})
					}
					rows = prompt
					m.forward(prompt, &s)
				}
				if !test.prompt {
					rows = rows[:0]
					for _, seq := range sequences {
						rows = append(rows, row{seq, 7, true})
					}
				}
				for b.Loop() {
					for _, seq := range sequences {
						seq.length = 128
						if test.prompt {
							seq.length = 0
						}
					}
					m.forward(rows, &s)
				}
				b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

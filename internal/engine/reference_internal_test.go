package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"loradeck/internal/safetensors"
)

// The reference computes in float64, one sequence at a time, without cache, in the plainest way: a second opinion on sizes
// and settings the golden bases do not have.

// shape is a base to be made up.
type shape struct {
	name, family, dtype                              string
	vocab, hidden, inner, layers, heads, kv, headDim int
	tied, bias                                       bool
	window, windowFrom                               int // how many positions are seen, from which layer on
	extra                                            map[string]any
	shards                                           int
}

type tensors map[string]safetensors.Values

// build writes the base and returns its tensors as they were stored.
func (s *shape) build(t testing.TB) (dir string, all tensors) {
	t.Helper()
	all = tensors{}
	rng := rand.New(rand.NewPCG(uint64(s.hidden), 7))
	put := func(name string, mean float32, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		v := safetensors.Values{Name: name, DType: s.dtype, Shape: shape, Data: make([]float32, n)}
		for i := range v.Data {
			v.Data[i] = mean + (rng.Float32()*2-1)*0.4
		}
		all[name] = v
	}
	put("model.embed_tokens.weight", 0, s.vocab, s.hidden)
	put("model.norm.weight", 1, s.hidden)
	if !s.tied {
		put("lm_head.weight", 0, s.vocab, s.hidden)
	}
	m := model{config: &config{hidden: s.hidden, inner: s.inner, heads: s.heads, kvHeads: s.kv, headDim: s.headDim}}
	for i := range s.layers {
		for target := range targets {
			out, in := m.shape(target)
			put(modulePath(i, target)+".weight", 0, out, in)
			if s.bias && target <= valueTarget {
				put(modulePath(i, target)+".bias", 0, out)
			}
		}
		put(fmt.Sprintf("model.layers.%d.input_layernorm.weight", i), 1, s.hidden)
		put(fmt.Sprintf("model.layers.%d.post_attention_layernorm.weight", i), 1, s.hidden)
	}
	dir = t.TempDir()
	s.writeConfig(t, dir)
	s.writeShards(t, dir, all)
	return dir, all
}

func (s *shape) writeConfig(t testing.TB, dir string) {
	t.Helper()
	c := map[string]any{
		"model_type": s.family, "vocab_size": s.vocab, "hidden_size": s.hidden, "intermediate_size": s.inner, "num_hidden_layers": s.layers,
		"num_attention_heads": s.heads, "num_key_value_heads": s.kv, "head_dim": s.headDim, "tie_word_embeddings": s.tied, "max_position_embeddings": 200,
	}
	maps.Copy(c, s.extra)
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shape) writeShards(t testing.TB, dir string, all tensors) {
	t.Helper()
	names := slices.Sorted(maps.Keys(all))
	index := map[string]string{}
	for shard := range max(s.shards, 1) {
		file := "model.safetensors"
		if s.shards > 1 {
			file = fmt.Sprintf("model-%05d-of-%05d.safetensors", shard+1, s.shards)
		}
		var mine []safetensors.Values
		for i, name := range names {
			if i%max(s.shards, 1) == shard {
				mine = append(mine, all[name])
				index[name] = file
			}
		}
		var b bytes.Buffer
		if err := safetensors.Write(&b, mine, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s.shards > 1 {
		text, err := json.Marshal(map[string]any{"metadata": map[string]int{}, "weight_map": index})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range all { // what the file holds
		for i, f := range v.Data {
			switch s.dtype {
			case safetensors.BF16:
				v.Data[i] = safetensors.FromBF16(safetensors.ToBF16(f))
			case safetensors.F16:
				v.Data[i] = safetensors.FromF16(safetensors.ToF16(f))
			}
		}
		all[name] = v
	}
}

// times is W·x, with W of [out, in].
func times(w []float32, x []float64) []float64 {
	y := make([]float64, len(w)/len(x))
	for o := range y {
		for i, v := range x {
			y[o] += float64(w[o*len(x)+i]) * v
		}
	}
	return y
}

func normal(x []float64, w []float32) []float64 {
	mean := 0.0
	for _, v := range x {
		mean += v * v / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / math.Sqrt(mean+1e-6) * float64(w[i])
	}
	return y
}

func plus(x, y []float64) []float64 {
	for i := range x {
		x[i] += y[i]
	}
	return x
}

// reference gives the last position's logits.
func (s *shape) reference(all tensors, deltas map[string]Delta, slow float64, ids []int) []float64 {
	linear := func(module string, x []float64) []float64 {
		y := times(all[module+".weight"].Data, x)
		for i, b := range all[module+".bias"].Data {
			y[i] += float64(b)
		}
		if d, ok := deltas[module]; ok {
			for i, v := range times(d.B.Data, times(d.A.Data, x)) {
				y[i] += v * float64(d.Scale)
			}
		}
		return y
	}
	stream := make([][]float64, len(ids))
	for p, id := range ids {
		for _, v := range all["model.embed_tokens.weight"].Data[id*s.hidden : (id+1)*s.hidden] {
			stream[p] = append(stream[p], float64(v))
		}
		if d, ok := deltas["model.embed_tokens"]; ok {
			one := make([]float64, s.vocab)
			one[id] = float64(d.Scale)
			plus(stream[p], times(d.B.Data, times(d.A.Data, one)))
		}
	}
	for layer := range s.layers {
		at := func(t target) string { return modulePath(layer, t) }
		var keys, values [][]float64
		for p, x := range stream {
			h := normal(x, all[fmt.Sprintf("model.layers.%d.input_layernorm.weight", layer)].Data)
			keys, values = append(keys, s.turned(linear(at(keyTarget), h), p, slow)), append(values, linear(at(valueTarget), h))
			seen := s.attend(s.turned(linear(at(queryTarget), h), p, slow), keys, values, layer >= s.windowFrom)
			plus(x, linear(at(outputTarget), seen))
			h = normal(x, all[fmt.Sprintf("model.layers.%d.post_attention_layernorm.weight", layer)].Data)
			gate, up := linear(at(gateTarget), h), linear(at(upTarget), h)
			for i, g := range gate {
				gate[i] = g / (1 + math.Exp(-g)) * up[i]
			}
			plus(x, linear(at(downTarget), gate))
		}
	}
	head := all["lm_head.weight"].Data
	if s.tied {
		head = all["model.embed_tokens.weight"].Data
	}
	last := normal(stream[len(ids)-1], all["model.norm.weight"].Data)
	logits := times(head, last)
	if d, ok := deltas["lm_head"]; ok {
		for i, v := range times(d.B.Data, times(d.A.Data, last)) {
			logits[i] += v * float64(d.Scale)
		}
	}
	return logits
}

func (s *shape) turned(x []float64, position int, slow float64) []float64 {
	half := s.headDim / 2
	for at := 0; at < len(x); at += s.headDim {
		for j := range half {
			angle := float64(position) / slow * math.Pow(10000, -2*float64(j)/float64(s.headDim))
			a, b := x[at+j], x[at+half+j]
			x[at+j], x[at+half+j] = a*math.Cos(angle)-b*math.Sin(angle), b*math.Cos(angle)+a*math.Sin(angle)
		}
	}
	return x
}

func (s *shape) attend(query []float64, keys, values [][]float64, slides bool) []float64 {
	out := make([]float64, len(query))
	for head := range s.heads {
		from := head / (s.heads / s.kv) * s.headDim
		weights, total := make([]float64, len(keys)), 0.0
		for p := range keys {
			if slides && s.window > 0 && p <= len(keys)-1-s.window {
				continue
			}
			score := 0.0
			for j := range s.headDim {
				score += query[head*s.headDim+j] * keys[p][from+j]
			}
			weights[p] = math.Exp(score / math.Sqrt(float64(s.headDim)))
			total += weights[p]
		}
		for p, w := range weights {
			for j := range s.headDim {
				out[head*s.headDim+j] += w / total * values[p][from+j]
			}
		}
	}
	return out
}

func TestOddShapesEqualAPlainReference(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{
		{name: "nothing divides by four", family: "llama", dtype: safetensors.F32, vocab: 53, hidden: 37, inner: 41, layers: 2, heads: 3, kv: 1, headDim: 14},
		{name: "biases, bfloat16, three shards", family: "qwen2", dtype: safetensors.BF16, vocab: 31, hidden: 30, inner: 19, layers: 2, heads: 4, kv: 2, headDim: 6, tied: true, bias: true, shards: 3},
		{name: "sliding window, half precision", family: "mistral", dtype: safetensors.F16, vocab: 40, hidden: 24, inner: 33, layers: 2, heads: 2, kv: 2, headDim: 20, window: 5, extra: map[string]any{"sliding_window": 5}},
		{name: "linear scaling, old key", family: "llama", dtype: safetensors.F32, vocab: 33, hidden: 7, inner: 5, layers: 1, heads: 1, kv: 1, headDim: 4, tied: true, extra: map[string]any{"rope_scaling": map[string]any{"type": "linear", "factor": 4.0}}},
		{name: "window from the second layer on", family: "qwen2", dtype: safetensors.F32, vocab: 33, hidden: 16, inner: 8, layers: 3, heads: 2, kv: 1, headDim: 8, bias: true, window: 3, windowFrom: 1, extra: map[string]any{"sliding_window": 3, "use_sliding_window": true, "max_window_layers": 1}},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir, all := s.build(t)
			m := loadTestModel(t, dir)
			rng := rand.New(rand.NewPCG(1, 2))
			deltas := map[string]Delta{}
			var list []Delta
			for _, module := range append(slices.Sorted(maps.Keys(m.modules)), "model.embed_tokens", "lm_head") {
				_, out, in := (&adapter{deltas: make([]delta, len(m.modules))}).module(m, module)
				d := Delta{Module: module, A: Matrix{3, in, nil}, B: Matrix{out, 3, nil}, Scale: 0.5}
				for range 3 * in {
					d.A.Data = append(d.A.Data, rng.Float32()-0.5)
				}
				for range 3 * out {
					d.B.Data = append(d.B.Data, rng.Float32()-0.5)
				}
				deltas[module] = d
				list = append(list, d)
			}
			a, err := m.newAdapter("a", list, 8)
			if err != nil {
				t.Fatal(err)
			}
			slow := 1.0
			if s.extra["rope_scaling"] != nil {
				slow = 4
			}
			ids := make([]int, 19)
			for i := range ids {
				ids[i] = rng.IntN(s.vocab)
			}
			worst := 0.0
			for n := 1; n <= len(ids); n += 6 {
				base, _ := greedy(m, nil, ids[:n])
				with, _ := greedy(m, a, ids[:n])
				wantBase, wantWith := s.reference(all, nil, slow, ids[:n]), s.reference(all, deltas, slow, ids[:n])
				for i := range wantBase {
					worst = max(worst, math.Abs(float64(base[n-1][i])-wantBase[i]), math.Abs(float64(with[n-1][i])-wantWith[i]))
				}
			}
			if !(worst < 1e-4) {
				t.Errorf("logits differ by %.2g", worst)
			}
		})
	}
}

func TestAPromptCutAnywhereGivesTheSameBits(t *testing.T) {
	t.Parallel()
	m := loadTestModel(t, filepath.Join("testdata", "llama"))
	ids := readExpected(t, "llama").Runs[0].Input
	whole, _ := greedy(m, nil, ids)
	for _, cut := range []int{1, 2, 3, 5, 8} {
		var s scratch
		seq := newSequence(len(m.layers), nil)
		for from := 0; from < len(ids); from += cut {
			var rows []row
			for _, id := range ids[from:min(from+cut, len(ids))] {
				rows = append(rows, row{seq, id, true})
			}
			for i, l := range m.forward(rows, &s) {
				if !slices.Equal(l, whole[from+i]) {
					t.Fatalf("cut every %d: position %d differs", cut, from+i)
				}
			}
		}
	}
}

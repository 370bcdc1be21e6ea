package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"loradeck/internal/lora"
	"loradeck/internal/safetensors"
)

// smallest are bases of a few hundred bytes, so that a fuzzer's changes land where they matter.
var smallest = []shape{
	{family: "llama", dtype: safetensors.F32, vocab: 3, hidden: 2, inner: 1, layers: 1, heads: 1, kv: 1, headDim: 2, tied: true},
	{family: "llama", dtype: safetensors.F16, vocab: 2, hidden: 3, inner: 2, layers: 2, heads: 2, kv: 1, headDim: 4, extra: map[string]any{
		"eos_token_id": []int{0, 1}, "rope_scaling": map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 4},
	}},
	{family: "mistral", dtype: safetensors.BF16, vocab: 2, hidden: 2, inner: 2, layers: 1, heads: 1, kv: 1, headDim: 2, extra: map[string]any{
		"sliding_window": 2, "rope_parameters": map[string]any{"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0},
	}},
	{family: "qwen2", dtype: safetensors.F32, vocab: 2, hidden: 2, inner: 1, layers: 2, heads: 1, kv: 1, headDim: 2, bias: true, extra: map[string]any{
		"use_sliding_window": true, "sliding_window": 3, "max_window_layers": 1, "layer_types": []string{"full_attention", "sliding_attention"},
	}},
}

// place writes files into a fresh folder.
func place(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func contents(t testing.TB, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// mustCompute runs a few tokens through whatever was loaded.
func mustCompute(t *testing.T, m *model, a *adapter) {
	t.Helper()
	var s scratch
	seq := newSequence(len(m.layers), a)
	for range 3 {
		logits := m.forward([]row{{seq, 0, false}, {seq, m.config.vocab - 1, true}}, &s)
		if len(logits) != 1 || len(logits[0]) != m.config.vocab {
			t.Fatalf("%d rows of logits", len(logits))
		}
	}
}

// FuzzBase loads whatever claims to be a base: it computes, or is refused with a sentence.
func FuzzBase(f *testing.F) {
	for _, s := range smallest {
		dir, _ := s.build(f)
		f.Add(contents(f, dir, "config.json"), []byte(`{"eos_token_id": [1]}`), contents(f, dir, "model.safetensors"))
	}
	f.Fuzz(func(t *testing.T, config, generation, weights []byte) {
		m, err := loadModel(place(t, map[string][]byte{"config.json": config, "generation_config.json": generation, "model.safetensors": weights}), 1)
		if err != nil {
			if lora.KindOf(err) != lora.Invalid || lora.Message(err) == "" {
				t.Errorf("got %v", err)
			}
			return
		}
		defer m.pool.Close()
		mustCompute(t, m, nil)
	})
}

// FuzzAdapter loads whatever claims to be an adapter for a small base.
func FuzzAdapter(f *testing.F) {
	dir, _ := smallest[0].build(f)
	m := loadTestModel(f, dir)
	module := "base_model.model." + modulePath(0, queryTarget)
	for _, dtype := range []string{safetensors.F32, safetensors.F16, safetensors.BF16} {
		var weights bytes.Buffer
		if err := safetensors.Write(&weights, []safetensors.Values{
			{Name: module + ".lora_A.weight", DType: dtype, Shape: []int{1, 2}, Data: []float32{1, 2}},
			{Name: module + ".lora_B.weight", DType: dtype, Shape: []int{2, 1}, Data: []float32{3, 4}},
		}, nil); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"peft_type":"LORA","r":1,"lora_alpha":2,"target_modules":["q_proj"]}`), weights.Bytes())
		f.Add([]byte(`{"peft_type":"LORA","r":2,"lora_alpha":2,"use_rslora":true,"target_modules":".*q_proj","rank_pattern":{"q_proj":1},"alpha_pattern":{"q_proj":8}}`), weights.Bytes())
	}
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		a, err := m.readAdapter("x", place(t, map[string][]byte{"adapter_config.json": config, "adapter_model.safetensors": weights}), 8)
		if err != nil {
			if lora.KindOf(err) != lora.Invalid || lora.Message(err) == "" {
				t.Errorf("got %v", err)
			}
			return
		}
		mustCompute(t, m, a)
	})
}

// FuzzAdapterConfig reads whatever claims to be an adapter's config.
func FuzzAdapterConfig(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/adapters/*/adapter_config.json")
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"peft_type":"LORA","r":1,"lora_alpha":1e999,"target_modules":"(a*)*"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parsePeftConfig(text)
		if err != nil {
			if lora.KindOf(err) != lora.Invalid {
				t.Errorf("got %v", err)
			}
			return
		}
		c.targets("model.layers.0.self_attn.q_proj")
		if rank, _, err := c.scale("model.layers.0.self_attn.q_proj"); err == nil && rank <= 0 {
			t.Errorf("got the rank %d", rank)
		}
	})
}

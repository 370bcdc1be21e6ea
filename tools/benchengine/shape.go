package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"loradeck/internal/local/demo"
	"loradeck/internal/safetensors"
)

// shape is what a base is measured as: the sizes of its config.json, and how much is asked of it.
type shape struct {
	name   string
	config config

	prompt, answer int // tokens of one measurement
	prompts        int // how many are computed one right after another: one must not be over while threads are still being woken
	heldModules    string
	targets        targets
}

// targets are the least ratios that are wanted of a shape; 0 is none.
type targets struct{ adapterDecode, adapterPrefill, atOnce float64 }

// config is the part of a config.json that the tool reads and writes.
type config struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	Vocab         int      `json:"vocab_size"`
	Hidden        int      `json:"hidden_size"`
	Inner         int      `json:"intermediate_size"`
	Layers        int      `json:"num_hidden_layers"`
	Heads         int      `json:"num_attention_heads"`
	KVHeads       int      `json:"num_key_value_heads"`
	HeadDim       int      `json:"head_dim"`
	Context       int      `json:"max_position_embeddings"`
	Epsilon       float64  `json:"rms_norm_eps"`
	Theta         float64  `json:"rope_theta"`
	Tied          bool     `json:"tie_word_embeddings"`
	DType         string   `json:"torch_dtype"`
}

// shapes lists what is measured. 1,000 adapters on every linear would take 10 GB at 135M, so there they change q and v only, which is
// peft's own choice for a Llama.
func shapes() []shape {
	smollm2 := config{
		Architectures: []string{"LlamaForCausalLM"}, ModelType: "llama", Vocab: 49152, Hidden: 576, Inner: 1536, Layers: 30, Heads: 9, KVHeads: 3,
		HeadDim: 64, Context: 8192, Epsilon: 1e-5, Theta: 100_000, Tied: true, DType: "bfloat16",
	}
	return []shape{
		{name: "135M", config: smollm2, prompt: 128, answer: 32, prompts: 1, heldModules: "self_attn.q_proj,self_attn.v_proj", targets: targets{0.85, 0.8, 2}},
		{name: "demo", config: demoConfig(), prompt: 128, answer: 768, prompts: 16},
	}
}

// demoConfig reads the sizes of the demo model that is part of the product.
func demoConfig() config {
	text, err := fs.ReadFile(demo.Base(), "config.json")
	var c config
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		panic(err) // the file is embedded
	}
	return c
}

// linear is one of the modules that an adapter may change.
type linear struct {
	path    string // within a layer
	out, in int
}

func (c config) linears() []linear {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	return []linear{
		{"self_attn.q_proj", q, c.Hidden},
		{"self_attn.k_proj", kv, c.Hidden},
		{"self_attn.v_proj", kv, c.Hidden},
		{"self_attn.o_proj", c.Hidden, q},
		{"mlp.gate_proj", c.Inner, c.Hidden},
		{"mlp.up_proj", c.Inner, c.Hidden},
		{"mlp.down_proj", c.Hidden, c.Inner},
	}
}

// tensors makes the base's weights: normal ones of a fiftieth, as transformers initialises a Llama, rounded to bfloat16. The same name and
// shape have the same values in every run.
func (c config) tensors() []safetensors.Values {
	all := []safetensors.Values{random("model.embed_tokens.weight", c.Vocab, c.Hidden)}
	for i := range c.Layers {
		prefix := fmt.Sprintf("model.layers.%d.", i)
		for _, l := range c.linears() {
			all = append(all, random(prefix+l.path+".weight", l.out, l.in))
		}
		all = append(all, ones(prefix+"input_layernorm.weight", c.Hidden), ones(prefix+"post_attention_layernorm.weight", c.Hidden))
	}
	return append(all, ones("model.norm.weight", c.Hidden))
}

func random(name string, rows, cols int) safetensors.Values {
	hash := fnv.New64a()
	io.WriteString(hash, name)
	source := rand.New(rand.NewPCG(hash.Sum64(), 1))
	v := safetensors.Values{Name: name, DType: safetensors.BF16, Shape: []int{rows, cols}, Data: make([]float32, rows*cols)}
	for i := range v.Data {
		v.Data[i] = safetensors.FromBF16(safetensors.ToBF16(float32(source.NormFloat64()) * 0.02))
	}
	return v
}

func ones(name string, n int) safetensors.Values {
	return safetensors.Values{Name: name, DType: safetensors.BF16, Shape: []int{n}, Data: slices.Repeat([]float32{1}, n)}
}

// write makes dir a Hugging Face directory of the shape, with the same weights in model.gguf beside it.
func (s shape) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(s.config)
	if err != nil {
		return err
	}
	// The engine wants a tokenizer, and nothing here is ever text: it gets the least one that is valid.
	tokenizer := `{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}`
	for name, text := range map[string]string{"config.json": string(text), "tokenizer.json": tokenizer} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	tensors := s.config.tensors()
	err = writeFile(filepath.Join(dir, "model.safetensors"), func(w io.Writer) error { return safetensors.Write(w, tensors, nil) })
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "model.gguf"), func(w io.Writer) error { return writeGGUF(w, s.config, tensors) })
}

func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	return write(f)
}

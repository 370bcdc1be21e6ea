package engine

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"loradeck/internal/lora"
)

// config is what a config.json says of the arithmetic, with transformers' defaults filled in.
type config struct {
	architecture string
	dtype        string // "" when the file is silent
	family       string // model_type

	vocab, hidden, inner, layers int
	heads, kvHeads, headDim      int
	context                      int
	epsilon                      float64
	rope                         ropeConfig
	windows                      []int // per layer; 0 sees everything
	tied                         bool
	attentionBias, outputBias    bool // on q, k, v; on o
	mlpBias                      bool
	eos                          []int
}

// families lists what the engine can run, with the defaults transformers gives where a config.json is silent
// (LlamaConfig, MistralConfig and Qwen2Config of transformers 4.57 and 5.23).
var families = map[string]struct {
	architecture string
	kvHeads      int // 0: as many as heads
	context      int
	window       int // 0: none
}{
	"llama":   {"LlamaForCausalLM", 0, 2048, 0},
	"mistral": {"MistralForCausalLM", 8, 131072, 4096},
	"qwen2":   {"Qwen2ForCausalLM", 32, 32768, 4096},
}

// fields reads a config's members; the first that is of the wrong kind is remembered.
type fields struct {
	file string
	raw  map[string]json.RawMessage
	err  error
}

// has reports whether the member is there and not null.
func (f *fields) has(name string) bool {
	raw, ok := f.raw[name]
	return ok && string(raw) != "null"
}

// read decodes a member into target, which keeps its value when the member is absent or null.
func (f *fields) read(name string, target any) {
	if !f.has(name) || f.err != nil {
		return
	}
	if err := json.Unmarshal(f.raw[name], target); err != nil {
		f.err = lora.Wrap(err, lora.Invalid, "%s says %s = %s, which the engine cannot read.", f.file, name, clip(string(f.raw[name])))
	}
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func readFields(path string) (*fields, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lora.Wrap(err, lora.Invalid, "The folder has no %s.", filepath.Base(path))
	}
	if err != nil {
		return nil, err
	}
	f := &fields{file: filepath.Base(path)}
	if err := json.Unmarshal(text, &f.raw); err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "%s is not a JSON object.", f.file)
	}
	return f, nil
}

// readConfig reads config.json, in the style of transformers 4 or 5, and generation_config.json where there is one. What
// the engine would compute differently is refused.
func readConfig(dir string) (*config, error) {
	f, err := readFields(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	c := &config{epsilon: 1e-6}
	f.read("model_type", &c.family)
	family, ok := families[c.family]
	if !ok {
		return nil, lora.Errorf(lora.Invalid, "The engine runs Llama, Mistral and Qwen2 models; config.json says model_type %q.", c.family)
	}
	c.architecture = family.architecture
	if err := checkArchitecture(f, c); err != nil {
		return nil, err
	}
	c.readSizes(f, family.kvHeads, family.context)
	c.readBiases(f)
	c.readDType(f)
	c.eos = readEOS(f)
	if f.err != nil {
		return nil, f.err
	}
	if err := c.checkSizes(); err != nil {
		return nil, err
	}
	if c.rope, err = readRope(f); err != nil {
		return nil, err
	}
	if c.windows, err = readWindows(f, c, family.window); err != nil {
		return nil, err
	}
	return c, c.addGenerationEOS(dir)
}

func checkArchitecture(f *fields, c *config) error {
	var architectures []string
	f.read("architectures", &architectures)
	activation := "silu"
	f.read("hidden_act", &activation)
	switch {
	case f.err != nil:
		return f.err
	case len(architectures) > 0 && !slices.Contains(architectures, c.architecture):
		return lora.Errorf(lora.Invalid, "config.json names the architecture %q; of the %s family the engine runs %s.", architectures[0], c.family, c.architecture)
	case activation != "silu" && activation != "swish":
		return lora.Errorf(lora.Invalid, "config.json asks for hidden_act %q; the engine knows silu.", activation)
	case f.has("quantization_config"):
		return lora.Errorf(lora.Invalid, "The weights are quantized (quantization_config in config.json); the engine needs float32, float16 or bfloat16.")
	}
	return nil
}

func (c *config) readSizes(f *fields, kvHeads, context int) {
	f.read("vocab_size", &c.vocab)
	f.read("hidden_size", &c.hidden)
	f.read("intermediate_size", &c.inner)
	f.read("num_hidden_layers", &c.layers)
	f.read("num_attention_heads", &c.heads)
	c.kvHeads = kvHeads
	if _, there := f.raw["num_key_value_heads"]; there || c.kvHeads == 0 { // null means as many as heads, in every family
		c.kvHeads = c.heads
	}
	f.read("num_key_value_heads", &c.kvHeads)
	if c.heads > 0 {
		c.headDim = c.hidden / c.heads
	}
	f.read("head_dim", &c.headDim)
	c.context = context
	f.read("max_position_embeddings", &c.context)
	f.read("rms_norm_eps", &c.epsilon)
	f.read("tie_word_embeddings", &c.tied)
}

func (c *config) readBiases(f *fields) {
	switch c.family {
	case "qwen2":
		c.attentionBias = true
	case "llama":
		f.read("attention_bias", &c.attentionBias)
		f.read("mlp_bias", &c.mlpBias)
		c.outputBias = c.attentionBias
	}
}

// readDType reads the name of version 5, "dtype", or of version 4, "torch_dtype".
func (c *config) readDType(f *fields) {
	f.read("torch_dtype", &c.dtype)
	f.read("dtype", &c.dtype)
	c.dtype = strings.TrimPrefix(c.dtype, "torch.")
}

func (c *config) checkSizes() error {
	for _, size := range []struct {
		name        string
		value, most int
	}{
		{"vocab_size", c.vocab, 1 << 24},
		{"hidden_size", c.hidden, 1 << 20},
		{"intermediate_size", c.inner, 1 << 22},
		{"num_hidden_layers", c.layers, 1 << 12},
		{"num_attention_heads", c.heads, 1 << 12},
		{"num_key_value_heads", c.kvHeads, 1 << 12},
		{"head_dim", c.headDim, 1 << 16},
		{"max_position_embeddings", c.context, 1 << 30},
	} {
		if size.value <= 0 || size.value > size.most { // the limits keep a hostile file from asking for all memory
			return lora.Errorf(lora.Invalid, "config.json gives no usable %s.", size.name)
		}
	}
	switch {
	case c.heads%c.kvHeads != 0:
		return lora.Errorf(lora.Invalid, "config.json has %d attention heads over %d key-value heads, which does not divide.", c.heads, c.kvHeads)
	case c.headDim%2 != 0:
		return lora.Errorf(lora.Invalid, "config.json gives heads of %d values; rotary positions need an even number.", c.headDim)
	case c.epsilon <= 0 || math.IsNaN(c.epsilon) || math.IsInf(c.epsilon, 0):
		return lora.Errorf(lora.Invalid, "config.json gives no usable rms_norm_eps.")
	}
	return nil
}

// readWindows gives each layer's sliding window, which is of the family's size where the file is silent. Mistral slides in every
// layer; Qwen2 from max_window_layers on, or where layer_types says so.
func readWindows(f *fields, c *config, window int) ([]int, error) {
	windows := make([]int, c.layers)
	if _, there := f.raw["sliding_window"]; there { // null means none
		window = 0
	}
	var types []string
	f.read("sliding_window", &window)
	f.read("layer_types", &types)
	use, first := false, 28 // Qwen2Config's defaults
	f.read("use_sliding_window", &use)
	f.read("max_window_layers", &first)
	switch {
	case f.err != nil:
		return nil, f.err
	case f.has("sliding_window") && window <= 0:
		return nil, lora.Errorf(lora.Invalid, "config.json has a sliding_window of %d.", window)
	case len(types) > 0 && len(types) != c.layers:
		return nil, lora.Errorf(lora.Invalid, "config.json lists %d layer_types for %d layers.", len(types), c.layers)
	}
	if c.family == "qwen2" && !use {
		window = 0
	}
	for i := range windows {
		slides := window > 0 && (c.family != "qwen2" || i >= first)
		if len(types) > 0 {
			if types[i] != "full_attention" && types[i] != "sliding_attention" {
				return nil, lora.Errorf(lora.Invalid, "config.json asks for the layer type %q, which the engine does not know.", types[i])
			}
			asked := types[i] == "sliding_attention"
			if asked && window == 0 || asked != slides && c.family != "qwen2" { // only Qwen2 heeds layer_types
				return nil, mismatchedWindow()
			}
			slides = asked
		}
		if slides && c.family == "llama" { // transformers ignores it there, other engines do not
			return nil, mismatchedWindow()
		}
		if slides {
			windows[i] = window
		}
	}
	return windows, nil
}

func mismatchedWindow() error {
	return lora.Errorf(lora.Invalid, "config.json asks for a sliding window that transformers does not apply to this model; remove sliding_window and layer_types, or set them to match.")
}

// readEOS reads eos_token_id, a number or a list.
func readEOS(f *fields) []int {
	if !f.has("eos_token_id") {
		return nil
	}
	var many []int
	if json.Unmarshal(f.raw["eos_token_id"], &many) == nil {
		return many
	}
	var one int
	f.read("eos_token_id", &one)
	return []int{one}
}

// addGenerationEOS adds the end tokens of generation_config.json, which often are more than config.json's.
func (c *config) addGenerationEOS(dir string) error {
	path := filepath.Join(dir, "generation_config.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return c.checkEOS()
	}
	f, err := readFields(path)
	if err != nil {
		return err
	}
	c.eos = append(c.eos, readEOS(f)...)
	if f.err != nil {
		return f.err
	}
	return c.checkEOS()
}

func (c *config) checkEOS() error {
	slices.Sort(c.eos)
	c.eos = slices.Compact(c.eos)
	for _, id := range c.eos {
		if id < 0 || id >= c.vocab {
			return lora.Errorf(lora.Invalid, "The end token %d is outside the vocabulary of %d.", id, c.vocab)
		}
	}
	return nil
}

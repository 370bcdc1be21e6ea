package container

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"loradeck/internal/lora"
)

// base is what decoding an adapter needs to know of the base: which modules it has and how wide they are.
type base struct {
	architecture string
	context      int // max_position_embeddings
	layers       int
	hidden       int
	intermediate int
	heads        int // of the queries
	queries      int // width of all query heads
	keys         int // width of all key heads
	vocab        int
	template     bool     // it has a chat template
	defaults     sampling // from generation_config.json
}

// readBase reads the base's config.json and generation_config.json. The engine judges the base itself; this only fails
// where the numbers are not there at all.
func readBase(dir string) (base, error) {
	var config struct {
		Architectures []string `json:"architectures"`
		Context       int      `json:"max_position_embeddings"`
		Layers        int      `json:"num_hidden_layers"`
		Hidden        int      `json:"hidden_size"`
		Intermediate  int      `json:"intermediate_size"`
		Heads         int      `json:"num_attention_heads"`
		KeyHeads      int      `json:"num_key_value_heads"`
		HeadDim       int      `json:"head_dim"`
		Vocab         int      `json:"vocab_size"`
	}
	if err := readConfig(filepath.Join(dir, "config.json"), &config); err != nil {
		return base{}, lora.Wrap(err, lora.Invalid, "The model has no readable config.json. Put the Hugging Face files of the base under its S3 prefix.")
	}
	if config.Heads <= 0 || config.Hidden <= 0 || config.Layers <= 0 {
		return base{}, lora.Errorf(lora.Invalid, "The model's config.json names no hidden_size, num_hidden_layers or num_attention_heads: it is not a language model this platform can run.")
	}
	if config.KeyHeads == 0 {
		config.KeyHeads = config.Heads
	}
	if config.HeadDim == 0 {
		config.HeadDim = config.Hidden / config.Heads
	}
	b := base{
		context: config.Context, layers: config.Layers, hidden: config.Hidden, intermediate: config.Intermediate,
		heads: config.Heads, queries: config.Heads * config.HeadDim, keys: config.KeyHeads * config.HeadDim, vocab: config.Vocab,
		defaults: sampling{temperature: 1, topP: 1, repetition: 1},
	}
	if len(config.Architectures) > 0 {
		b.architecture = config.Architectures[0]
	}
	var tokenizer struct {
		Template any `json:"chat_template"`
	}
	_ = readConfig(filepath.Join(dir, "tokenizer_config.json"), &tokenizer) // the engine judges it
	b.template = tokenizer.Template != nil || isFile(filepath.Join(dir, "chat_template.jinja"))
	return b, nil
}

// readDefaults takes the sampling defaults a base brings along, as vLLM does unless told otherwise.
func (b *base) readDefaults(dir string) error {
	var config struct {
		Temperature *float64 `json:"temperature"`
		TopP        *float64 `json:"top_p"`
		TopK        *int     `json:"top_k"`
		MaxTokens   *int     `json:"max_new_tokens"`
		Repetition  *float64 `json:"repetition_penalty"`
		MinP        *float64 `json:"min_p"`
	}
	switch err := readConfig(filepath.Join(dir, "generation_config.json"), &config); {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return fmt.Errorf("generation_config.json: %w", err)
	}
	set(&b.defaults.temperature, config.Temperature)
	set(&b.defaults.topP, config.TopP)
	set(&b.defaults.topK, config.TopK)
	set(&b.defaults.maxTokens, config.MaxTokens)
	set(&b.defaults.repetition, config.Repetition)
	set(&b.defaults.minP, config.MinP)
	return nil
}

// length is vLLM's max_model_len before the engine has a say: what was asked for, 0 being nothing, within what the base allows.
func (b base) length(asked int) (int, error) {
	switch {
	case asked <= 0:
		return b.context, nil
	case b.context > 0 && asked > b.context:
		return 0, lora.Errorf(lora.Invalid, "User-specified max_model_len (%d) is greater than the derived max_model_len (max_position_embeddings=%d or model_max_length=None in model's config.json).", asked, b.context)
	}
	return asked, nil
}

// splits refuses a tensor parallel size that the heads cannot be shared among evenly.
func (b base) splits(shards int) error {
	switch {
	case shards == 0: // later versions have refused it before
		return lora.Errorf(lora.Invalid, "ZeroDivisionError: integer modulo by zero")
	case b.heads%shards != 0:
		return lora.Errorf(lora.Invalid, "1 validation error for VllmConfig: Value error, Total number of attention heads (%d) must be divisible by tensor parallel size (%d).", b.heads, shards)
	}
	return nil
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

func readConfig(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// linear is a module LoRA can sit on. Packed ones live inside a fused projection in vLLM, which then passes over a missing
// half.
type linear struct {
	path            string
	in, out         int
	packed          bool
	roomIn, roomOut int // how much larger than that its slot is
}

// slots lists the modules in the order in which vLLM copies an adapter into its slot: that order decides which of several
// wrong sizes is named. room is how many tokens adapters may add. Bases that take no LoRA on their ends have slots there too;
// what would go into them has been refused by name before.
func (b base) slots(room int) []linear {
	out := []linear{{path: embeddingPath, in: b.vocab, out: b.hidden, roomIn: room}}
	for i := range b.layers {
		attention, mlp := fmt.Sprintf("model.layers.%d.self_attn.", i), fmt.Sprintf("model.layers.%d.mlp.", i)
		out = append(out,
			linear{path: attention + "q_proj", in: b.hidden, out: b.queries, packed: true},
			linear{path: attention + "k_proj", in: b.hidden, out: b.keys, packed: true},
			linear{path: attention + "v_proj", in: b.hidden, out: b.keys, packed: true},
			linear{path: attention + "o_proj", in: b.queries, out: b.hidden},
			linear{path: mlp + "gate_proj", in: b.hidden, out: b.intermediate, packed: true},
			linear{path: mlp + "up_proj", in: b.hidden, out: b.intermediate, packed: true},
			linear{path: mlp + "down_proj", in: b.intermediate, out: b.hidden},
		)
	}
	return append(out, linear{path: headPath, in: b.hidden, out: b.vocab, roomOut: room})
}

// The two ends of a base, as adapters name them.
const (
	embeddingPath = "model.embed_tokens"
	headPath      = "lm_head"
)

// expected are the last parts of module names that vLLM 0.11.2 takes for this base, in the order its message had when it
// was recorded. Qwen2 and Gemma take no LoRA on their embeddings (facts §4.4).
func (b base) expected() []string {
	all := []string{"o_proj", "k_proj", "up_proj", "gate_proj", "down_proj", "v_proj", "lm_head", "q_proj", "embed_tokens"}
	if strings.HasPrefix(b.architecture, "Qwen2") || strings.HasPrefix(b.architecture, "Gemma") {
		return slices.DeleteFunc(all, func(name string) bool { return name == "lm_head" || name == "embed_tokens" })
	}
	return all
}

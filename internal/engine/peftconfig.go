package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"loradeck/internal/lora"
)

// peftConfig is what an adapter_config.json says of the arithmetic.
type peftConfig struct {
	rank    int
	alpha   float64
	rooted  bool // rsLoRA: the scale is alpha over the root of the rank
	ranks   []pattern
	alphas  []pattern
	targets func(module string) bool
}

// pattern overrides a rank or an alpha for the modules it matches.
type pattern struct {
	key     string
	value   json.RawMessage
	matches *regexp.Regexp
}

// harmless lists the keys of peft 0.21's LoraConfig that do not change what a loaded adapter computes, whatever they say.
var harmless = map[string]bool{
	"lora_dropout": true, "inference_mode": true, "base_model_name_or_path": true, "revision": true, "peft_version": true,
	"auto_mapping": true, "qalora_group_size": true, "megatron_core": true, "runtime_config": true, "eva_config": true,
}

// refused gives the sentence for keys whose features are well known and not supported when set.
var refused = map[string]string{
	"use_dora":                "It is a DoRA adapter (use_dora); train it without DoRA.",
	"lora_bias":               "It trains biases of its own (lora_bias); train it without.",
	"modules_to_save":         "It replaces whole modules (modules_to_save); train it without, or merge it into the base.",
	"alora_invocation_tokens": "It is an activated LoRA (alora_invocation_tokens), which begins to work within the text; the engine applies an adapter to all of it.",
	"trainable_token_indices": "It trains embeddings of single tokens (trainable_token_indices); train it without.",
	"use_qalora":              "It is a QALoRA adapter (use_qalora); train it without.",
	"layer_replication":       "It repeats layers of the base (layer_replication); the engine runs the base as it is.",
	"target_parameters":       "It changes parameters outside linear modules (target_parameters); train it on linear modules.",
	"layers_pattern":          "It is limited to some layers (layers_pattern); name the modules in target_modules instead.",
	"exclude_modules":         "It leaves modules out (exclude_modules); name the modules it has in target_modules instead.",
	"fan_in_fan_out":          "Its matrices are for transposed weights (fan_in_fan_out); the bases the engine runs have none.",
}

// readPeftConfig reads adapter_config.json. It takes what peft would compute and refuses the rest by name.
func readPeftConfig(dir string) (*peftConfig, error) {
	text, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lora.Wrap(err, lora.Invalid, "The folder has no adapter_config.json, so it is not a PEFT adapter.")
	}
	if err != nil {
		return nil, err
	}
	return parsePeftConfig(text)
}

func parsePeftConfig(text []byte) (*peftConfig, error) {
	members, err := orderedMembers(text)
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "adapter_config.json cannot be read: %v.", err)
	}
	f := &fields{file: "adapter_config.json", raw: map[string]json.RawMessage{}}
	for _, m := range members {
		f.raw[m.key] = m.value
	}
	if err := refuseFeatures(f); err != nil {
		return nil, err
	}
	c := &peftConfig{}
	for _, name := range []string{"r", "lora_alpha", "target_modules"} {
		if !f.has(name) {
			return nil, lora.Errorf(lora.Invalid, "adapter_config.json does not give %s.", name)
		}
	}
	f.read("r", &c.rank)
	f.read("lora_alpha", &c.alpha)
	f.read("use_rslora", &c.rooted)
	if f.err != nil {
		return nil, f.err
	}
	if c.rank <= 0 {
		return nil, lora.Errorf(lora.Invalid, "adapter_config.json gives the rank r = %d; it must be at least 1.", c.rank)
	}
	if c.ranks, err = readPatterns(f, "rank_pattern"); err != nil {
		return nil, err
	}
	if c.alphas, err = readPatterns(f, "alpha_pattern"); err != nil {
		return nil, err
	}
	c.targets, err = readTargets(f)
	return c, err
}

// refuseFeatures fails on everything set that changes the arithmetic and on what is not known not to.
func refuseFeatures(f *fields) error {
	kind, bias, task := "", "none", "CAUSAL_LM"
	f.read("peft_type", &kind)
	f.read("bias", &bias)
	f.read("task_type", &task)
	switch {
	case f.err != nil:
		return f.err
	case kind != "LORA":
		return lora.Errorf(lora.Invalid, "The adapter is of peft_type %q; the engine applies LORA.", kind)
	case bias != "none":
		return lora.Errorf(lora.Invalid, "The adapter trains the base's biases (bias %q); train it with bias \"none\".", bias)
	case task != "CAUSAL_LM":
		return lora.Errorf(lora.Invalid, "The adapter is for the task %q; the engine generates text (CAUSAL_LM).", task)
	}
	if err := refuseInit(f); err != nil {
		return err
	}
	known := []string{"peft_type", "bias", "task_type", "init_lora_weights", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "layers_to_transform"}
	for _, name := range slices.Sorted(maps.Keys(f.raw)) {
		if harmless[name] || slices.Contains(known, name) || empty(f.raw[name]) {
			continue
		}
		if sentence := refused[name]; sentence != "" {
			return lora.Errorf(lora.Invalid, "The adapter cannot be applied exactly. %s", sentence)
		}
		return lora.Errorf(lora.Invalid, "The adapter cannot be applied exactly: adapter_config.json sets %s, which the engine does not know.", name)
	}
	return nil
}

// refuseInit fails on initialisations that change the base's own weights: the saved matrices then fit that base only.
func refuseInit(f *fields) error {
	var plain bool
	if !f.has("init_lora_weights") || json.Unmarshal(f.raw["init_lora_weights"], &plain) == nil {
		return nil
	}
	var name string
	f.read("init_lora_weights", &name)
	switch strings.ToLower(name) {
	case "gaussian", "orthogonal", "eva":
		return nil
	}
	return lora.Errorf(lora.Invalid, "The adapter was begun with init_lora_weights %q, which also changes the base; convert it to a plain LoRA with peft first.", name)
}

// empty reports whether a JSON value says nothing: null, false, zero, or a text, list or object of nothing but such.
func empty(raw json.RawMessage) bool {
	var v any
	return json.Unmarshal(raw, &v) == nil && emptyValue(v)
}

func emptyValue(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, inner := range v {
			if !emptyValue(inner) {
				return false
			}
		}
		return true
	}
	return false
}

// member is a key of a JSON object and its value.
type member struct {
	key   string
	value json.RawMessage
}

// orderedMembers reads an object's members in file order, which decides between patterns. A key that is there twice is an
// error: readers disagree on which counts.
func orderedMembers(text []byte) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	var members []member
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, errors.New("it is not sound JSON")
		}
		key := token.(string) // the decoder gives keys as strings only
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("it is not sound JSON")
		}
		if seen[key] {
			return nil, fmt.Errorf("the key %q is there twice", key)
		}
		seen[key] = true
		members = append(members, member{key, value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errors.New("it is not sound JSON")
	}
	return members, nil
}

// readPatterns reads rank_pattern or alpha_pattern. A key is a regular expression for the end of a module's path; the first
// in the file that matches counts (get_pattern_key in peft 0.21).
func readPatterns(f *fields, name string) ([]pattern, error) {
	if !f.has(name) {
		return nil, nil
	}
	members, err := orderedMembers(f.raw[name])
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "adapter_config.json has a %s that cannot be read: %v.", name, err)
	}
	var patterns []pattern
	for _, m := range members {
		expression, err := regexp.Compile(`^(.*\.)?(` + m.key + `)$`)
		if err != nil {
			return nil, lora.Wrap(err, lora.Invalid, "adapter_config.json has the %s %q, a regular expression of a kind the engine does not know.", name, m.key)
		}
		patterns = append(patterns, pattern{m.key, m.value, expression})
	}
	return patterns, nil
}

// pick decodes the first pattern's value that matches into target, which else keeps its own.
func pick(patterns []pattern, module string, target any) error {
	for _, p := range patterns {
		if !p.matches.MatchString(module) {
			continue
		}
		if err := json.Unmarshal(p.value, target); err != nil || string(p.value) == "null" {
			return lora.Wrap(err, lora.Invalid, "adapter_config.json gives %s for the pattern %q, which is not a usable number.", clip(string(p.value)), p.key)
		}
		return nil
	}
	return nil
}

// scale gives the rank a module must have and the factor of its product.
func (c *peftConfig) scale(module string) (rank int, scale float32, err error) {
	rank, alpha := c.rank, c.alpha
	if err := errors.Join(pick(c.ranks, module, &rank), pick(c.alphas, module, &alpha)); err != nil {
		return 0, 0, err
	}
	if rank <= 0 {
		return 0, 0, lora.Errorf(lora.Invalid, "adapter_config.json gives %s the rank %d; it must be at least 1.", module, rank)
	}
	if c.rooted {
		return rank, float32(alpha / math.Sqrt(float64(rank))), nil
	}
	return rank, float32(alpha / float64(rank)), nil
}

// readTargets reads target_modules: a list of names that end a path, perhaps in some layers only, or one regular expression
// for the whole of it, or "all-linear".
func readTargets(f *fields) (func(module string) bool, error) {
	layers, limited, err := readLayers(f)
	if err != nil {
		return nil, err
	}
	var names []string
	if json.Unmarshal(f.raw["target_modules"], &names) == nil {
		return func(module string) bool {
			ends := func(name string) bool { return strings.HasSuffix(module, "."+name) }
			return slices.Contains(names, module) || slices.ContainsFunc(names, ends) && (!limited || slices.Contains(layers, layerOf(module)))
		}, nil
	}
	var expression string
	f.read("target_modules", &expression)
	if f.err != nil {
		return nil, f.err
	}
	if limited {
		return nil, lora.Errorf(lora.Invalid, "adapter_config.json has layers_to_transform beside a target_modules that is one text; peft takes them with a list only.")
	}
	if strings.EqualFold(expression, "all-linear") {
		return func(module string) bool { return module != "lm_head" && module != "model.embed_tokens" }, nil
	}
	whole, err := regexp.Compile(`^(?:` + expression + `)$`)
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "adapter_config.json has the target_modules %q, a regular expression of a kind the engine does not know.", clip(expression))
	}
	return whole.MatchString, nil
}

// readLayers reads layers_to_transform, a number or a list; an empty list limits nothing.
func readLayers(f *fields) (layers []string, limited bool, err error) {
	if !f.has("layers_to_transform") {
		return nil, false, nil
	}
	var one int
	var many []int
	if json.Unmarshal(f.raw["layers_to_transform"], &one) == nil {
		many = []int{one}
	} else {
		f.read("layers_to_transform", &many)
	}
	for _, layer := range many {
		layers = append(layers, strconv.Itoa(layer))
	}
	return layers, len(layers) > 0, f.err
}

// layerOf gives the layer's number in "model.layers.N.…", or "".
func layerOf(module string) string {
	rest, _ := strings.CutPrefix(module, "model.layers.")
	number, _, found := strings.Cut(rest, ".")
	if !found {
		return ""
	}
	return number
}

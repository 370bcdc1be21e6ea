package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"loradeck/internal/engine"
	"loradeck/internal/lora"
	"loradeck/internal/safetensors"
)

// edit changes members of a JSON object; a value of nil removes one.
func edit(t *testing.T, path string, change map[string]any) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	maps.Copy(members, change)
	for key, value := range change {
		if value == nil {
			delete(members, key)
		}
	}
	edited, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(edited)
}

type object = map[string]any

func TestABaseThatWouldBeComputedWronglyIsRefusedByName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		base   string
		change object
		says   string
	}{
		{"llama", object{"model_type": "gemma3"}, `"gemma3"`},
		{"llama", object{"model_type": nil}, "model_type"},
		{"llama", object{"architectures": []string{"LlamaForSequenceClassification"}}, "LlamaForSequenceClassification"},
		{"llama", object{"hidden_act": "gelu"}, `"gelu"`},
		{"llama", object{"quantization_config": object{"quant_method": "gptq"}}, "quantized"},
		{"llama", object{"attention_bias": true}, "q_proj.bias"},
		{"llama", object{"mlp_bias": true}, "gate_proj.bias"},
		{"llama", object{"partial_rotary_factor": 0.5}, "partial_rotary_factor"},
		{"llama", object{"rope_scaling": object{"rope_type": "yarn", "factor": 2}}, `"yarn"`},
		{"llama", object{"rope_scaling": object{"type": "dynamic", "factor": 2}}, `"dynamic"`},
		{"llama", object{"rope_scaling": object{"rope_type": "llama3", "factor": 2}}, "low_freq_factor"},
		{"llama", object{"rope_scaling": object{"rope_type": "linear"}}, "factor"},
		{"llama", object{"rope_parameters": object{"rope_theta": 5.0}}, "both rope_scaling and rope_parameters"},
		{"llama", object{"sliding_window": 100}, "sliding"},
		{"llama", object{"num_attention_heads": 3}, "3 attention heads over 2"},
		{"llama", object{"num_hidden_layers": 1}, "does not use, the first is model.layers.1."},
		{"llama", object{"num_hidden_layers": 3}, "model.layers.2.self_attn.q_proj.weight"},
		{"llama", object{"num_hidden_layers": 1 << 40}, "num_hidden_layers"},
		{"llama", object{"head_dim": 8}, "q_proj.weight has the shape"},
		{"llama", object{"head_dim": 15}, "15 values"},
		{"llama", object{"hidden_size": "64"}, "hidden_size"},
		{"llama", object{"hidden_size": nil}, "hidden_size"},
		{"llama", object{"vocab_size": 520}, "embed_tokens"},
		{"llama", object{"rms_norm_eps": 0}, "rms_norm_eps"},
		{"llama", object{"eos_token_id": 600}, "end token 600"},
		{"llama", object{"tie_word_embeddings": false}, "lm_head.weight"},
		{"mistral", object{"rope_parameters": object{"full_attention": object{"rope_theta": 1.0}}}, "per layer type"},
		{"mistral", object{"sliding_window": 9, "layer_types": []string{"sliding_attention", "full_attention"}}, "sliding"},
		{"mistral", object{"sliding_window": -1}, "sliding_window of -1"},
		{"qwen2", object{"layer_types": []string{"full_attention"}}, "1 layer_types for 2 layers"},
		{"qwen2", object{"layer_types": []string{"linear_attention", "full_attention"}}, `"linear_attention"`},
		{"qwen2", object{"layer_types": []string{"sliding_attention", "full_attention"}}, "sliding"},
	}
	for _, test := range tests {
		dir := copyOf(t, test.base, map[string]string{"config.json": edit(t, filepath.Join("testdata", test.base, "config.json"), test.change)})
		e, err := engine.Open(dir, engine.Options{Threads: 1})
		if err == nil {
			e.Close()
		}
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), test.says) {
			t.Errorf("%s %v: got %q, want it to say %q", test.base, test.change, lora.Message(err), test.says)
		}
	}
}

func TestSilentConfigsMeanWhatTransformersTakesThemToMean(t *testing.T) {
	t.Parallel()
	open := func(base string, change object) engine.Info {
		t.Helper()
		dir := copyOf(t, base, map[string]string{"config.json": edit(t, filepath.Join("testdata", base, "config.json"), change)})
		e, err := engine.Open(dir, engine.Options{Threads: 1})
		if err != nil {
			t.Fatalf("%s %v: %v", base, change, err)
		}
		defer e.Close()
		return e.Info()
	}
	if got := open("llama", object{"max_position_embeddings": nil, "torch_dtype": nil, "eos_token_id": nil}); got.Context != 2048 || got.DType != "float32" || !slices.Equal(got.EOS, []int{508, 511}) {
		t.Errorf("got %+v", got)
	}
	if got := open("qwen2", object{"torch_dtype": nil, "dtype": "torch.bfloat16"}); got.DType != "bfloat16" || got.Params != 96*64*3*2+448*64+(64*64*2+32*64*2+64+32+32+128)*2+64 {
		t.Errorf("got %+v", got)
	}
}

func TestMissingAndDamagedFilesAreNamed(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"config.json": "config.json", "tokenizer.json": "tokenizer.json", "model.safetensors": "model.safetensors"} {
		dir := copyOf(t, "llama", nil)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Open(dir, engine.Options{Threads: 1}); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), says) {
			t.Errorf("without %s: got %q", name, lora.Message(err))
		}
		dir = copyOf(t, "llama", map[string]string{name: `{"`})
		if _, err := engine.Open(dir, engine.Options{Threads: 1}); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), says) {
			t.Errorf("with a damaged %s: got %q", name, lora.Message(err))
		}
	}
	for text, says := range map[string]string{
		`{"weight_map":{}}`:                         "weight_map",
		`{"weight_map":{"a":"../x.safetensors"}}`:   "outside the folder",
		`{"weight_map":{"a":"gone.safetensors"}}`:   "gone.safetensors",
		`{"weight_map":{"a":"shard.safetensors"}}`:  "says a is in shard.safetensors",
		`{"weight_map":{"a":".."}}`:                 "outside the folder",
		`{"weight_map":{"a":"/etc/x.safetensors"}}`: "outside the folder",
	} {
		dir := copyOf(t, "llama", nil)
		if err := os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "shard.safetensors")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Open(dir, engine.Options{Threads: 1}); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), says) {
			t.Errorf("index %s: got %q", text, lora.Message(err))
		}
	}
}

func TestAnEndlessFileIsRefused(t *testing.T) {
	t.Parallel()
	endless := func(dir, name string) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.RemoveAll(path), os.Symlink("/dev/zero", path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} {
		dir := copyOf(t, "llama", nil)
		endless(dir, name)
		if _, err := engine.Open(dir, engine.Options{Threads: 1}); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), name) {
			t.Errorf("%s: got %q", name, lora.Message(err))
		}
	}
	e, dir := openTest(t, copyOf(t, "llama", nil), engine.Options{Threads: 1}), t.TempDir()
	endless(dir, "adapter_config.json")
	if err := e.LoadAdapter(t.Context(), "x", dir); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "adapter_config.json") {
		t.Errorf("adapter_config.json: got %q", lora.Message(err))
	}
}

// adapterOf copies a golden adapter with its config and its tensors changed.
func adapterOf(t *testing.T, source string, config string, change func([]safetensors.Values) []safetensors.Values) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.OpenFile(filepath.Join(source, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []safetensors.Values
	for _, tensor := range f.Header.Tensors {
		data, err := f.Float32s(tensor.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, safetensors.Values{Name: tensor.Name, DType: tensor.DType, Shape: tensor.Shape, Data: data})
	}
	if change != nil {
		tensors = change(tensors)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAnAdapterThatPeftWouldApplyOtherwiseIsRefusedByName(t *testing.T) {
	t.Parallel()
	e := openTest(t, copyOf(t, "llama", nil), engine.Options{Threads: 1})
	source := "testdata/llama/adapters/qv-r4"
	rename := func(from, to string) func([]safetensors.Values) []safetensors.Values {
		return func(v []safetensors.Values) []safetensors.Values {
			for i := range v {
				v[i].Name = strings.Replace(v[i].Name, from, to, 1)
			}
			return v
		}
	}
	tests := []struct {
		change  object
		tensors func([]safetensors.Values) []safetensors.Values
		says    string
	}{
		{object{"r": nil}, nil, "does not give r"},
		{object{"lora_alpha": nil}, nil, "does not give lora_alpha"},
		{object{"target_modules": nil}, nil, "does not give target_modules"},
		{object{"peft_type": nil}, nil, "peft_type"},
		{object{"r": 0}, nil, "r = 0"},
		{object{"r": -4}, nil, "r = -4"},
		{object{"r": true}, nil, "r = true"},
		{object{"r": 8}, nil, "are of rank 4"},
		{object{"lora_alpha": "8"}, nil, "lora_alpha"},
		{object{"bias": "all"}, nil, `bias "all"`},
		{object{"task_type": "SEQ_CLS"}, nil, "SEQ_CLS"},
		{object{"use_dora": true}, nil, "use_dora"},
		{object{"fan_in_fan_out": true}, nil, "fan_in_fan_out"},
		{object{"init_lora_weights": "pissa"}, nil, "pissa"},
		{object{"layers_pattern": "layers"}, nil, "layers_pattern"},
		{object{"exclude_modules": []string{"v_proj"}}, nil, "exclude_modules"},
		{object{"layer_replication": [][]int{{0, 2}}}, nil, "layer_replication"},
		{object{"target_parameters": []string{"x"}}, nil, "target_parameters"},
		{object{"use_qalora": true}, nil, "use_qalora"},
		{object{"brand_new_feature": "on"}, nil, "brand_new_feature"},
		{object{"rank_pattern": object{"(?=x)q_proj": 8}}, nil, "regular expression"},
		{object{"rank_pattern": object{"q_proj": 8}}, nil, "says 8"},
		{object{"rank_pattern": object{"q_proj": 0}}, nil, "the rank 0"},
		{object{"rank_pattern": object{"q_proj": "4"}}, nil, "usable number"},
		{object{"alpha_pattern": object{"q_proj": nil}}, nil, "usable number"},
		{object{"alpha_pattern": []int{1}}, nil, "alpha_pattern"},
		{object{"target_modules": []string{"q_proj"}}, nil, "v_proj, which its target_modules do not name"},
		{object{"target_modules": []string{"q_proj", "v_proj", "up_proj"}}, nil, "holds no matrices"},
		{object{"target_modules": "all-linear"}, nil, "holds no matrices"},
		{object{"target_modules": []string{"q_proj", "v_proj", "lm_head"}}, nil, "lm_head"},
		{object{"target_modules": "(?!x)q"}, nil, "regular expression"},
		{object{"layers_to_transform": []int{0}}, nil, "layers.1."},
		{object{"layers_to_transform": []int{0}, "target_modules": ".*_proj"}, nil, "layers_to_transform"},
		{object{"layers_to_transform": "0"}, nil, "layers_to_transform"},
		{nil, rename("base_model.model.", ""), "not lora_A or lora_B"},
		{nil, rename("lora_A.weight", "lora_A.default.weight"), "not lora_A or lora_B"},
		{nil, rename("model.layers.1.", "model.layers.7."), "model.layers.7."},
		{nil, rename("q_proj", "c_attn"), "c_attn"},
		{nil, func([]safetensors.Values) []safetensors.Values { return nil }, "no tensors"},
		{nil, func(v []safetensors.Values) []safetensors.Values { return v[1:] }, "only one of"},
		{nil, func(v []safetensors.Values) []safetensors.Values {
			slices.Reverse(v[0].Shape)
			return v
		}, "made for another base"},
		{nil, func(v []safetensors.Values) []safetensors.Values {
			v[0].Shape = append([]int{1}, v[0].Shape...)
			return v
		}, "made for another base"},
	}
	for _, test := range tests {
		config := edit(t, filepath.Join(source, "adapter_config.json"), test.change)
		err := e.LoadAdapter(t.Context(), "x", adapterOf(t, source, config, test.tensors))
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), test.says) {
			t.Errorf("%v: got %q, want it to say %q", test.change, lora.Message(err), test.says)
		}
	}
	if got := e.Adapters(); len(got) > 0 {
		t.Errorf("loaded %v", got)
	}
}

func TestWhatDoesNotChangeTheArithmeticIsTaken(t *testing.T) {
	t.Parallel()
	e := openTest(t, copyOf(t, "llama", nil), engine.Options{Threads: 1})
	source := "testdata/llama/adapters/qv-r4"
	plain := func(name string) []int {
		return mustGenerate(t, e, engine.Request{Adapter: name, Tokens: []int{1, 2, 3}, MaxTokens: 20, IgnoreEOS: true}).IDs
	}
	if err := e.LoadAdapter(t.Context(), "plain", source); err != nil {
		t.Fatal(err)
	}
	want := plain("plain")
	for name, change := range map[string]object{
		"trained with dropout":       {"lora_dropout": 0.1, "inference_mode": false},
		"an old config":              {"use_dora": nil, "lora_bias": nil, "layer_replication": nil, "modules_to_save": []string{}, "loftq_config": object{}},
		"an unknown key set to none": {"future_config": object{"a": nil, "b": false}},
		"a gaussian beginning":       {"init_lora_weights": "gaussian"},
		"all layers by number":       {"layers_to_transform": []int{0, 1}},
		"whole paths":                {"target_modules": []string{"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "self_attn.v_proj"}},
		"an expression":              {"target_modules": `.*\.(q|v)_proj`},
		"patterns that say the same": {"rank_pattern": object{"self_attn.[qv]_proj": 4}, "alpha_pattern": object{"no_such": 100}},
	} {
		if err := e.LoadAdapter(t.Context(), name, adapterOf(t, source, edit(t, filepath.Join(source, "adapter_config.json"), change), nil)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := plain(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestDeltasThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	e := openTest(t, copyOf(t, "llama", nil), engine.Options{Threads: 1, MaxLoraRank: 4})
	matrix := func(rows, cols int) engine.Matrix {
		return engine.Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
	}
	const module = "model.layers.0.self_attn.k_proj" // 64 in, 32 out
	good := engine.Delta{Module: module, A: matrix(2, 64), B: matrix(32, 2), Scale: 1}
	for name, deltas := range map[string][]engine.Delta{
		"none":                 nil,
		"an unknown module":    {{Module: "model.norm", A: good.A, B: good.B}},
		"a head too low":       {{Module: "lm_head", A: good.A, B: good.B}},
		"an embedding too low": {{Module: "model.embed_tokens", A: good.A, B: matrix(64, 2)}},
		"a module twice":       {good, good},
		"a wrong input":        {{Module: module, A: matrix(2, 63), B: good.B}},
		"a wrong output":       {{Module: module, A: good.A, B: matrix(33, 2)}},
		"ranks that differ":    {{Module: module, A: good.A, B: matrix(32, 3)}},
		"a rank over the most": {{Module: module, A: matrix(5, 64), B: matrix(32, 5)}},
		"values missing":       {{Module: module, A: engine.Matrix{Rows: 2, Cols: 64}, B: good.B}},
		"no rank":              {{Module: module, A: matrix(0, 64), B: matrix(32, 0)}},
	} {
		if err := e.AddAdapter("x", deltas); lora.KindOf(err) != lora.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := e.AddAdapter("x", []engine.Delta{good}); err != nil {
		t.Error(err)
	}
}

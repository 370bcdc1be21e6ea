package check_test

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/check"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/internal/safetensors"
)

const hidden, inner, kv = 8, 16, 4

// base is a small Llama that takes adapters up to rank 8.
func base() check.Base {
	config, err := check.ParseModelConfig([]byte(`{"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":64}`))
	if err != nil {
		panic(err)
	}
	return check.Base{Name: "base", Config: config, Settings: lora.Settings{Enabled: true, MaxRank: 8, MaxLoras: 1, RuntimeUpdate: true}}
}

// halves are the tensors of one module.
func halves(module string, rank, in, out int) []safetensors.Values {
	name := "base_model.model." + module
	return []safetensors.Values{
		{Name: name + ".lora_A.weight", DType: safetensors.F32, Shape: []int{rank, in}, Data: make([]float32, rank*in)},
		{Name: name + ".lora_B.weight", DType: safetensors.F32, Shape: []int{out, rank}, Data: make([]float32, out*rank)},
	}
}

func good() []safetensors.Values {
	return append(halves("model.layers.0.self_attn.v_proj", 4, hidden, kv), halves("model.layers.1.mlp.down_proj", 4, inner, hidden)...)
}

const config = `"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["v_proj","down_proj"],"bias":"none"`

func files(t *testing.T, config string, tensors []safetensors.Values) fstest.MapFS {
	t.Helper()
	var out bytes.Buffer
	if err := safetensors.Write(&out, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"adapter_config.json": {Data: []byte("{" + config + "}")}, "adapter_model.safetensors": {Data: out.Bytes()}}
}

func run(t *testing.T, f fstest.MapFS, on check.Base) check.Report {
	t.Helper()
	a, err := peft.Inspect(f)
	if err != nil {
		t.Fatal(err)
	}
	return check.Run(a, on)
}

func TestAGoodAdapterPassesEveryRule(t *testing.T) {
	t.Parallel()
	report := run(t, files(t, config, good()), base())
	passed, warned, blocked := report.Counts()
	if warned != 0 || blocked != 0 || passed < 10 || report.Blocks() {
		t.Errorf("%d passed, %d warned, %d blocked: %+v", passed, warned, blocked, report.Findings)
	}
}

// Each rule has the fixture that breaks it and nothing before it.
func TestEachRuleFindsItsFault(t *testing.T) {
	t.Parallel()
	with := func(more string) func(*testing.T) fstest.MapFS {
		return func(t *testing.T) fstest.MapFS { return files(t, config+","+more, good()) }
	}
	tensors := func(list ...safetensors.Values) func(*testing.T) fstest.MapFS {
		return func(t *testing.T) fstest.MapFS { return files(t, config, list) }
	}
	edit := func(change func(fstest.MapFS)) func(*testing.T) fstest.MapFS {
		return func(t *testing.T) fstest.MapFS { f := files(t, config, good()); change(f); return f }
	}
	plain := edit(func(fstest.MapFS) {})
	tests := []struct {
		fault string
		rule  string
		level check.Level
		says  string
		files func(*testing.T) fstest.MapFS
		on    func(*check.Base)
	}{
		{"LoRA is off", "lora-enabled", check.Block, "SM_VLLM_ENABLE_LORA", plain, func(b *check.Base) { b.Settings.Enabled = false }},
		{"no updates at run time", "runtime-updates", check.Block, "VLLM_ALLOW_RUNTIME_LORA_UPDATING", plain, func(b *check.Base) { b.Settings.RuntimeUpdate = false }},
		{"settings not read", "lora-enabled", check.Warn, "its model is gone", plain, func(b *check.Base) {
			b.Settings, b.SettingsTrouble = lora.Settings{}, "its model is gone."
		}},
		{"a limit that vLLM refuses", "rank", check.Warn, `SM_VLLM_MAX_LORA_RANK is "33"`, plain, func(b *check.Base) {
			b.Settings = lora.SettingsFrom(map[string]string{lora.EnvEnableLora: "true", lora.EnvRuntimeUpdate: "true", lora.EnvMaxLoraRank: "33"})
		}},
		{"a rank that no limit equals", "rank", check.Block, "SM_VLLM_MAX_LORA_RANK=8 or more", plain, func(b *check.Base) { b.Settings.MaxRank = 1 }},
		{"nested", "files", check.Block, "sub/adapter_config.json", edit(func(f fstest.MapFS) {
			f["sub/adapter_config.json"], f["sub/adapter_model.safetensors"] = f["adapter_config.json"], f["adapter_model.safetensors"]
			delete(f, "adapter_config.json")
			delete(f, "adapter_model.safetensors")
		}), nil},
		{"a pickle", "files", check.Block, "safe_serialization", edit(func(f fstest.MapFS) {
			f["adapter_model.bin"] = f["adapter_model.safetensors"]
			delete(f, "adapter_model.safetensors")
		}), nil},
		{"no config", "files", check.Block, "adapter_config.json", edit(func(f fstest.MapFS) { delete(f, "adapter_config.json") }), nil},
		{"broken config", "config", check.Block, "cannot be read", edit(func(f fstest.MapFS) { f["adapter_config.json"].Data = []byte("{") }), nil},
		{"a key is missing", "config-keys", check.Block, "lora_alpha", edit(func(f fstest.MapFS) {
			f["adapter_config.json"].Data = []byte(`{"peft_type":"LORA","r":4,"target_modules":[]}`)
		}), nil},
		{"not LoRA", "config-keys", check.Block, "IA3", with(`"peft_type":"IA3"`), nil},
		{"rank 0", "config-keys", check.Block, "rank", with(`"r":0`), nil},
		{"half a rank", "config-keys", check.Block, "rank", with(`"r":4.5`), nil},
		{"alpha 0", "config-keys", check.Block, "change nothing", with(`"lora_alpha":0`), nil},
		{"DoRA", "plain-lora", check.Block, "use_dora", with(`"use_dora":true`), nil},
		{"saved modules", "plain-lora", check.Block, "lm_head", with(`"modules_to_save":["lm_head"]`), nil},
		{"bias", "plain-lora", check.Block, "bias", with(`"bias":"all"`), nil},
		{"null bias", "plain-lora", check.Block, "bias null", with(`"bias":null`), nil},
		{"no kind", "config-keys", check.Warn, "peft_type", edit(func(f fstest.MapFS) {
			f["adapter_config.json"].Data = []byte(`{"r":4,"lora_alpha":8,"target_modules":[]}`)
		}), nil},
		{"what new versions refuse", "features", check.Block, "use_qalora", with(`"use_qalora":true,"layer_replication":[[0, 2]]`), nil},
		{"weights of a changed base", "features", check.Block, "pissa", with(`"init_lora_weights":"pissa"`), nil},
		{"what is dropped", "features", check.Warn, "fan_in_fan_out", with(`"fan_in_fan_out":true,"target_parameters":[ ],"lora_bias":null`), nil},
		{"alpha pattern", "patterns", check.Warn, "0.11.2", with(`"alpha_pattern":{"v_proj":4}`), nil},
		{"cut weights", "weights", check.Block, "damaged", edit(func(f fstest.MapFS) {
			f["adapter_model.safetensors"].Data = f["adapter_model.safetensors"].Data[:400]
		}), nil},
		{"no tensors", "weights", check.Block, "no tensors", tensors(), nil},
		{"a whole module", "tensor-names", check.Block, "lm_head.weight", tensors(append(good(), safetensors.Values{Name: "base_model.model.lm_head.weight", DType: safetensors.F32, Shape: []int{1}, Data: []float32{1}})...), nil},
		{"one half", "pairs", check.Block, "has only A", tensors(good()[:3]...), nil},
		{"rank too high", "rank", check.Block, "SM_VLLM_MAX_LORA_RANK=16", func(t *testing.T) fstest.MapFS {
			return files(t, strings.Replace(config, `"r":4`, `"r":16`, 1), halves("model.layers.0.self_attn.v_proj", 16, hidden, kv))
		}, nil},
		{"one module's rank too high", "rank", check.Block, "Rank 12", with(`"rank_pattern":{"v_proj":12}`), nil},
		{"config of the base unreadable", "base-config", check.Warn, "denied", plain, func(b *check.Base) { b.Config, b.ConfigTrouble = nil, "denied" }},
		{"unknown family", "base-config", check.Warn, "gpt_oss", plain, func(b *check.Base) { b.Config.ModelType = "gpt_oss" }},
		{"no inner model", "modules", check.Block, "ignored", tensors(halves("layers.0.self_attn.v_proj", 4, hidden, kv)...), nil},
		{"LoRA on the head", "embeddings", check.Warn, "local platform", tensors(append(good(), halves("lm_head", 4, hidden, 32)...)...), func(b *check.Base) { b.Config.Vocab = 32 }},
		{"another vocabulary", "embeddings", check.Block, "vocabulary 30", tensors(append(good(), halves("lm_head", 4, hidden, 32)...)...), func(b *check.Base) { b.Config.Vocab = 30 }},
		{"a family without LoRA on the head", "embeddings", check.Block, "lm_head", tensors(append(good(), halves("lm_head", 4, hidden, 32)...)...), func(b *check.Base) { b.Config.ModelType = "qwen2" }},
		{"unknown module", "modules", check.Block, "c_attn", tensors(halves("model.layers.0.attn.c_attn", 4, hidden, hidden)...), nil},
		{"a layer the base lacks", "modules", check.Block, "layers.7", tensors(halves("model.layers.7.self_attn.v_proj", 4, hidden, kv)...), nil},
		{"a wrong prefix", "modules", check.Block, "ignored", tensors(halves("language_model.model.layers.0.self_attn.v_proj", 4, hidden, kv)...), nil},
		{"another base's width", "shapes", check.Block, "12 wide", tensors(halves("model.layers.0.self_attn.v_proj", 4, 12, kv)...), nil},
		{"rank of other weights", "shapes", check.Block, "rank 2", tensors(halves("model.layers.0.self_attn.v_proj", 2, hidden, kv)...), nil},
	}
	for _, test := range tests {
		on := base()
		if test.on != nil {
			test.on(&on)
		}
		report := run(t, test.files(t), on)
		found := false
		for _, f := range report.Findings {
			if f.Level == check.Pass {
				continue
			}
			text := f.Title + " " + f.Detail + " " + f.Next
			if f.Rule == test.rule && f.Level == test.level && strings.Contains(text, test.says) && f.Next != "" {
				found = true
			} else if f.Rule == test.rule {
				t.Errorf("%s: rule %s says %s: %s", test.fault, f.Rule, f.Level, text)
			}
		}
		if !found {
			t.Errorf("%s: rule %s did not find it: %+v", test.fault, test.rule, report.Findings)
		}
		if report.Blocks() != (test.level == check.Block) {
			t.Errorf("%s: blocks is %t", test.fault, report.Blocks())
		}
	}
}

func TestTheRefusalNamesEveryBlockAndWhatToDo(t *testing.T) {
	t.Parallel()
	report := check.Report{Findings: []check.Finding{
		{Level: check.Pass, Title: "fine"}, {Level: check.Block, Title: "Too high", Detail: "It is 9.", Next: "Lower it."}, {Level: check.Block, Title: "Damaged", Next: "Copy it."},
	}}
	if got, want := report.Refusal(), "Too high. It is 9. Lower it. Damaged. Copy it."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAModelConfigSaysWhatAbsenceMeans(t *testing.T) {
	t.Parallel()
	c, err := check.ParseModelConfig([]byte(`{"hidden_size":64,"num_attention_heads":4,"num_hidden_layers":1}`))
	if err != nil || c.KVHeads != 4 || c.HeadDim != 16 {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, bad := range []string{"", "[]", "{}", `{"hidden_size":-1,"num_attention_heads":1,"num_hidden_layers":1}`} {
		if _, err := check.ParseModelConfig([]byte(bad)); lora.KindOf(err) != lora.Invalid {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// arriving is a folder of which some files are not here yet.
type arriving struct {
	fstest.MapFS
	late string
}

func (a arriving) Open(name string) (fs.File, error) {
	if name == a.late {
		return nil, &fs.PathError{Op: "open", Path: name, Err: peft.ErrNotYet}
	}
	return a.MapFS.Open(name)
}

func TestRulesThatNeedWhatIsOnItsWayWaitAndTheOthersJudge(t *testing.T) {
	t.Parallel()
	whole := files(t, config, good())
	for late, waits := range map[string][]string{
		"adapter_model.safetensors": {"weights", "tensor-names", "tensor-types", "pairs", "modules", "embeddings", "shapes"},
		"adapter_config.json":       {"config", "config-keys", "plain-lora", "features", "patterns", "rank", "shapes"},
	} {
		a, err := peft.Inspect(arriving{whole, late})
		if err != nil {
			t.Fatal(err)
		}
		var waiting []string
		report := check.Run(a, base())
		for _, f := range report.Findings {
			switch f.Level {
			case check.Wait:
				waiting = append(waiting, f.Rule)
			case check.Block:
				t.Errorf("without %s, %s blocks: %s", late, f.Rule, f.Title)
			}
		}
		if diff := cmp.Diff(waits, waiting); diff != "" || report.Waiting() != len(waits) {
			t.Errorf("without %s these wait (-want +got):\n%s", late, diff)
		}
	}
}

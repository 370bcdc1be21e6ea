package container

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

func appendBF16(out []byte, f float32) []byte {
	return binary.LittleEndian.AppendUint16(out, uint16(math.Float32bits(bfloat16(f))>>16))
}

// menu makes every adapter of the recorder's menu out of the config and tensors of "good"; ends are the adapters that have
// LoRA on the base's two ends as well, and what they have there.
func menu(good *object, weights tensors, ends map[string]tensors) map[string]dish {
	out := map[string]dish{}
	// set copies the config with changes: a nil value is null, dropped leaves the key out.
	set := func(pairs ...any) *object {
		config := &object{}
		for _, key := range good.keys {
			config.set(key, good.values[key])
		}
		for i := 0; i < len(pairs); i += 2 {
			config.set(pairs[i].(string), pairs[i+1])
		}
		return config
	}
	drop := func(keys ...string) *object {
		config := &object{}
		for _, key := range good.keys {
			if !strings.Contains(" "+strings.Join(keys, " ")+" ", " "+key+" ") {
				config.set(key, good.values[key])
			}
		}
		return config
	}
	text := func(s string) *string { return &s }
	config := func(name string, pairs ...any) { out[name] = dish{config: set(pairs...), tensors: weights} }
	tensor := func(name string, ts tensors) { out[name] = dish{config: set(), tensors: ts} }

	menuGood(out, set, config, tensor, weights)
	menuConfigs(out, set, drop, text, config, weights)
	menuFiles(out, set, weights)
	menuKeys(out, set, text, tensor, weights, ends)
	menuSizes(out, set, tensor, weights)
	menuSilent(out, drop, config, tensor, weights)
	return out
}

type (
	setter    = func(pairs ...any) *object
	configure = func(name string, pairs ...any)
	weigh     = func(name string, ts tensors)
)

func menuGood(out map[string]dish, set setter, config configure, tensor weigh, weights tensors) {
	config("ok_good")
	tensor("ok_qv_only", weights.only(".q_proj.", ".v_proj."))
	tensor("ok_q_only_packed", weights.only(".q_proj.", ".gate_proj."))
	tensor("ok_zero_b", weights.each("BF16", true, func(b []byte, _ float32) []byte { return append(b, 0, 0) }))
	tensor("ok_no_prefix", weights.renamed("base_model.model.", ""))
	config("ok_target_regex", "target_modules", ".*_proj")
	config("ok_target_all_linear", "target_modules", "all-linear")
	minimal := `{"r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}`
	out["ok_minimal_cfg"] = dish{raw: &minimal, tensors: weights}
	out["ok_rank16"] = dish{config: set("r", 16, "lora_alpha", 32), tensors: weights.ranked(16)}
	out["ok_rank3"] = dish{config: set("r", 3, "lora_alpha", 6), tensors: weights.ranked(3)}
	config("ok_rslora", "use_rslora", true, "lora_alpha", 5.656854249492381)
	out["ok_readme_and_optimizer"] = dish{config: set(), tensors: weights, extra: map[string]string{"README.md": "x", "training_args.bin": "x", "optimizer.pt": "x"}}
}

func menuConfigs(out map[string]dish, set setter, drop func(...string) *object, text func(string) *string, config configure, weights tensors) {
	raw := func(name, body string) { out[name] = dish{raw: text(body), tensors: weights} }
	out["a1_no_config"] = dish{bare: true, tensors: weights}
	out["a1_nested"] = dish{config: set(), tensors: weights, folder: "my-adapter"}
	out["a1_nested_and_macosx"] = dish{config: set(), nothing: true, extra: map[string]string{"x/adapter_model.safetensors": string(encodeTensors(weights))}}
	raw("a2_bad_json", `{"r": 8, "lora_alpha": 16, "target_mod`)
	raw("a2_array", "[1, 2]")
	raw("a2_empty_file", "")
	raw("a2_bom", "\ufeff"+string(compact(set())))
	raw("a2_nan_in_json", strings.Replace(string(compact(set())), `"lora_alpha":16`, `"lora_alpha":NaN`, 1))
	for _, key := range []string{"r", "lora_alpha", "target_modules"} {
		out["a3_no_"+key] = dish{config: drop(key), tensors: weights}
	}
	out["a3_no_two"] = dish{config: drop("r", "lora_alpha"), tensors: weights}
	config("a3_null_target", "target_modules", nil)
	config("a3_empty_target", "target_modules", []any{})
	for name, value := range map[string]any{"0": 0, "neg": -8, "null": nil, "string": "8", "true": true, "smaller_than_tensors": 4, "larger_than_tensors": 16} {
		config("a4_r_"+name, "r", value)
	}
	raw("a4_r_float", strings.Replace(string(compact(set())), `"r":8,`, `"r":8.0,`, 1))
	for name, value := range map[string]any{"null": nil, "string": "16", "zero": 0, "neg": -16} {
		config("a5_alpha_"+name, "lora_alpha", value)
	}
	out["a6_rank32"] = dish{config: set("r", 32, "lora_alpha", 64), tensors: weights.ranked(32)}
	out["a6_many_faults"] = dish{config: set("r", 32, "use_dora", true, "bias", "all", "modules_to_save", []string{"lm_head"}), tensors: weights.ranked(32)}
	saved := []string{"lm_head"}
	out["a7_modules_to_save"] = dish{config: set("modules_to_save", saved), tensors: weights.plus(tensors{"base_model.model.lm_head.weight": noise(400, 64)})}
	config("a7_modules_to_save_cfg_only", "modules_to_save", saved)
	config("a7_empty_list", "modules_to_save", []string{})
	magnitude := tensors{layer + "0.self_attn.q_proj.lora_magnitude_vector": noise(128)}
	out["a8_dora"] = dish{config: set("use_dora", true), tensors: weights.plus(magnitude)}
	config("a8_dora_string", "use_dora", "false")
	for name, value := range map[string]any{"all": "all", "lora_only": "lora_only", "null": nil, "false": false} {
		config("a9_bias_"+name, "bias", value)
	}
	out["a9_no_bias_key"] = dish{config: drop("bias"), tensors: weights}
	out["a13_magnitude"] = dish{config: set(), tensors: weights.plus(magnitude)}
}

func menuFiles(out map[string]dish, set setter, weights tensors) {
	out["a10_no_weights"] = dish{config: set(), nothing: true}
	for name, file := range map[string]string{
		"a10_sharded": "adapter_model-00001-of-00002.safetensors", "a10_other_name": "adapter.safetensors",
		"a10_model_safetensors": "model.safetensors", "a10_pytorch_model_bin": "pytorch_model.bin",
	} {
		out[name] = dish{config: set(), tensors: weights, file: file}
	}
	pickle := []byte("not a pickle at all") // nothing here ever looks into one
	for name, config := range map[string]*object{
		"a11_bin_good": set(), "a11_bin_pickle": set(), "a11_bin_garbage": set(),
		"a11_bin_module_not_in_cfg": set("target_modules", []any{"q_proj"}),
		"a11_bin_cfg_extra_module":  set("target_modules", []any{"q_proj", "Wqkv"}),
	} {
		out[name] = dish{config: config, file: "adapter_model.bin", blob: pickle}
	}
	out["a11_pt_good"] = dish{config: set(), file: "adapter_model.pt", blob: pickle}
	blob := encodeTensors(weights)
	for name, body := range map[string][]byte{
		"a12_truncated": blob[:len(blob)*6/10], "a12_truncated_header": blob[:200], "a12_empty": {},
		"a12_html":        []byte("<html><body>AccessDenied</body></html>"),
		"a12_lfs_pointer": []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 40\n"),
		"a12_trailing":    append(append([]byte{}, blob...), make([]byte, 64)...),
	} {
		out[name] = dish{config: set(), blob: body}
	}
}

func menuKeys(out map[string]dish, set setter, text func(string) *string, tensor weigh, weights tensors, ends map[string]tensors) {
	add := func(name string, more tensors) { tensor(name, weights.plus(more)) }
	out["a13_lora_bias"] = dish{config: set("lora_bias", true), tensors: weights.plus(tensors{layer + "0.self_attn.q_proj.lora_B.bias": noise(128)})}
	tensor("a13_default_in_key", weights.renamed(".weight", ".default.weight"))
	add("a13_full_lm_head", tensors{"base_model.model.lm_head.weight": noise(400, 64)})
	add("a13_full_embed", tensors{"base_model.model.model.embed_tokens.weight": noise(400, 64)})
	add("a13_embed_base_layer", tensors{"base_model.model.model.embed_tokens.base_layer.weight": noise(400, 64)})
	tensor("a13_ia3", tensors{layer + "0.self_attn.k_proj.ia3_l": noise(64, 1)})
	out["a13_prompt_tuning"] = dish{raw: text(`{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 8, "task_type": "CAUSAL_LM"}`), tensors: tensors{"prompt_embeddings": noise(8, 64)}}
	tensor("a13_lokr", tensors{layer + "0.self_attn.q_proj.lokr_w1": noise(8, 8)})
	tensor("a14_unknown_module", weights.renamed("q_proj", "c_attn"))
	tensor("a14_fused_qkv", weights.only(".mlp.").plus(pairOn("0.self_attn.qkv_proj", 64, 256)))
	tensor("a14_two_unknown", weights.renamed("gate_proj", "fc1").renamed("up_proj", "fc2"))
	add("a14_layernorm", pairOn("0.input_layernorm", 64, 64))
	add("a15_experts_on_dense", pairOn("0.mlp.experts.0.w1", 64, 128))
	for name, tensors := range ends {
		add(name, tensors)
	}
	q, o := layer+"0.self_attn.q_proj.lora_", layer+"0.self_attn.o_proj.lora_"
	tensor("a18_only_A", weights.without(q+"B.weight"))
	tensor("a18_only_B", weights.without(q+"A.weight"))
	out["a18_only_A_scale1"] = dish{config: set("lora_alpha", 8), tensors: weights.without(q + "B.weight")}
	tensor("a18_only_A_o_proj", weights.without(o+"B.weight"))
}

// pairOn is a random pair of rank 8.
func pairOn(module string, in, rows int) tensors {
	return tensors{layer + module + ".lora_A.weight": noise(8, in), layer + module + ".lora_B.weight": noise(rows, 8)}
}

func menuSizes(out map[string]dish, set setter, tensor weigh, weights tensors) {
	big := tensors{}
	for i := range 2 {
		for module, size := range map[string][2]int{
			"self_attn.q_proj": {128, 256}, "self_attn.k_proj": {128, 128}, "self_attn.v_proj": {128, 128}, "self_attn.o_proj": {256, 128},
			"mlp.gate_proj": {128, 256}, "mlp.up_proj": {128, 256}, "mlp.down_proj": {256, 128},
		} {
			big = big.plus(pairOn(fmt.Sprintf("%d.%s", i, module), size[0], size[1]))
		}
	}
	tensor("a20_bigger_base", big)
	tensor("a20_tensors_rank32", weights.ranked(32))
	tensor("a20_one_wrong_dim", weights.plus(tensors{layer + "1.mlp.down_proj.lora_B.weight": noise(65, 8)}))
	tensor("a20_a_b_rank_differ", weights.plus(tensors{layer + "0.self_attn.o_proj.lora_B.weight": noise(64, 4)}))
	tensor("a20_1d", weights.plus(tensors{layer + "0.self_attn.o_proj.lora_A.weight": noise(128)}))
	tensor("a24_no_tensors", tensors{})
	tensor("s5_smaller_base", weights.with(func(name string, one namedTensor) (string, namedTensor) {
		if strings.Contains(name, ".lora_A.") {
			return name, one.resized(one.shape[0], one.shape[1]/2)
		}
		return name, one.resized(one.shape[0]/2, one.shape[1])
	}))
	out["s3_rank_pattern"] = dish{config: set("rank_pattern", map[string]int{"down_proj": 4}), tensors: weights.plus(weights.only(".down_proj.").ranked(4))}
	for _, rank := range []int{16, 32} {
		out[fmt.Sprintf("s4_rank_pattern_%d", rank)] = dish{config: set("rank_pattern", map[string]int{"q_proj": rank}), tensors: weights.plus(weights.only(".q_proj.").ranked(rank))}
	}
}

// namedTensor is tensor where a parameter hides the name.
type namedTensor = tensor

func menuSilent(out map[string]dish, drop func(...string) *object, config configure, tensor weigh, weights tensors) {
	tensor("s1_wrong_prefix", weights.renamed("model.model.layers", "model.model.language_model.layers"))
	tensor("s1_missing_model_dot", weights.renamed("base_model.model.model.", "base_model.model."))
	tensor("s1_double_prefix", weights.renamed("base_model.model.model.", "base_model.model.base_model.model.model."))
	tensor("s1_layers_beyond", weights.renamed("layers.0.", "layers.7.").renamed("layers.1.", "layers.8."))
	tensor("s1_half_beyond", weights.renamed("layers.1.", "layers.7."))
	config("s3_alpha_pattern", "alpha_pattern", map[string]int{"q_proj": 64})
	config("s6_other_base_name", "base_model_name_or_path", "mistralai/Mistral-7B-v0.1")
	config("s7_peft_type_loha", "peft_type", "LOHA")
	out["s7_no_peft_type"] = dish{config: drop("peft_type"), tensors: weights}
	for name, pair := range map[string][2]any{
		"fan_in_fan_out": {"fan_in_fan_out", true}, "layers_to_transform": {"layers_to_transform", []int{0}}, "use_qalora": {"use_qalora", true},
		"alora": {"alora_invocation_tokens", []int{4}}, "layer_replication": {"layer_replication", [][]int{{0, 2}, {0, 2}}},
		"target_parameters": {"target_parameters", []string{"mlp.experts.gate_up_proj"}}, "trainable_tokens": {"trainable_token_indices", []int{1, 2}},
		"lora_bias_true": {"lora_bias", true}, "bdlora": {"use_bdlora", map[string]int{"x": 1}}, "pissa": {"init_lora_weights", "pissa"},
		"unknown_key": {"made_up_key", map[string]int{"a": 1}},
	} {
		config("s10_"+name, pair[0], pair[1])
	}
	s11 := out["ok_good"]
	s11.extra = map[string]string{"chat_template.jinja": "X{{ messages[0].content }}", "tokenizer_config.json": "{}", "added_tokens.json": `{"<new>":400}`}
	out["s11_tokenizer"] = s11
	le := binary.LittleEndian
	tensor("s13_fp32", weights.each("F32", false, func(b []byte, f float32) []byte { return le.AppendUint32(b, math.Float32bits(f)) }))
	tensor("s13_fp16", weights.each("F16", false, func(b []byte, f float32) []byte { return le.AppendUint16(b, half(f)) }))
	tensor("s13_fp8", weights.each("F8_E4M3", false, func(b []byte, f float32) []byte { return append(b, byte(math.Float32bits(f)>>24&0x80)|0x28) }))
	tensor("s13_int8", weights.each("I8", false, func(b []byte, f float32) []byte { return append(b, byte(int8(f*100))) }))
	o := layer + "0.self_attn.o_proj.lora_B.weight"
	nan := weights[o]
	nan.data = nil
	for range 64 * 8 {
		nan.data = le.AppendUint16(nan.data, 0x7fc0)
	}
	tensor("x1_nan", weights.plus(tensors{o: nan}))
	tensor("x2_inf", weights.each("BF16", true, func(b []byte, f float32) []byte { return appendBF16(b, f*3e38) }))
	config("x3_huge_alpha", "lora_alpha", 100000)
}

// half is the nearest float16 of a bfloat16 number below 65504.
func half(f float32) uint16 {
	sign := uint16(math.Float32bits(f) >> 16 & 0x8000)
	a := math.Abs(float64(f))
	if a < 1.0/(1<<14) {
		return sign | uint16(math.RoundToEven(a*(1<<24)))
	}
	bits := math.Float32bits(float32(a))
	return sign | uint16(bits>>23-127+15)<<10 | uint16(bits>>13&0x3ff)
}

package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"loradeck/internal/engine/tokenizer"
	"loradeck/tools/traindemo/train"
)

const baseName = "loradeck/tiny-llama"

type object = map[string]any

// writeBase writes a Hugging Face directory, its card excepted.
func writeBase(dir string, net *train.Net, tokenizerFile []byte, tok *tokenizer.Tokenizer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	id := func(token string) int {
		found, _ := tok.ID(token)
		return found
	}
	ends := []int{id(turnEnd), id(endOfText)}
	return errors.Join(
		writeJSON(filepath.Join(dir, "config.json"), object{
			"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu", "torch_dtype": "bfloat16",
			"vocab_size": shape.Vocab, "hidden_size": shape.Hidden, "intermediate_size": shape.Inner, "num_hidden_layers": shape.Layers,
			"num_attention_heads": shape.Heads, "num_key_value_heads": shape.KVHeads, "head_dim": shape.Hidden / shape.Heads,
			"max_position_embeddings": shape.Context, "rope_theta": shape.Theta, "rope_scaling": nil, "rms_norm_eps": shape.Eps,
			"tie_word_embeddings": true, "attention_bias": false, "mlp_bias": false, "bos_token_id": nil, "eos_token_id": ends, "pad_token_id": id(endOfText),
			"initializer_range": 0.02, "use_cache": true,
		}),
		writeJSON(filepath.Join(dir, "generation_config.json"), object{"eos_token_id": ends, "pad_token_id": id(endOfText)}),
		writeJSON(filepath.Join(dir, "tokenizer_config.json"), object{
			"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": shape.Context, "clean_up_tokenization_spaces": false,
			"bos_token": nil, "eos_token": turnEnd, "pad_token": endOfText, "unk_token": nil, "chat_template": chatTemplate,
		}),
		os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizerFile, 0o644),
		writeFile(filepath.Join(dir, "model.safetensors"), net.WriteBase))
}

// writeAdapter writes a peft directory, its card excepted.
func writeAdapter(dir string, adapter *train.Adapter) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		writeJSON(filepath.Join(dir, "adapter_config.json"), object{
			"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": baseName, "revision": nil, "inference_mode": true,
			"r": adapter.Rank, "lora_alpha": int(adapter.Alpha), "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false, "init_lora_weights": true,
			"use_rslora": false, "use_dora": false, "modules_to_save": nil, "layers_to_transform": nil, "layers_pattern": nil,
			"rank_pattern": object{}, "alpha_pattern": object{}, "exclude_modules": nil, "lora_bias": false,
			"target_modules": []string{"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"},
		}),
		writeFile(filepath.Join(dir, "adapter_model.safetensors"), adapter.WriteAdapter))
}

func writeJSON(path string, value any) error {
	return writeFile(path, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	})
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"loradeck/internal/peft"
	"loradeck/internal/safetensors"
)

// feature is something of peft's that vLLM does not serve.
type feature struct {
	key     string
	refused bool // by vLLM 0.32; older ones drop it without a word. Else every version drops it
}

// features were tried on three versions (recordings/README.md, S10). layers_to_transform is dropped too, but the tensors say
// the same.
var features = []feature{
	{"use_qalora", true},
	{"alora_invocation_tokens", true},
	{"layer_replication", true},
	{"lora_bias", true},
	{"use_bdlora", true},
	{"fan_in_fan_out", false},
	{"target_parameters", false},
	{"trainable_token_indices", false},
}

// featuresKnown: S10. An adapter trained with one of these answers otherwise than it was trained to.
func featuresKnown(a peft.Adapter, _ Base) (Finding, bool) {
	if a.ConfigTrouble != nil {
		return silent()
	}
	var refused, dropped []string
	for _, f := range features {
		switch on := used(a.Config.Raw[f.key]); {
		case on && f.refused:
			refused = append(refused, f.key)
		case on:
			dropped = append(dropped, f.key)
		}
	}
	if strings.EqualFold(string(a.Config.Raw["init_lora_weights"]), `"pissa"`) {
		refused = append(refused, "init_lora_weights pissa")
	}
	switch {
	case len(refused) > 0:
		return block("vLLM does not serve "+strings.Join(refused, ", "), "vLLM 0.32 refuses such an adapter; older ones load it and answer wrongly without a word.",
			"Train it without, or convert it to plain LoRA when saving.")
	case len(dropped) > 0:
		return warn("vLLM ignores "+strings.Join(dropped, ", "), "The adapter is loaded as plain LoRA, so it may answer otherwise than it was trained to.",
			"Compare its answers with those of the training run.")
	}
	return pass("no features that vLLM drops")
}

// used reports whether a member of the config turns something on: it is there and neither null, false nor empty.
func used(member json.RawMessage) bool {
	var value any
	if json.Unmarshal(member, &value) != nil {
		return false // it is not there; a config that is no JSON has been told of
	}
	switch v := value.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return value != nil
}

// tensorTypes: S13. vLLM casts what it is given; a type of eight bits loses what the adapter learnt (menu rows s13_fp8, s13_int8).
func tensorTypes(a peft.Adapter, _ Base) (Finding, bool) {
	if a.Header == nil || len(a.Header.Tensors) == 0 {
		return silent()
	}
	var types []string
	for _, t := range a.Header.Tensors {
		if !slices.Contains(types, t.DType) {
			types = append(types, t.DType)
		}
	}
	slices.Sort(types)
	for _, dtype := range types {
		if !slices.Contains([]string{safetensors.F32, safetensors.F16, safetensors.BF16}, dtype) {
			return warn("Some weights are of type "+dtype, "vLLM casts them to the base's type as they stand, without a scale, so it may answer otherwise than it was trained to.",
				"Save the adapter in bfloat16, float16 or float32.")
		}
	}
	return pass("weights are %s", strings.Join(types, ", "))
}

// embeddings are the modules that are as high as the vocabulary.
var embeddings = []string{"embed_tokens", "lm_head"}

// isEmbedding reports whether a tensor is a half of LoRA on an embedding, which peft names in a way of its own.
func isEmbedding(tensor string) bool {
	return strings.HasSuffix(tensor, ".lora_embedding_A") || strings.HasSuffix(tensor, ".lora_embedding_B")
}

// embeddingsFit: A14 and A17 of the embeddings. Only some families take them (facts §4.4), and vLLM 0.11.2 does not look at
// the height (recordings, menu rows a17_*).
func embeddingsFit(a peft.Adapter, base Base) (Finding, bool) {
	if a.Header == nil {
		return silent()
	}
	var high, wrong []string
	for _, t := range a.Header.Tensors {
		module, half, ok := peft.Module(t.Name)
		last := module[strings.LastIndexByte(module, '.')+1:]
		if !isEmbedding(t.Name) && (!ok || !slices.Contains(embeddings, last)) {
			continue
		}
		high = append(high, t.Name)
		axis := -1 // the one that is as long as the vocabulary
		switch {
		case strings.HasSuffix(t.Name, ".lora_embedding_A"), last == "embed_tokens" && half == "A":
			axis = 1
		case last == "lm_head" && half == "B":
			axis = 0
		}
		if axis >= 0 && base.Config != nil && base.Config.Vocab > 0 && (len(t.Shape) != 2 || t.Shape[axis] != base.Config.Vocab) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, the base's vocabulary %d", t.Name, t.Shape, base.Config.Vocab))
		}
	}
	switch {
	case len(high) == 0:
		return silent()
	case len(wrong) > 0:
		return block("The adapter's vocabulary is not the base's", few(wrong)+".", "It was trained on another base, or after tokens were added to this one.")
	case base.Config != nil && slices.Contains([]string{"mistral", "qwen2", "gemma2", "gemma3_text"}, base.Config.ModelType):
		return block("vLLM takes no LoRA on this base's embeddings", few(high)+".", "Train on attention and MLP linears only.")
	}
	return warn("LoRA on embeddings", "vLLM takes it on some families only, and the local platform on none.", "Look at the proof, or train on attention and MLP linears only.")
}

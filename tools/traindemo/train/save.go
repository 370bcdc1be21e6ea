package train

import (
	"fmt"
	"io"

	"loradeck/internal/safetensors"
)

// WriteBase writes the weights as bfloat16 under their Hugging Face names, and rounds the net's own weights to what was
// written, so that an adapter is trained on what will be served.
func (n *Net) WriteBase(w io.Writer) error {
	var tensors []safetensors.Values
	add := func(name string, p *weight, shape ...int) {
		for i, v := range p.value {
			p.value[i] = safetensors.FromBF16(safetensors.ToBF16(v))
		}
		tensors = append(tensors, safetensors.Values{Name: name, DType: safetensors.BF16, Shape: shape, Data: p.value})
	}
	add("model.embed_tokens.weight", n.embed, n.Vocab, n.Hidden)
	for i := range n.layers {
		l, prefix := &n.layers[i], fmt.Sprintf("model.layers.%d.", i)
		for g, p := range l.linear {
			add(prefix+names[g]+".weight", p, p.rows, p.cols)
		}
		add(prefix+"input_layernorm.weight", l.norm1, n.Hidden)
		add(prefix+"post_attention_layernorm.weight", l.norm2, n.Hidden)
	}
	add("model.norm.weight", n.norm, n.Hidden)
	return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
}

// WriteAdapter writes the adapter as bfloat16 under the names peft gives.
func (ad *Adapter) WriteAdapter(w io.Writer) error {
	var tensors []safetensors.Values
	for i, p := range ad.parts {
		prefix := fmt.Sprintf("base_model.model.model.layers.%d.%s.lora_", i/linears, names[i%linears])
		tensors = append(tensors,
			safetensors.Values{Name: prefix + "A.weight", DType: safetensors.BF16, Shape: []int{ad.Rank, p.a.cols}, Data: p.a.value},
			safetensors.Values{Name: prefix + "B.weight", DType: safetensors.BF16, Shape: []int{p.b.rows, ad.Rank}, Data: p.b.value})
	}
	return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
}

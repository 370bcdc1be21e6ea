package train

import (
	"errors"
	"fmt"
	"io"

	"loradeck/internal/safetensors"
)

// WriteBase writes the weights as bfloat16 under their Hugging Face names, and rounds the net's own weights to what was
// written, so that an adapter is trained on what will be served.
func (n *Net) WriteBase(w io.Writer) error {
	var tensors []safetensors.Values
	for _, p := range n.named() {
		for i, v := range p.value {
			p.value[i] = safetensors.FromBF16(safetensors.ToBF16(v))
		}
		shape := []int{p.rows, p.cols}
		if p.rows == 1 { // a norm is a vector
			shape = shape[1:]
		}
		tensors = append(tensors, safetensors.Values{Name: p.name, DType: safetensors.BF16, Shape: shape, Data: p.value})
	}
	return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
}

// ReadBase takes the weights that WriteBase wrote into a file. An adapter trained on them is, to the byte, the one that would
// have been trained right after the base.
func (n *Net) ReadBase(path string) (err error) {
	file, err := safetensors.OpenFile(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for _, p := range n.named() {
		values, err := file.Float32s(p.name)
		if err != nil {
			return err
		}
		if len(values) != len(p.value) {
			return fmt.Errorf("%s holds %d values of %s, want %d: it was trained by another recipe", path, len(values), p.name, len(p.value))
		}
		copy(p.value, values)
	}
	return nil
}

// named is a parameter and its Hugging Face name.
type named struct {
	name string
	*weight
}

// named lists the parameters in the order of the file.
func (n *Net) named() []named {
	list := []named{{"model.embed_tokens.weight", n.embed}}
	for i := range n.layers {
		l, prefix := &n.layers[i], fmt.Sprintf("model.layers.%d.", i)
		for g, p := range l.linear {
			list = append(list, named{prefix + names[g] + ".weight", p})
		}
		list = append(list, named{prefix + "input_layernorm.weight", l.norm1}, named{prefix + "post_attention_layernorm.weight", l.norm2})
	}
	return append(list, named{"model.norm.weight", n.norm})
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

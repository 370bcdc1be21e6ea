package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"loradeck/internal/safetensors"
)

// GGUF's numbers for what is written here, from ggml's gguf.h and ggml.h.
const (
	ggufUint32, ggufInt32, ggufFloat32, ggufString, ggufArray = 4, 5, 6, 8, 9

	ggmlF32, ggmlBF16 = 0, 30

	ggufAlignment = 32
)

// ggufNames turns Hugging Face's names into llama.cpp's.
var ggufNames = strings.NewReplacer(
	"model.embed_tokens", "token_embd", "model.norm", "output_norm", "model.layers.", "blk.",
	"self_attn.q_proj", "attn_q", "self_attn.k_proj", "attn_k", "self_attn.v_proj", "attn_v", "self_attn.o_proj", "attn_output",
	"mlp.gate_proj", "ffn_gate", "mlp.up_proj", "ffn_up", "mlp.down_proj", "ffn_down",
	"input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm",
)

// gguf is a header under way: metadata first, then where each tensor's values are.
type gguf struct {
	fields  []byte
	count   uint64
	tensors []byte
}

func (g *gguf) text(s string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...)
}

func (g *gguf) field(key string, kind uint32, value []byte) {
	g.count++
	g.fields = binary.LittleEndian.AppendUint32(append(g.fields, g.text(key)...), kind)
	g.fields = append(g.fields, value...)
}

func (g *gguf) number(key string, n int) {
	g.field(key, ggufUint32, binary.LittleEndian.AppendUint32(nil, uint32(n)))
}

func (g *gguf) float(key string, f float64) {
	g.field(key, ggufFloat32, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(f))))
}

func (g *gguf) string(key, s string) { g.field(key, ggufString, g.text(s)) }

// array writes n values of one kind.
func (g *gguf) array(key string, kind uint32, n int, value func(i int) []byte) {
	all := binary.LittleEndian.AppendUint32(nil, kind)
	all = binary.LittleEndian.AppendUint64(all, uint64(n))
	for i := range n {
		all = append(all, value(i)...)
	}
	g.field(key, ggufArray, all)
}

// writeGGUF writes a tied Llama as llama.cpp reads it: matrices in bfloat16, norms in float32.
func writeGGUF(w io.Writer, c config, tensors []safetensors.Values) error {
	g := &gguf{}
	g.describe(c)
	offset := uint64(0)
	for _, t := range tensors {
		offset += g.place(t, offset)
	}
	out := bufio.NewWriterSize(w, 1<<20)
	header := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	header = binary.LittleEndian.AppendUint64(header, uint64(len(tensors)))
	header = binary.LittleEndian.AppendUint64(header, g.count)
	header = append(append(header, g.fields...), g.tensors...)
	out.Write(padded(header)) // a bufio.Writer keeps its first error for Flush
	for _, t := range tensors {
		out.Write(padded(ggufValues(c, t)))
	}
	return out.Flush()
}

// describe writes the sizes, and a vocabulary without meaning: llama.cpp wants one.
func (g *gguf) describe(c config) {
	g.string("general.architecture", "llama")
	g.number("llama.vocab_size", c.Vocab)
	g.number("llama.context_length", c.Context)
	g.number("llama.embedding_length", c.Hidden)
	g.number("llama.block_count", c.Layers)
	g.number("llama.feed_forward_length", c.Inner)
	g.number("llama.attention.head_count", c.Heads)
	g.number("llama.attention.head_count_kv", c.KVHeads)
	g.number("llama.attention.key_length", c.HeadDim)
	g.number("llama.attention.value_length", c.HeadDim)
	g.number("llama.rope.dimension_count", c.HeadDim)
	g.float("llama.attention.layer_norm_rms_epsilon", c.Epsilon)
	g.float("llama.rope.freq_base", c.Theta)
	g.string("tokenizer.ggml.model", "llama")
	const byteTokens = 256
	g.array("tokenizer.ggml.tokens", ggufString, c.Vocab, func(i int) []byte {
		if i < byteTokens {
			return g.text(fmt.Sprintf("<0x%02X>", i))
		}
		return g.text(fmt.Sprintf("token%d", i))
	})
	g.array("tokenizer.ggml.scores", ggufFloat32, c.Vocab, func(i int) []byte {
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(-i)))
	})
	g.array("tokenizer.ggml.token_type", ggufInt32, c.Vocab, func(i int) []byte {
		kind := uint32(1) // ordinary
		if i < byteTokens {
			kind = 6
		}
		return binary.LittleEndian.AppendUint32(nil, kind)
	})
}

// place notes a tensor's name, shape (the innermost size first) and offset, and returns the bytes it takes.
func (g *gguf) place(t safetensors.Values, offset uint64) uint64 {
	g.tensors = append(g.tensors, g.text(ggufNames.Replace(t.Name))...)
	g.tensors = binary.LittleEndian.AppendUint32(g.tensors, uint32(len(t.Shape)))
	for i := len(t.Shape) - 1; i >= 0; i-- {
		g.tensors = binary.LittleEndian.AppendUint64(g.tensors, uint64(t.Shape[i]))
	}
	kind, size := uint32(ggmlBF16), uint64(2*len(t.Data))
	if len(t.Shape) == 1 {
		kind, size = ggmlF32, 2*size
	}
	g.tensors = binary.LittleEndian.AppendUint32(g.tensors, kind)
	g.tensors = binary.LittleEndian.AppendUint64(g.tensors, offset)
	return (size + ggufAlignment - 1) &^ (ggufAlignment - 1)
}

func ggufValues(c config, t safetensors.Values) []byte {
	values := t.Data
	switch {
	case len(t.Shape) == 1:
		var b []byte
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		return b
	case strings.HasSuffix(t.Name, "q_proj.weight"):
		values = interleaved(values, c.Heads, c.HeadDim, c.Hidden)
	case strings.HasSuffix(t.Name, "k_proj.weight"):
		values = interleaved(values, c.KVHeads, c.HeadDim, c.Hidden)
	}
	b := make([]byte, 0, 2*len(values)+ggufAlignment)
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, safetensors.ToBF16(v))
	}
	return b
}

// interleaved puts the rows of each head in the order that llama.cpp's rope turns them in: it pairs neighbours, where Hugging Face pairs
// the halves.
func interleaved(values []float32, heads, headDim, cols int) []float32 {
	out := make([]float32, len(values))
	for h := range heads {
		for i := range headDim {
			from, to := h*headDim+i, h*headDim+i%(headDim/2)*2+i/(headDim/2)
			copy(out[to*cols:(to+1)*cols], values[from*cols:(from+1)*cols])
		}
	}
	return out
}

func padded(b []byte) []byte {
	return append(b, make([]byte, -len(b)&(ggufAlignment-1))...)
}

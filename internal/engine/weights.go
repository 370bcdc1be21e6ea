package engine

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"loradeck/internal/engine/kernel"
	"loradeck/internal/lora"
	"loradeck/internal/safetensors"
)

// weights finds a base's tensors over its files and knows which of them nobody asked for.
type weights struct {
	files []*safetensors.File
	where map[string]*safetensors.File
	taken map[string]bool
	count int64 // values taken

	halves store[uint16] // what is kept as bfloat16
	whole  store[float32]
}

// openWeights opens model.safetensors or, when there is none, the shards that model.safetensors.index.json lists.
func openWeights(dir string) (_ *weights, err error) {
	w := &weights{where: map[string]*safetensors.File{}, taken: map[string]bool{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	err = w.open(filepath.Join(dir, "model.safetensors"))
	if !errors.Is(err, fs.ErrNotExist) {
		return w, err
	}
	index, err := readIndex(dir)
	if err != nil {
		return nil, err
	}
	for _, shard := range slices.Compact(slices.Sorted(maps.Values(index))) {
		if shard != filepath.Base(shard) || shard == ".." {
			return nil, lora.Errorf(lora.Invalid, "model.safetensors.index.json names the file %q outside the folder.", shard)
		}
		if err := w.open(filepath.Join(dir, shard)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, lora.Wrap(err, lora.Invalid, "model.safetensors.index.json lists %s, which is not in the folder.", shard)
			}
			return nil, err
		}
	}
	for name, shard := range index {
		if file := w.where[name]; file == nil || filepath.Base(file.Name()) != shard {
			return nil, lora.Errorf(lora.Invalid, "model.safetensors.index.json says %s is in %s, and it is not.", name, shard)
		}
	}
	return w, nil
}

func readIndex(dir string) (map[string]string, error) {
	const name = "model.safetensors.index.json"
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lora.Wrap(err, lora.Invalid, "The folder has neither model.safetensors nor %s. Weights of another kind must be converted first.", name)
	}
	if err != nil {
		return nil, err
	}
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil || len(index.Map) == 0 {
		return nil, lora.Wrap(err, lora.Invalid, "%s has no readable weight_map.", name)
	}
	return index.Map, nil
}

func (w *weights) open(path string) error {
	f, err := safetensors.OpenFile(path)
	if errors.Is(err, safetensors.ErrFormat) {
		return lora.Wrap(err, lora.Invalid, "%s is damaged: %s.", filepath.Base(path), strings.TrimPrefix(err.Error(), path+": "))
	}
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	for _, t := range f.Header.Tensors {
		if w.where[t.Name] != nil {
			return lora.Errorf(lora.Invalid, "The tensor %s is in two files.", t.Name)
		}
		w.where[t.Name] = f
	}
	return nil
}

func (w *weights) close() {
	for _, f := range w.files {
		f.Close() // read only: nothing to lose
	}
}

// tensor finds a tensor and makes sure of its shape and type.
func (w *weights) tensor(name string, shape ...int) (*safetensors.File, safetensors.Tensor, error) {
	f := w.where[name]
	if f == nil {
		return nil, safetensors.Tensor{}, lora.Errorf(lora.Invalid, "The weights lack the tensor %s.", name)
	}
	t, _ := f.Tensor(name)
	if !slices.Equal(t.Shape, shape) {
		return nil, t, lora.Errorf(lora.Invalid, "The tensor %s has the shape %v; config.json asks for %v.", name, t.Shape, shape)
	}
	if _, ok := dtypeNames[t.DType]; !ok {
		return nil, t, lora.Errorf(lora.Invalid, "The tensor %s is of type %s; the engine reads F32, F16 and BF16.", name, t.DType)
	}
	w.taken[name] = true
	w.count += int64(t.End-t.Begin) / dtypeBytes[t.DType]
	return f, t, nil
}

// dtypeNames are torch's names of the types, as config.json has them.
var (
	dtypeNames = map[string]string{safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16"}
	dtypeBytes = map[string]int64{safetensors.F32: 4, safetensors.F16: 2, safetensors.BF16: 2}
)

// matrix reads a weight; bfloat16 stays as it is, half precision becomes float32 without loss.
func (w *weights) matrix(name string, rows, cols int) (kernel.Matrix, error) {
	m := kernel.Matrix{Rows: rows, Cols: cols}
	f, t, err := w.tensor(name, rows, cols)
	if err != nil {
		return m, err
	}
	if t.DType == safetensors.BF16 {
		m.BF16, err = f.BF16s(name)
		m.BF16 = w.halves.keep(m.BF16)
	} else {
		m.F32, err = f.Float32s(name)
		m.F32 = w.whole.keep(m.F32)
	}
	return m, err
}

// makeRoom sizes the stores for all tensors that the files have.
func (w *weights) makeRoom() {
	halves, whole := 0, 0
	for _, f := range w.files {
		for _, t := range f.Header.Tensors {
			switch n := int(t.End - t.Begin); t.DType {
			case safetensors.BF16:
				halves += n / 2
			case safetensors.F16, safetensors.F32:
				whole += n / int(dtypeBytes[t.DType])
			}
		}
	}
	w.halves, w.whole = newStore[uint16](halves), newStore[float32](whole)
}

// vector reads a norm or a bias.
func (w *weights) vector(name string, n int) ([]float32, error) {
	f, _, err := w.tensor(name, n)
	if err != nil {
		return nil, err
	}
	return f.Float32s(name)
}

// refuseRest fails when a tensor is left that takes part in the arithmetic of some model, but not of this one.
func (w *weights) refuseRest(tied bool) error {
	var rest []string
	for name := range w.where {
		switch {
		case w.taken[name]:
		case strings.HasSuffix(name, ".rotary_emb.inv_freq"): // a buffer that old versions saved
		case tied && name == "lm_head.weight": // transformers drops it in favour of the embedding
		default:
			rest = append(rest, name)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	slices.Sort(rest)
	return lora.Errorf(lora.Invalid, "The weights hold %d tensors that this architecture does not use, the first is %s.", len(rest), rest[0])
}

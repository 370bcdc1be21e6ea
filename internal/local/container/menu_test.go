package container

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// The menu is the set of good, odd and broken adapters that the recorded servers were given. It is made anew here from the
// adapter "good", each entry as the recorder made it; random tensors are other random numbers.

// tensor is a tensor of a test adapter.
type tensor struct {
	dtype string
	shape []int
	data  []byte
}

type tensors map[string]tensor

const layer = "base_model.model.model.layers."

// dish is one adapter of the menu, before it is written.
type dish struct {
	config  *object
	raw     *string // config as text, instead
	tensors tensors
	file    string // of the weights; "" is adapter_model.safetensors
	blob    []byte // the weights as bytes, instead
	nothing bool   // no weights at all
	folder  string // both files one folder deeper
	extra   map[string]string
	bare    bool // no config
}

// readGood reads the adapter "good".
func readGood(t *testing.T, dir string) (config *object, weights tensors) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "good", "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := parseJSON(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return value.(*object), readTensors(t, filepath.Join(dir, "good", "adapter_model.safetensors"))
}

func readTensors(t *testing.T, path string) tensors {
	t.Helper()
	blob, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(blob)
	var head map[string]struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	text := strings.Replace(string(blob[8:8+size]), `"__metadata__":{"format":"pt"},`, "", 1)
	if err := json.Unmarshal([]byte(text), &head); err != nil {
		t.Fatal(err)
	}
	out := tensors{}
	for name, one := range head {
		out[name] = tensor{one.DType, one.Shape, blob[8+int(size)+one.Offsets[0] : 8+int(size)+one.Offsets[1]]}
	}
	return out
}

// encodeTensors is the safetensors form.
func encodeTensors(ts tensors) []byte {
	names := make([]string, 0, len(ts))
	for name := range ts {
		names = append(names, name)
	}
	sort.Strings(names)
	head := &object{}
	var data bytes.Buffer
	for _, name := range names {
		one := &object{}
		one.set("dtype", ts[name].dtype)
		one.set("shape", ts[name].shape)
		one.set("data_offsets", []int{data.Len(), data.Len() + len(ts[name].data)})
		head.set(name, one)
		data.Write(ts[name].data)
	}
	text := compact(head)
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(out, text...), data.Bytes()...)
}

// with changes a copy of the tensors: change gives the new name and tensor, "" to leave one out.
func (ts tensors) with(change func(name string, one tensor) (string, tensor)) tensors {
	out := tensors{}
	for name, one := range ts {
		if name, one := change(name, one); name != "" {
			out[name] = one
		}
	}
	return out
}

func (ts tensors) renamed(from, to string) tensors {
	return ts.with(func(name string, one tensor) (string, tensor) { return strings.ReplaceAll(name, from, to), one })
}

func (ts tensors) only(parts ...string) tensors {
	return ts.with(func(name string, one tensor) (string, tensor) {
		if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(name, part) }) {
			return name, one
		}
		return "", one
	})
}

func (ts tensors) without(names ...string) tensors {
	return ts.with(func(name string, one tensor) (string, tensor) {
		if slices.Contains(names, name) {
			return "", one
		}
		return name, one
	})
}

func (ts tensors) plus(more tensors) tensors {
	out := ts.with(func(name string, one tensor) (string, tensor) { return name, one })
	for name, one := range more {
		out[name] = one
	}
	return out
}

// resized cuts a bfloat16 matrix to rows and cols, or fills it up with zeros.
func (t tensor) resized(rows, cols int) tensor {
	out := tensor{t.dtype, []int{rows, cols}, make([]byte, 2*rows*cols)}
	for i := range min(rows, t.shape[0]) {
		n := min(cols, t.shape[1])
		copy(out.data[2*i*cols:2*(i*cols+n)], t.data[2*i*t.shape[1]:])
	}
	return out
}

// ranked brings every pair to another rank.
func (ts tensors) ranked(rank int) tensors {
	return ts.with(func(name string, one tensor) (string, tensor) {
		if strings.Contains(name, ".lora_A.") {
			return name, one.resized(rank, one.shape[1])
		}
		return name, one.resized(one.shape[0], rank)
	})
}

// each rewrites every number; only those of lora_B when onlyB.
func (ts tensors) each(dtype string, onlyB bool, write func([]byte, float32) []byte) tensors {
	return ts.with(func(name string, one tensor) (string, tensor) {
		if onlyB && !strings.Contains(name, ".lora_B.") {
			return name, one
		}
		numbers, _ := numbersOf(one.dtype, one.data)
		out := tensor{dtype, one.shape, nil}
		for _, f := range numbers {
			out.data = write(out.data, f)
		}
		return name, out
	})
}

// noise is a bfloat16 tensor of small random numbers, the same in every run.
func noise(shape ...int) tensor {
	source := rand.New(rand.NewPCG(11, 11))
	n := 1
	for _, size := range shape {
		n *= size
	}
	out := tensor{dtype: "BF16", shape: shape}
	for range n {
		out.data = appendBF16(out.data, float32(source.NormFloat64()*0.05))
	}
	return out
}

// write puts the dish under dir.
func (d dish) write(t *testing.T, dir string) {
	t.Helper()
	put := func(path string, body []byte) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, d.folder), 0o755); err != nil {
		t.Fatal(err)
	}
	config := string(compact(d.config))
	if d.raw != nil {
		config = *d.raw
	}
	if !d.bare {
		put(filepath.Join(dir, d.folder, "adapter_config.json"), []byte(config))
	}
	file := d.file
	if file == "" {
		file = "adapter_model.safetensors"
	}
	blob := d.blob
	if blob == nil {
		blob = encodeTensors(d.tensors)
	}
	if !d.nothing {
		put(filepath.Join(dir, d.folder, file), blob)
	}
	for name, body := range d.extra {
		put(filepath.Join(dir, name), []byte(body))
	}
}

// buildMenu writes the named adapters of the menu, or all of them, under dir/menu.
func buildMenu(t *testing.T, dir string, names ...string) {
	t.Helper()
	config, weights := readGood(t, dir)
	ends := map[string]tensors{}
	for _, name := range []string{"a17_embed_ok", "a17_embed_wrong_vocab", "a17_lm_head_ok", "a17_lm_head_bigger"} {
		ends[name] = readTensors(t, filepath.Join("testdata", "ends", name+".safetensors")) // the recorder's own numbers
	}
	for name, dish := range menu(config, weights, ends) {
		if len(names) == 0 || slices.Contains(names, name) {
			dish.write(t, filepath.Join(dir, "menu", name))
		}
	}
}

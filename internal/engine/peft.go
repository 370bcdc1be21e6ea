package engine

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"loradeck/internal/lora"
	"loradeck/internal/safetensors"
)

// readAdapter reads a PEFT directory and decodes it as peft would apply it to m. Nothing is read of the values before every
// name and shape has been checked, so the size of what is read is bounded by the base and maxRank.
func (m *model) readAdapter(name, dir string, maxRank int) (*adapter, error) {
	if err := checkFiles(dir, "adapter_config.json"); err != nil {
		return nil, err
	}
	c, err := readPeftConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := openAdapterFile(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pairs, err := m.pairTensors(f.Header)
	if err != nil {
		return nil, err
	}
	modules := slices.Sorted(maps.Keys(pairs))
	if err := m.checkTargets(c, pairs); err != nil {
		return nil, err
	}
	scales := make(map[string]float32, len(modules))
	for _, module := range modules {
		if scales[module], err = m.checkPair(c, module, pairs[module], maxRank); err != nil {
			return nil, err
		}
	}
	deltas := make([]Delta, 0, len(modules))
	for _, module := range modules {
		d := Delta{Module: module, Scale: scales[module]}
		if d.A, err = readMatrix(f, pairs[module].a); err != nil {
			return nil, err
		}
		if d.B, err = readMatrix(f, pairs[module].b); err != nil {
			return nil, err
		}
		deltas = append(deltas, d)
	}
	return m.newAdapter(name, deltas, maxRank)
}

func openAdapterFile(dir string) (*safetensors.File, error) {
	path := filepath.Join(dir, "adapter_model.safetensors")
	f, err := safetensors.OpenFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, pickled := os.Stat(filepath.Join(dir, "adapter_model.bin")); pickled == nil {
			return nil, lora.Wrap(err, lora.Invalid, "The adapter is saved as adapter_model.bin, a format that can run code; save it again as safetensors.")
		}
		return nil, lora.Wrap(err, lora.Invalid, "The folder has no adapter_model.safetensors.")
	}
	if errors.Is(err, safetensors.ErrFormat) {
		return nil, lora.Wrap(err, lora.Invalid, "adapter_model.safetensors is damaged: %s.", strings.TrimPrefix(err.Error(), path+": "))
	}
	return f, err
}

// tensorPair is a module's two matrices in the file.
type tensorPair struct{ a, b *safetensors.Tensor }

// pairTensors sorts the file's tensors by module. Every name must be one that peft gives to a linear module of the base.
func (m *model) pairTensors(h *safetensors.Header) (map[string]*tensorPair, error) {
	pairs := map[string]*tensorPair{}
	for i := range h.Tensors {
		t := &h.Tensors[i]
		module, half, ok := splitName(t.Name)
		if !ok {
			return nil, lora.Errorf(lora.Invalid, "The adapter holds the tensor %s, which is not lora_A or lora_B of a linear module.", t.Name)
		}
		if _, ok := m.modules[module]; !ok {
			return nil, lora.Errorf(lora.Invalid, "The adapter changes %s, which is not a linear module of this base.", module)
		}
		if _, ok := dtypeNames[t.DType]; !ok {
			return nil, lora.Errorf(lora.Invalid, "The adapter's tensor %s is of type %s; the engine reads F32, F16 and BF16.", t.Name, t.DType)
		}
		if pairs[module] == nil {
			pairs[module] = &tensorPair{}
		}
		if half == "A" {
			pairs[module].a = t
		} else {
			pairs[module].b = t
		}
	}
	if len(pairs) == 0 {
		return nil, lora.Errorf(lora.Invalid, "adapter_model.safetensors holds no tensors.")
	}
	return pairs, nil
}

// splitName takes "base_model.model.MODULE.lora_A.weight" apart.
func splitName(name string) (module, half string, ok bool) {
	rest, prefixed := strings.CutPrefix(name, "base_model.model.")
	for _, half := range []string{"A", "B"} {
		if module, ok := strings.CutSuffix(rest, ".lora_"+half+".weight"); ok && prefixed {
			return module, half, true
		}
	}
	return "", "", false
}

// checkTargets makes sure that the config and the file name the same modules. peft passes over tensors it was not told of
// and starts modules without tensors from nothing; either is a mistake somewhere.
func (m *model) checkTargets(c *peftConfig, pairs map[string]*tensorPair) error {
	for i := range m.layers {
		for t := range targets {
			module := modulePath(i, t)
			switch _, there := pairs[module]; {
			case there && !c.targets(module):
				return lora.Errorf(lora.Invalid, "The adapter holds matrices for %s, which its target_modules do not name; peft would leave them out.", module)
			case !there && c.targets(module):
				return lora.Errorf(lora.Invalid, "The adapter's target_modules name %s, but it holds no matrices for it.", module)
			}
		}
	}
	for _, module := range []string{"lm_head", "model.embed_tokens"} {
		if c.targets(module) {
			return lora.Errorf(lora.Invalid, "The adapter's target_modules name %s; the engine adapts the linear modules of the layers only.", module)
		}
	}
	return nil
}

// checkPair checks a module's shapes against the base and the config, and gives its scale.
func (m *model) checkPair(c *peftConfig, module string, p *tensorPair, maxRank int) (float32, error) {
	if p.a == nil || p.b == nil {
		return 0, lora.Errorf(lora.Invalid, "The adapter has only one of lora_A and lora_B for %s.", module)
	}
	rank, scale, err := c.scale(module)
	if err != nil {
		return 0, err
	}
	out, in := m.shape(target(m.modules[module] % int(targets)))
	a, b := p.a.Shape, p.b.Shape
	switch {
	case len(a) != 2 || len(b) != 2 || a[1] != in || b[0] != out || a[0] != b[1]:
		return 0, lora.Errorf(lora.Invalid, "The adapter has A %v and B %v for %s, which takes %d values and gives %d. It was made for another base.", a, b, module, in, out)
	case a[0] != rank:
		return 0, lora.Errorf(lora.Invalid, "The adapter's matrices for %s are of rank %d, and adapter_config.json says %d.", module, a[0], rank)
	case rank > maxRank:
		return 0, lora.Errorf(lora.Invalid, "The adapter has rank %d in %s; the engine was opened for at most %d.", rank, module, maxRank)
	}
	return scale, nil
}

func readMatrix(f *safetensors.File, t *safetensors.Tensor) (Matrix, error) {
	values, err := f.Float32s(t.Name)
	return Matrix{Rows: t.Shape[0], Cols: t.Shape[1], Data: values}, err
}

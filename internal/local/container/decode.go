package container

import (
	"path/filepath"
	"slices"
	"strings"
)

// halves are the two tensors of one module; an empty name is a missing half.
type halves struct {
	module string
	a, b   string
}

// decode turns an adapter directory into deltas the way vLLM does, in its order of checks: config, weights file,
// every key, pairs and scale, and last the copy into the slot, which is where sizes matter. Modules the base does not have
// are dropped without a word.
func (c *Container) decode(name, dir string) ([]Delta, *refusal) {
	config, refused := c.readPEFT(name, dir)
	if refused != nil {
		return nil, refused
	}
	weights, refused := c.openWeights(dir, config)
	if refused != nil {
		return nil, refused
	}
	defer weights.Close()
	if c.dialect.needsTensor && len(weights.tensors) == 0 {
		return nil, loadFailure("") // Python's StopIteration has no words
	}
	pairs, refused := c.pair(dir, weights.names())
	if refused != nil {
		return nil, refused
	}
	if isFile(filepath.Join(dir, "new_embeddings.safetensors")) || isFile(filepath.Join(dir, "new_embeddings.bin")) {
		return nil, loadFailure("%s", notHere("adapters that add vocabulary (new_embeddings)"))
	}
	if refused := c.judgeVocabulary(weights, pairs); refused != nil {
		return nil, refused
	}
	// vLLM multiplies the scale into B here, for every module of the file; with a scale of one it never looks at B.
	for _, pair := range pairs {
		if pair.b == "" && config.scaleOf(pair.module) != 1 {
			return nil, loadFailure("unsupported operand type(s) for *=: 'NoneType' and 'float'")
		}
	}
	return c.fill(weights, pairs, config)
}

// judgeVocabulary holds the halves on embed_tokens and lm_head to the base's vocabulary, as later versions do; 0.11.2 takes
// any size.
func (c *Container) judgeVocabulary(w *weights, pairs []halves) *refusal {
	if !c.dialect.vocabulary {
		return nil
	}
	for _, pair := range pairs {
		switch a, b := w.tensors[pair.a].Shape, w.tensors[pair.b].Shape; {
		case pair.module == embeddingPath && len(a) == 2 && a[1] != c.base.vocab:
			return loadFailure("The embedding LoRA size(%d) must be consistent with the base model's vocabulary size(%d).", a[1], c.base.vocab)
		case pair.module == headPath && len(b) == 2 && b[0] > c.base.vocab:
			return loadFailure("The size of tensor a (%d) must match the size of tensor b (%d) at non-singleton dimension 0", c.base.vocab, b[0])
		}
	}
	return nil
}

// baseLayer reports whether a tensor is a full embedding that PEFT saved beside its halves.
func baseLayer(key string) bool {
	return strings.HasSuffix(key, ".embed_tokens.base_layer.weight") || strings.HasSuffix(key, ".lm_head.base_layer.weight")
}

// pair parses every key and sorts the halves to their modules, in the order in which the modules first appear.
func (c *Container) pair(dir string, names []string) ([]halves, *refusal) {
	expected := c.base.expected()
	var unexpected []string
	var pairs []halves
	at := map[string]int{}
	for _, key := range names {
		if c.dialect.baseLayers && baseLayer(key) {
			continue
		}
		module, isA, words := parseKey(key)
		if words != "" {
			return nil, loadFailure("%s", words)
		}
		if fits := moduleFits(module, expected); !fits && !strings.Contains(key, "base_layer") {
			unexpected = append(unexpected, module)
		}
		i, seen := at[module]
		if !seen {
			i = len(pairs)
			at[module] = i
			pairs = append(pairs, halves{module: module})
		}
		if isA {
			pairs[i].a = key
		} else {
			pairs[i].b = key
		}
	}
	if len(unexpected) > 0 {
		return nil, unexpectedModules(dir, expected, unexpected)
	}
	return pairs, nil
}

func moduleFits(module string, expected []string) bool {
	if strings.Contains(module, ".experts") {
		return slices.ContainsFunc(expected, func(name string) bool { return strings.HasSuffix(module, name) })
	}
	return slices.Contains(expected, module[strings.LastIndex(module, ".")+1:])
}

// parseKey splits a tensor's name into its module and half. Every "base_model.model." in it is dropped, so a doubled prefix
// and none at all both work; words is vLLM's complaint about a name that is no half.
func parseKey(key string) (module string, isA bool, words string) {
	const prefix = "base_model.model."
	name := key
	if strings.HasPrefix(key, prefix) {
		name = strings.ReplaceAll(key, prefix, "")
	}
	for _, half := range []struct {
		ending string
		isA    bool
	}{{".lora_A.weight", true}, {".lora_B.weight", false}, {".lora_embedding_A", true}, {".lora_embedding_B", false}} {
		if rest, ok := strings.CutSuffix(name, half.ending); ok {
			return rest, half.isA, ""
		}
	}
	if name != key {
		name = prefix + name
	}
	return "", false, name + " is unsupported LoRA weight"
}

// fill copies the halves into slots of the base's sizes: what is smaller leaves the rest zero, what is larger is refused. Rows
// and columns beyond the vocabulary belong to no token and are cut off.
func (c *Container) fill(w *weights, pairs []halves, config peftConfig) ([]Delta, *refusal) {
	byModule := map[string]halves{}
	for _, pair := range pairs {
		byModule[pair.module] = pair
	}
	var out []Delta
	for _, module := range c.base.slots(c.dialect.vocabularyRoom()) {
		pair, ok := byModule[module.path]
		if !ok || !c.targeted(module.path) {
			continue
		}
		if pair.a == "" || pair.b == "" {
			if !module.packed {
				return nil, loadFailure("'NoneType' object has no attribute 'shape'")
			}
			continue // half a product adds nothing
		}
		a, refused := w.matrix(pair.a, c.dtype)
		if refused == nil {
			refused = fits(a, c.settings.maxRank, module.in+module.roomIn)
		}
		if refused != nil {
			return nil, refused
		}
		b, refused := w.matrix(pair.b, c.dtype)
		if refused == nil {
			refused = fits(b, module.out+module.roomOut, c.settings.maxRank)
		}
		if refused != nil {
			return nil, refused
		}
		rank := max(a.Rows, b.Cols)
		out = append(out, Delta{Module: module.path, A: a.laid(rank, module.in), B: b.laid(module.out, rank), Scale: float32(config.scaleOf(module.path))})
	}
	return out, nil
}

// targeted reports whether adapters may change a module; the halves on others are dropped without a word.
func (c *Container) targeted(module string) bool {
	targets := c.settings.targets
	return len(targets) == 0 || slices.Contains(targets, module[strings.LastIndex(module, ".")+1:])
}

// fits refuses a tensor larger than its slot, the last dimension first, in torch's words.
func fits(m Matrix, rows, cols int) *refusal {
	switch {
	case m.Cols > cols:
		return loadFailure("The size of tensor a (%d) must match the size of tensor b (%d) at non-singleton dimension 1", cols, m.Cols)
	case m.Rows > rows:
		return loadFailure("The size of tensor a (%d) must match the size of tensor b (%d) at non-singleton dimension 0", rows, m.Rows)
	}
	return nil
}

// laid is the matrix laid into the corner of one of zeros; what does not fit is cut off.
func (m Matrix) laid(rows, cols int) Matrix {
	if m.Rows == rows && m.Cols == cols {
		return m
	}
	out := Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
	for i := range min(rows, m.Rows) {
		copy(out.Data[i*cols:(i+1)*cols], m.Data[i*m.Cols:(i+1)*m.Cols])
	}
	return out
}

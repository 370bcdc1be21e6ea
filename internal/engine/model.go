package engine

import (
	"fmt"

	"loradeck/internal/engine/kernel"
)

// target is one of the seven linear modules of a layer, the ones an adapter may change.
type target int

const (
	queryTarget target = iota
	keyTarget
	valueTarget
	outputTarget
	gateTarget
	upTarget
	downTarget
	targets // how many
)

// targetPaths are the modules' paths within a layer, in Hugging Face's names.
var targetPaths = [targets]string{
	"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
}

// modulePath is a module's path in Hugging Face's model.
func modulePath(layer int, t target) string {
	return fmt.Sprintf("model.layers.%d.%s", layer, targetPaths[t])
}

// layer is one transformer block.
type layer struct {
	weight              [targets]kernel.Matrix
	bias                [targets][]float32 // nil where the family has none
	inputNorm, postNorm []float32
}

// model is a base: weights and arithmetic. It is read-only once loaded; forward belongs to one goroutine, that of the
// scheduler.
type model struct {
	config      *config
	embedding   kernel.Matrix
	head        kernel.Matrix
	norm        []float32
	layers      []layer
	modules     map[string]int // the path of every module an adapter may change → [layer*targets+target]
	frequencies []float32
	params      int64
	dtype       string
	pool        *kernel.Pool
}

// loadModel reads a Hugging Face directory into memory. Close its pool when done.
func loadModel(dir string, threads int) (*model, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	w, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
	w.makeRoom()
	m := &model{config: c, frequencies: c.rope.frequencies(c.headDim), layers: make([]layer, c.layers)}
	if err := m.loadEnds(w); err != nil {
		return nil, err
	}
	for i := range m.layers {
		if err := m.loadLayer(w, i); err != nil {
			return nil, err
		}
	}
	if err := w.refuseRest(c.tied); err != nil {
		return nil, err
	}
	m.params = w.count
	m.modules = map[string]int{}
	for i := range m.layers {
		for t := range targets {
			m.modules[modulePath(i, t)] = i*int(targets) + int(t)
		}
	}
	m.pool = kernel.NewPool(threads)
	return m, nil
}

// loadEnds reads what comes before and after the layers.
func (m *model) loadEnds(w *weights) (err error) {
	c := m.config
	if m.embedding, err = w.matrix("model.embed_tokens.weight", c.vocab, c.hidden); err != nil {
		return err
	}
	m.head = m.embedding
	if !c.tied {
		if m.head, err = w.matrix("lm_head.weight", c.vocab, c.hidden); err != nil {
			return err
		}
	}
	if m.dtype = c.dtype; m.dtype == "" {
		t, _ := w.where["model.embed_tokens.weight"].Tensor("model.embed_tokens.weight")
		m.dtype = dtypeNames[t.DType]
	}
	m.norm, err = w.vector("model.norm.weight", c.hidden)
	return err
}

func (m *model) loadLayer(w *weights, i int) (err error) {
	l := &m.layers[i]
	for t := range targets {
		rows, cols := m.shape(t)
		if l.weight[t], err = w.matrix(modulePath(i, t)+".weight", rows, cols); err != nil {
			return err
		}
		if m.hasBias(t) {
			if l.bias[t], err = w.vector(modulePath(i, t)+".bias", rows); err != nil {
				return err
			}
		}
	}
	if l.inputNorm, err = w.vector(fmt.Sprintf("model.layers.%d.input_layernorm.weight", i), m.config.hidden); err != nil {
		return err
	}
	l.postNorm, err = w.vector(fmt.Sprintf("model.layers.%d.post_attention_layernorm.weight", i), m.config.hidden)
	return err
}

func (m *model) hasBias(t target) bool {
	switch t {
	case queryTarget, keyTarget, valueTarget:
		return m.config.attentionBias
	case outputTarget:
		return m.config.outputBias
	}
	return m.config.mlpBias
}

// shape gives the values out of and into a target module.
func (m *model) shape(t target) (out, in int) {
	c := m.config
	switch t {
	case queryTarget:
		return c.heads * c.headDim, c.hidden
	case keyTarget, valueTarget:
		return c.kvHeads * c.headDim, c.hidden
	case outputTarget:
		return c.hidden, c.heads * c.headDim
	case downTarget:
		return c.hidden, c.inner
	}
	return c.inner, c.hidden
}

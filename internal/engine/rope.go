package engine

import (
	"encoding/json"
	"math"

	"loradeck/internal/lora"
)

// ropeConfig says how positions turn the queries and keys.
type ropeConfig struct {
	kind      string // "default", "linear" or "llama3"
	theta     float64
	factor    float64
	low, high float64 // llama3: the bounds of the blended wavelengths, as parts of original
	original  float64 // llama3: the context before it was stretched
}

// readRope reads rope_theta and rope_scaling (transformers 4) or rope_parameters (transformers 5).
func readRope(f *fields) (ropeConfig, error) {
	r := ropeConfig{kind: "default", theta: 10000}
	f.read("rope_theta", &r.theta)
	if err := refusePartial(f); err != nil {
		return r, err
	}
	name := "rope_scaling"
	if f.has("rope_parameters") {
		if f.has("rope_scaling") {
			return r, lora.Errorf(lora.Invalid, "config.json has both rope_scaling and rope_parameters; keep the one that is right.")
		}
		name = "rope_parameters"
	}
	inner := &fields{file: "config.json, in " + name + ",", raw: map[string]json.RawMessage{}}
	f.read(name, &inner.raw)
	if f.err != nil {
		return r, f.err
	}
	if err := refusePartial(inner); err != nil {
		return r, err
	}
	inner.read("type", &r.kind) // the key of transformers before 4.43
	inner.read("rope_type", &r.kind)
	inner.read("rope_theta", &r.theta)
	inner.read("factor", &r.factor)
	inner.read("low_freq_factor", &r.low)
	inner.read("high_freq_factor", &r.high)
	inner.read("original_max_position_embeddings", &r.original)
	if inner.err != nil {
		return r, inner.err
	}
	for key, raw := range inner.raw {
		var nested map[string]any
		if json.Unmarshal(raw, &nested) == nil && nested != nil {
			return r, lora.Errorf(lora.Invalid, "config.json gives rope parameters per layer type (%s); the engine knows one set for all layers.", key)
		}
	}
	return r, r.check()
}

func refusePartial(f *fields) error {
	part := 1.0
	f.read("partial_rotary_factor", &part)
	if f.err != nil {
		return f.err
	}
	if part != 1 {
		return lora.Errorf(lora.Invalid, "config.json turns only a part of each head (partial_rotary_factor %v); the engine turns all of it.", part)
	}
	return nil
}

func (r ropeConfig) check() error {
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	if !positive(r.theta) {
		return lora.Errorf(lora.Invalid, "config.json gives no usable rope_theta.")
	}
	switch r.kind {
	case "default":
		return nil
	case "linear":
		if !positive(r.factor) {
			return lora.Errorf(lora.Invalid, "config.json asks for linear rope scaling without a usable factor.")
		}
		return nil
	case "llama3":
		if !positive(r.factor) || !positive(r.low) || !positive(r.high) || !positive(r.original) || r.high <= r.low {
			return lora.Errorf(lora.Invalid, "config.json asks for llama3 rope scaling without usable factor, low_freq_factor, high_freq_factor and original_max_position_embeddings.")
		}
		return nil
	}
	return lora.Errorf(lora.Invalid, "config.json asks for rope scaling of type %q; the engine knows default, linear and llama3.", r.kind)
}

// frequencies gives the angle per position of each pair of values in a head. Every step is rounded to float32 as in
// transformers: at position 4,000 the last bit of a frequency shows in the logits.
func (r ropeConfig) frequencies(headDim int) []float32 {
	frequencies := make([]float32, headDim/2)
	for i := range frequencies {
		exponent := float32(2*i) / float32(headDim)
		f := 1 / float32(math.Pow(r.theta, float64(exponent)))
		switch r.kind {
		case "linear":
			f /= float32(r.factor)
		case "llama3":
			f = r.llama3(f)
		}
		frequencies[i] = f
	}
	return frequencies
}

// llama3 slows the long wavelengths by factor, keeps the short ones and blends between.
func (r ropeConfig) llama3(f float32) float32 {
	wavelength := float32(2*math.Pi) / f
	switch {
	case float64(wavelength) > r.original/r.low:
		return f / float32(r.factor)
	case float64(wavelength) < r.original/r.high:
		return f
	}
	kept := (float32(r.original)/wavelength - float32(r.low)) / float32(r.high-r.low)
	return (1-kept)*f/float32(r.factor) + kept*f
}

package engine

import (
	"maps"
	"slices"
	"testing"

	"loradeck/internal/safetensors"
)

func TestASilentSlidingWindowIsTransformers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		family string
		extra  map[string]any
		want   []int
	}{
		{"llama", nil, []int{0, 0}},
		{"mistral", nil, []int{4096, 4096}},
		{"mistral", map[string]any{"sliding_window": nil}, []int{0, 0}},
		{"mistral", map[string]any{"sliding_window": 7}, []int{7, 7}},
		{"qwen2", nil, []int{0, 0}},
		{"qwen2", map[string]any{"use_sliding_window": true, "max_window_layers": 1}, []int{0, 4096}},
		{"qwen2", map[string]any{"use_sliding_window": true, "max_window_layers": 1, "sliding_window": nil}, []int{0, 0}},
	} {
		s := shape{family: test.family, dtype: safetensors.F32, vocab: 3, hidden: 2, inner: 1, layers: 2, heads: 1, kv: 1, headDim: 2, extra: test.extra}
		dir := t.TempDir()
		s.writeConfig(t, dir)
		if c, err := readConfig(dir); err != nil || !slices.Equal(c.windows, test.want) {
			t.Errorf("%s, %v: got %v, %v, want %v", test.family, slices.Sorted(maps.Keys(test.extra)), c, err, test.want)
		}
	}
}

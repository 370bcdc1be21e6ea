package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzAdapterDirectoriesAreReadOrRefused gives the container adapter directories of any content: it decodes them into
// matrices of the base's sizes or says why not, and neither crashes nor reads past the file.
func FuzzAdapterDirectoriesAreReadOrRefused(f *testing.F) {
	dir := f.TempDir()
	config := `{"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "rank_pattern": {"q_proj": 1}}`
	pair := func(rank int, dtype string) []byte {
		zeros := func(shape ...int) tensor { return tensor{dtype, shape, make([]byte, 2*shape[0]*shape[1])} }
		return encodeTensors(tensors{layer + "0.self_attn.q_proj.lora_A.weight": zeros(rank, 8), layer + "0.self_attn.q_proj.lora_B.weight": zeros(8, rank)})
	}
	f.Add(config, pair(2, "BF16"), byte(0))
	f.Add(config, pair(4, "F16"), byte(1))
	f.Add(strings.Replace(config, "2", "-8", 1), pair(2, "I16"), byte(2))
	f.Add(strings.Replace(config, `"q_proj": 1`, `"(": 3`, 1), pair(1, "U16"), byte(2))
	f.Add("[]", []byte("version https://git-lfs.github.com/spec/v1\n"), byte(0))
	f.Add(config, encodeTensors(tensors{}), byte(1))
	f.Fuzz(func(t *testing.T, config string, weights []byte, version byte) {
		if len(config)+len(weights) > 1<<16 {
			t.Skip()
		}
		adapter, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(adapter)
		for name, body := range map[string][]byte{"adapter_config.json": []byte(config), "adapter_model.safetensors": weights} {
			if err := os.WriteFile(filepath.Join(adapter, name), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c := &Container{
			dialect: dialectOf(recordedVersions[int(version)%len(recordedVersions)]), dtype: "bfloat16", settings: settings{maxRank: 4},
			base: base{architecture: "LlamaForCausalLM", layers: 1, hidden: 8, intermediate: 16, queries: 8, keys: 8, vocab: 16},
		}
		deltas, refused := c.decode("fuzz", adapter)
		if refused != nil {
			if worded := c.dialect.worded(refused); worded.status < 400 || len(deltas) > 0 {
				t.Errorf("refused with %+v and %d deltas", worded, len(deltas))
			}
			return
		}
		for _, d := range deltas {
			if d.A.Rows != d.B.Cols || len(d.A.Data) != d.A.Rows*d.A.Cols || len(d.B.Data) != d.B.Rows*d.B.Cols || d.A.Rows > 4 {
				t.Errorf("%s: A is %d×%d with %d numbers, B %d×%d with %d", d.Module, d.A.Rows, d.A.Cols, len(d.A.Data), d.B.Rows, d.B.Cols, len(d.B.Data))
			}
		}
	})
}

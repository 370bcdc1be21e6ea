package peft_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/internal/safetensors"
)

const config = `{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj","v_proj"],"bias":"none","rank_pattern":{"v_proj":6}}`

func weights(t testing.TB, values []float32, dtype string) []byte {
	t.Helper()
	var out bytes.Buffer
	err := safetensors.Write(&out, []safetensors.Values{
		{Name: "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight", DType: dtype, Shape: []int{len(values)}, Data: values},
		{Name: "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", DType: dtype, Shape: []int{1}, Data: []float32{1}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func adapter(t testing.TB) fstest.MapFS {
	return fstest.MapFS{
		"adapter_config.json": {Data: []byte(config)}, "adapter_model.safetensors": {Data: weights(t, []float32{1, 2, 3}, safetensors.F32)},
		"README.md": {Data: []byte("# card")}, "optimizer.pt": {Data: []byte("large")}, "trainer_state.json": {Data: []byte("{}")},
		"checkpoint-10/adapter_model.safetensors": {Data: []byte("old")}, "tokenizer.json": {Data: []byte("{}")}, "train.py": {Data: []byte("code")},
	}
}

func TestInspectKeepsWhatServingNeedsAndSaysWhyNotTheRest(t *testing.T) {
	t.Parallel()
	a, err := peft.Inspect(adapter(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"README.md", "adapter_config.json", "adapter_model.safetensors"}, a.Kept()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for _, f := range a.Files {
		if f.Keep == (f.Why != "") {
			t.Errorf("%s: keep %t, why %q", f.Path, f.Keep, f.Why)
		}
	}
	if a.Rank != 6 || a.Alpha != 8 || !slices.Equal(a.Targets, []string{"q_proj", "v_proj"}) || a.ConfigTrouble != nil || a.WeightsTrouble != nil {
		t.Errorf("got %+v", a)
	}
}

func TestTheDigestIsOfTheContentAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	digest := func(change func(fstest.MapFS)) string {
		files := adapter(t)
		change(files)
		d, kept, err := peft.Manifest(ctx, files)
		if err != nil || len(kept) != 3 {
			t.Fatal(kept, err)
		}
		return d
	}
	first := digest(func(fstest.MapFS) {})
	same := digest(func(f fstest.MapFS) {
		f["README.md"].ModTime, f["README.md"].Mode = time.Unix(5, 0), 0o600
		f["optimizer.pt"].Data = []byte("other")
	})
	other := digest(func(f fstest.MapFS) { f["README.md"].Data = []byte("# cart") })
	if first != same || first == other || len(first) != 64 {
		t.Errorf("digests: %s, left out and times changed %s, content changed %s", first, same, other)
	}
}

func TestPackingIsFlatWholeAndRepeats(t *testing.T) {
	t.Parallel()
	var one, two bytes.Buffer
	first, err := peft.Pack(context.Background(), &one, adapter(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := adapter(t)
	changed["adapter_config.json"].ModTime = time.Unix(99, 0)
	second, err := peft.Pack(context.Background(), &two, changed)
	if err != nil || first != second || !bytes.Equal(one.Bytes(), two.Bytes()) || first.Bytes != int64(one.Len()) {
		t.Errorf("two packings differ: %+v, %+v, %v", first, second, err)
	}
	zip, err := gzip.NewReader(&one)
	if err != nil {
		t.Fatal(err)
	}
	archive, got := tar.NewReader(zip), map[string]string{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(archive)
		if strings.Contains(header.Name, "/") || header.Typeflag != tar.TypeReg {
			t.Errorf("%s is not a file at the root", header.Name)
		}
		got[header.Name] = string(text)
	}
	for _, name := range []string{"README.md", "adapter_config.json", "adapter_model.safetensors"} {
		if got[name] != string(adapter(t)[name].Data) {
			t.Errorf("%s came out changed", name)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d entries", len(got))
	}
}

// bfloat16 weights shrink by Huffman coding alone, random bytes do not and are stored.
func TestTheLevelFollowsTheBytes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	values, noise := make([]float32, 200_000), make([]byte, 400_000)
	for i := range values {
		values[i] = float32(random.NormFloat64() * 0.02)
	}
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for name, test := range map[string]struct {
		data      []byte
		low, high float64
	}{"bfloat16": {weights(t, values, safetensors.BF16), 0.6, 0.9}, "noise": {noise, 1, 1.02}} {
		files := adapter(t)
		files["adapter_model.safetensors"].Data = test.data
		packed, err := peft.Pack(context.Background(), io.Discard, files)
		if ratio := float64(packed.Bytes) / float64(len(test.data)); err != nil || ratio < test.low || ratio > test.high {
			t.Errorf("%s: packed to %.3f of its size, %v", name, ratio, err)
		}
	}
}

func TestInspectSurvivesWhatIsNoAdapter(t *testing.T) {
	t.Parallel()
	if _, err := peft.Inspect(fstest.MapFS{"model.gguf": {}}); lora.KindOf(err) != lora.Invalid {
		t.Errorf("no adapter: got %v", err)
	}
	for name, file := range map[string]*fstest.MapFile{
		"no JSON": {Data: []byte("{")}, "a list": {Data: []byte("[]")}, "a wrong type": {Data: []byte(`{"r":"eight"}`)}, "too large": {Data: bytes.Repeat([]byte(" "), 2<<20)},
	} {
		files := adapter(t)
		files["adapter_config.json"] = file
		if a, err := peft.Inspect(files); err != nil || a.ConfigTrouble == nil {
			t.Errorf("%s: got %v, trouble %v", name, err, a.ConfigTrouble)
		}
	}
	files := adapter(t)
	files["adapter_model.safetensors"].Data = files["adapter_model.safetensors"].Data[:50]
	if a, err := peft.Inspect(files); err != nil || lora.KindOf(a.WeightsTrouble) != lora.Invalid {
		t.Errorf("cut weights: got %v, trouble %v", err, a.WeightsTrouble)
	}
	delete(files, "adapter_model.safetensors")
	if a, err := peft.Inspect(files); err != nil || lora.KindOf(a.WeightsTrouble) != lora.NotFound {
		t.Errorf("no weights: got %v, trouble %v", err, a.WeightsTrouble)
	}
}

func TestLinksAreNeverKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(outside, []byte("secret"), 0o600)
	os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(config), 0o600)
	if err := os.Symlink(outside, filepath.Join(dir, "adapter_model.safetensors")); err != nil {
		t.Fatal(err)
	}
	a, err := peft.Inspect(os.DirFS(dir).(fs.StatFS))
	if err != nil || slices.Contains(a.Kept(), "adapter_model.safetensors") {
		t.Errorf("kept %v, %v", a.Kept(), err)
	}
}

func TestModuleTakesNamesApart(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][3]string{
		"base_model.model.model.layers.1.mlp.up_proj.lora_A.weight": {"model.layers.1.mlp.up_proj", "A", "ok"},
		"base_model.model.base_model.model.lm_head.lora_B.weight":   {"lm_head", "B", "ok"},
		"model.layers.1.mlp.up_proj.lora_B.weight":                  {"model.layers.1.mlp.up_proj", "B", "ok"},
		"base_model.model.model.embed_tokens.lora_embedding_A":      {"", "", ""},
		"base_model.model.lm_head.weight":                           {"", "", ""},
	} {
		module, half, ok := peft.Module(name)
		if got := [3]string{module, half, map[bool]string{true: "ok"}[ok]}; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 32<<20)
	for i := range values {
		values[i] = float32(random.NormFloat64() * 0.02)
	}
	files := adapter(b)
	files["adapter_model.safetensors"].Data = weights(b, values, safetensors.BF16)
	b.SetBytes(int64(len(files["adapter_model.safetensors"].Data)))
	for b.Loop() {
		if _, err := peft.Pack(context.Background(), io.Discard, files); err != nil {
			b.Fatal(err)
		}
	}
}

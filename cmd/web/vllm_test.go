package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"loradeck/internal/local/container"
	"loradeck/internal/safetensors"
)

// tiny unpacks the base and the adapter "good" that real vLLMs were recorded with.
func tiny(t *testing.T) (base, good string) {
	t.Helper()
	dir := t.TempDir()
	archive := filepath.Join("..", "..", "internal", "local", "container", "testdata", "tiny-base-and-good.tar.gz")
	if said, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return filepath.Join(dir, "base"), filepath.Join(dir, "good")
}

// vllmServer is what --local-vllm is given: the real server that VLLM_URL names (make test-vllm starts one), else the container of
// the local platform behind HTTP, which answers as a real one was recorded to. That has its base under a path of its own, so the
// folder is named too.
func vllmServer(t *testing.T, base string) string {
	t.Helper()
	if url := os.Getenv("VLLM_URL"); url != "" {
		return url
	}
	c, err := container.Start(t.Context(), container.Config{ModelDir: base, Environment: map[string]string{
		"SM_VLLM_MAX_MODEL_LEN": "256", "SM_VLLM_ENABLE_LORA": "true", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true",
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c)
	t.Cleanup(func() {
		server.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL + ",model=" + base
}

// rewritten is an adapter like that in dir with every tensor changed: under the name that change gives it, with the values as
// change leaves them.
func rewritten(t *testing.T, dir string, change func(name string, values []float32) string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "adapter")
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "adapter_model.safetensors")
	weights, err := safetensors.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	var tensors []safetensors.Values
	for _, tensor := range weights.Header.Tensors {
		values, err := weights.Float32s(tensor.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, safetensors.Values{Name: change(tensor.Name, values), DType: tensor.DType, Shape: tensor.Shape, Data: values})
	}
	var file bytes.Buffer
	if err := safetensors.Write(&file, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAdaptersOnAVLLMEndAsTheirProofDoes(t *testing.T) {
	base, good := tiny(t)
	r := start(t, t.TempDir(), "--local-vllm", "tiny="+vllmServer(t, base))
	r.until(t, "/api/v1/bases", `"name":"tiny-base","place":"local","place_id":"aws:000000000000:us-east-1","endpoint":"local","status":"InService"`)
	faint := rewritten(t, good, func(name string, values []float32) string {
		for i := range values {
			if strings.Contains(name, "lora_B") {
				values[i] *= 0.01
			}
		}
		return name
	})
	beyond := rewritten(t, good, func(name string, _ []float32) string { // of a base with nine layers: vLLM drops them without a word
		return strings.NewReplacer("layers.0.", "layers.7.", "layers.1.", "layers.8.").Replace(name)
	})
	for _, step := range []struct {
		adapter, dir string
		code         int
		outcome      string
	}{
		{"good", good, 0, "proven"},
		{"faint", faint, exitNoEffect, "no effect"},
		{"beyond", beyond, 1, "refused"},
	} {
		code, result := pushes(t, r.url, step.dir, "--base", "tiny-base", "--adapter", step.adapter, "--wait")
		if code != step.code || result.Outcome != step.outcome {
			t.Errorf("%s: it ends with %d, %s: %s; want %d, %s", step.adapter, code, result.Outcome, result.Message, step.code, step.outcome)
		}
	}
}

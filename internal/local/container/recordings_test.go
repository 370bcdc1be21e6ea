package container

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The recordings under testdata are what real vLLMs answered, a folder for each version; bodies are verbatim but for local paths, which became
// ADAPTER_DIR and MODEL_DIR. The archive holds the tiny base and the adapter "good" they were taken with.

type recording struct {
	Note      string     `json:"note"`
	Exchanges []recorded `json:"exchanges"`
}

type recorded struct {
	Name    string `json:"name"`
	Request struct {
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	} `json:"request"`
	Response reply `json:"response"`
}

type reply struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// readRecording reads a file of testdata with the placeholders put back to dir, where base and adapters were unpacked.
func readRecording(t *testing.T, version, name, dir string, into any) {
	t.Helper()
	raw, err := os.ReadFile(recordingPath(version, name))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("ADAPTER_DIR", dir, "MODEL_DIR", modelPath).Replace(string(raw))
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func recordingPath(version, name string) string {
	return filepath.Join("testdata", "vllm-"+version, name+".json")
}

// unpackData unpacks the base and the adapter into a fresh directory.
func unpackData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file, err := os.Open(filepath.Join("testdata", "tiny-base-and-good.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(unzipped); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Clean("/"+head.Name))
		if head.Typeflag == tar.TypeDir {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// recordedEnvironment is the environment that gives the recorded server's options.
func recordedEnvironment() map[string]string {
	return map[string]string{
		"SM_VLLM_MAX_MODEL_LEN": "256", "SM_VLLM_MAX_NUM_SEQS": "8", "SM_VLLM_ENABLE_LORA": "true", "SM_VLLM_MAX_LORAS": "1",
		"SM_VLLM_MAX_CPU_LORAS": "2", "SM_VLLM_MAX_LORA_RANK": "16", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true",
	}
}

// startRecorded starts a container as the recorded server was, with changes to its environment; "" takes a variable away.
func startRecorded(t *testing.T, dir string, open Opener, changes map[string]string) *Container {
	t.Helper()
	return startVersion(t, Version, dir, open, changes)
}

func startVersion(t *testing.T, version, dir string, open Opener, changes map[string]string) *Container {
	t.Helper()
	environment := recordedEnvironment()
	for key, value := range changes {
		environment[key] = value
		if value == "" {
			delete(environment, key)
		}
	}
	c, err := Start(t.Context(), Config{ModelDir: filepath.Join(dir, "base"), Name: "tiny", Version: version, Environment: environment, Open: open})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// send repeats a recorded request against url.
func (e recorded) send(t *testing.T, url string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), e.Request.Method, url+e.Request.Path, strings.NewReader(e.Request.Body))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range e.Request.Headers {
		request.Header.Set(key, value)
	}
	_, request.Close = peer() // uvicorn may close a connection that it did not say it would
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s: %v", e.Name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", e.Name, err)
	}
	out := reply{Status: response.StatusCode, Headers: map[string]string{}, Body: string(body)}
	for _, key := range []string{"content-type", "allow", "location", "x-amzn-sagemaker-new-session-id", "x-amzn-sagemaker-closed-session-id"} {
		if value := response.Header.Get(key); value != "" {
			out.Headers[key] = value
		}
	}
	return out
}

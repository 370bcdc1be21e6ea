package local_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"loradeck/internal/local"
	"loradeck/internal/local/container"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
)

// modelDir is a folder with a base that the user might have: the demo's, with what else lies in such folders.
func modelDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, demo.Base()); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"pytorch_model.bin": "pickled", ".gitattributes": "x", "training_args.txt": "x"} {
		write(t, filepath.Join(dir, name), body)
	}
	return dir
}

func write(t *testing.T, path, body string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start opens a platform with bases, and provides them. Its log is returned beside it.
func start(t *testing.T, dir string, bases ...local.Base) (*local.Server, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	s, err := local.Open(t.Context(), local.Config{Dir: dir, Account: account, Region: region, Bases: bases, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, &said
}

// settled waits for a component and gives its status and the reason of a failure.
func settled(t *testing.T, h http.Handler, name string) (status, reason string) {
	t.Helper()
	eventually(t, name+" settled", func() bool {
		var out struct{ InferenceComponentStatus, FailureReason string }
		operate(t, h, "DescribeInferenceComponent", `{"InferenceComponentName":"`+name+`"}`, &out)
		status, reason = out.InferenceComponentStatus, out.FailureReason
		return status == "InService" || status == "Failed"
	})
	return status, reason
}

// remove deletes a component and waits until it has gone.
func remove(t *testing.T, h http.Handler, name string) {
	t.Helper()
	input := `{"InferenceComponentName":"` + name + `"}`
	if !operate(t, h, "DeleteInferenceComponent", input, nil) {
		t.Fatalf("delete %s: refused", name)
	}
	eventually(t, name+" deleted", func() bool { return !operate(t, h, "DescribeInferenceComponent", input, nil) })
}

// invoke asks a component for a few tokens and gives the whole answer.
func invoke(t *testing.T, h http.Handler, name string) (int, string) {
	t.Helper()
	status, _, body := send(t, h, "POST", "/endpoints/local/invocations", `{"prompt":"What does a cow say?","max_tokens":3,"temperature":0}`,
		"Authorization", signed("sagemaker"), "Content-Type", "application/json", "X-Amzn-Sagemaker-Inference-Component", name)
	return status, body
}

// listing is what S3 lists of a base's files: names, sizes, sums and times.
func listing(t *testing.T, h http.Handler, name string) string {
	t.Helper()
	_, _, body := send(t, h, "GET", "/loradeck-models-"+account+"-"+region+"?list-type=2&prefix="+name+"%2F", "", "Authorization", signed("s3"))
	return body
}

// written are the store's own names of all that was put into it: new ones for what is put again.
func written(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "s3", "parts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestABaseFromAFolderIsThereAfterEveryStartThatNamesIt(t *testing.T) {
	t.Parallel()
	dir, own := t.TempDir(), local.Base{Name: "own", Dir: modelDir(t)}
	s, _ := start(t, dir, own)
	if status, reason := settled(t, s, "own-base"); status != "InService" {
		t.Fatalf("%s: %s", status, reason)
	}
	if status, body := invoke(t, s, "own-base"); status != 200 || !strings.Contains(body, "text_completion") {
		t.Errorf("invoke: %d %s", status, body)
	}
	first := listing(t, s, "own")
	for name, is := range map[string]bool{"config.json": true, "tokenizer.json": true, "model.safetensors": true, "pytorch_model.bin": false, ".gitattributes": false, "training_args.txt": false} {
		if strings.Contains(first, "<Key>own/"+name+"</Key>") != is {
			t.Errorf("%s: copied %t, want %t", name, !is, is)
		}
	}
	copied := written(t, dir)
	remove(t, s, "own-base")
	s.Close()

	s, _ = start(t, dir) // not named: it stays down
	if _, _, state := send(t, s, "GET", "/_local/state", ""); strings.Contains(state, "own-base") {
		t.Errorf("a start that does not name it: %s", state)
	}
	s.Close()

	s, _ = start(t, dir, own)
	if status, reason := settled(t, s, "own-base"); status != "InService" {
		t.Errorf("taken down and named again: %s %s", status, reason)
	}
	if again := written(t, dir); !slices.Equal(again, copied) {
		t.Errorf("files were copied again: %v, before %v", again, copied)
	}
	s.Close()

	s, _ = start(t, dir) // not named, and in service: it stays
	if status, body := invoke(t, s, "own-base"); status != 200 {
		t.Errorf("a start that does not name it: %d %s", status, body)
	}
}

func TestABaseInServiceKeepsItsFilesUntilItIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir, own := t.TempDir(), local.Base{Name: "own", Dir: modelDir(t)}
	s, _ := start(t, dir, own)
	settled(t, s, "own-base")
	before := listing(t, s, "own")
	s.Close()

	if err := os.Remove(filepath.Join(own.Dir, "generation_config.json")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(own.Dir, "special_tokens_map.json"), "{}")
	s, said := start(t, dir, own)
	if after := listing(t, s, "own"); after != before || !strings.Contains(said.String(), "has changed") {
		t.Errorf("beside a base in service: got %s and said %s", after, said)
	}
	remove(t, s, "own-base")
	s.Close()

	s, _ = start(t, dir, own)
	if status, reason := settled(t, s, "own-base"); status != "InService" {
		t.Fatalf("%s: %s", status, reason)
	}
	after := listing(t, s, "own")
	if !strings.Contains(after, "special_tokens_map.json") || strings.Contains(after, "generation_config.json") {
		t.Errorf("made anew: got %s", after)
	}
}

func TestABaseThatFailedIsMadeAgainOnceItsFolderIsMended(t *testing.T) {
	t.Parallel()
	dir, own := t.TempDir(), local.Base{Name: "own", Dir: modelDir(t)}
	path := filepath.Join(own.Dir, "config.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.ReplaceAll(string(good), "LlamaForCausalLM", "FalconForCausalLM"))
	s, _ := start(t, dir, own)
	if status, reason := settled(t, s, "own-base"); status != "Failed" || !strings.Contains(reason, "FalconForCausalLM") {
		t.Errorf("an architecture that the engine does not run: %s %q", status, reason)
	}
	s.Close()

	write(t, path, string(good))
	s, _ = start(t, dir, own)
	if status, reason := settled(t, s, "own-base"); status != "InService" {
		t.Errorf("mended: %s %q", status, reason)
	}
}

func TestBasesThatCannotBeMadeStopTheStart(t *testing.T) {
	t.Parallel()
	whole := modelDir(t)
	without := func(names ...string) string {
		dir := modelDir(t)
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	adapter := without("config.json")
	write(t, filepath.Join(adapter, "adapter_config.json"), "{}")
	tests := []struct {
		bases []local.Base
		want  string
	}{
		{[]local.Base{{Name: "a", Dir: filepath.Join(whole, "nowhere")}}, "no folder that can be read"},
		{[]local.Base{{Name: "a", Dir: filepath.Join(whole, "config.json")}}, "no folder that can be read"},
		{[]local.Base{{Name: "a", Dir: without("config.json")}}, "has no config.json"},
		{[]local.Base{{Name: "a", Dir: adapter}}, "holds an adapter"},
		{[]local.Base{{Name: "a", Dir: without("tokenizer.json")}}, "no tokenizer.json"},
		{[]local.Base{{Name: "a", Dir: without("model.safetensors")}}, "neither model.safetensors"},
		{[]local.Base{{Name: "a", Dir: whole}, {Name: "A", Dir: whole}}, "Two bases"},
		{[]local.Base{{Name: "tiny-llama", Dir: whole}}, "demo's base"},
		{[]local.Base{{Name: "-a", Dir: whole}}, "cannot be a base's name"},
	}
	for _, test := range tests {
		s, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: account, Region: region, Bases: test.bases})
		if err == nil {
			s.Close()
		}
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), test.want) {
			t.Errorf("%s: got %v, want a sentence with %q", fmt.Sprint(test.bases), err, test.want)
		}
	}
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return listener.Addr().String()
}

// serveVLLM has what vLLM is for a base listen at an address, where it calls the base "theirs". A path for which up is false gets 503,
// as while it starts.
func serveVLLM(t *testing.T, address, dir string, up func(path string) bool) *http.Server {
	t.Helper()
	c, err := container.Start(t.Context(), container.Config{ModelDir: dir, Environment: map[string]string{
		"SM_VLLM_ENABLE_LORA": "true", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true", "SM_VLLM_SERVED_MODEL_NAME": "theirs",
	}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up(r.URL.Path) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		c.ServeHTTP(w, r)
	})}
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Close()
		c.Close()
	})
	return server
}

// environment is that of a model.
func environment(t *testing.T, h http.Handler, name string) map[string]string {
	t.Helper()
	var model struct {
		PrimaryContainer struct{ Environment map[string]string }
	}
	operate(t, h, "DescribeModel", `{"ModelName":"`+name+`"}`, &model)
	return model.PrimaryContainer.Environment
}

// TestABaseLearnsFromAVLLMThatAnswersLate has vLLM come up while its component is still being created, and just before its container
// asks, so that it comes into service as what was known before.
func TestABaseLearnsFromAVLLMThatAnswersLate(t *testing.T) {
	t.Parallel()
	t.Run("while the component is Creating", func(t *testing.T) {
		t.Parallel()
		address, dir := freeAddress(t), modelDir(t)
		s, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: account, Region: region, Bases: []local.Base{{Name: "late", URL: "http://" + address, Dir: dir}}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stuck := set(t, s, `{"kind":"stuck-creating","resource":"late-base"}`)
		provided := make(chan error, 1)
		go func() { provided <- s.Provision(t.Context()) }()
		eventually(t, "late-base there", func() bool {
			return operate(t, s, "DescribeInferenceComponent", `{"InferenceComponentName":"late-base"}`, nil)
		})
		asked, once := make(chan struct{}), sync.Once{}
		serveVLLM(t, address, dir, func(path string) bool {
			if path == "/metrics" { // the last that it is asked when a base is made of it
				once.Do(func() { close(asked) })
			}
			return true
		})
		<-asked
		if status, _, body := send(t, s, "DELETE", "/_local/faults/"+stuck, ""); status != http.StatusNoContent {
			t.Fatalf("release: %d %s", status, body)
		}
		if err := <-provided; err != nil {
			t.Fatal(err)
		}
		if status, reason := settled(t, s, "late-base"); status != "InService" {
			t.Errorf("%s: %s", status, reason)
		}
		if has := environment(t, s, "late"); has["SM_VLLM_SERVED_MODEL_NAME"] != "theirs" {
			t.Errorf("its model has %v", has)
		}
	})
	t.Run("once it is InService", func(t *testing.T) {
		t.Parallel()
		address, dir := freeAddress(t), modelDir(t)
		var asked atomic.Int64
		serveVLLM(t, address, dir, func(string) bool { return asked.Add(1) > 1 })
		s, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: account, Region: region, Bases: []local.Base{{Name: "late", URL: "http://" + address, Dir: dir}}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Provision(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, reason := settled(t, s, "late-base"); status != "InService" {
			t.Errorf("%s: %s", status, reason)
		}
		if has := environment(t, s, "late"); has["SM_VLLM_SERVED_MODEL_NAME"] != "theirs" {
			t.Errorf("its model has %v", has)
		}
	})
}

func TestABaseOfAVLLMIsTakenUpOnceThatAnswers(t *testing.T) {
	t.Parallel()
	address := freeAddress(t) // it is down
	config := local.Config{
		Dir: t.TempDir(), Account: account, Region: region, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Bases: []local.Base{{Name: "far", URL: "http://" + address, Dir: modelDir(t), Rank: 64}},
	}
	s, err := local.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	provided := make(chan error)
	go func() { provided <- s.Provision(t.Context()) }()
	if status, reason := settled(t, s, "far-base"); status != "Failed" || !strings.Contains(reason, "The vLLM server at http://"+address+" does not answer") {
		t.Errorf("while it is down: %s %q", status, reason)
	}

	server := serveVLLM(t, address, config.Bases[0].Dir, func(string) bool { return true })
	if err := <-provided; err != nil {
		t.Fatal(err)
	}
	if status, reason := settled(t, s, "far-base"); status != "InService" {
		t.Fatalf("once it answers: %s %q", status, reason)
	}
	if status, body := invoke(t, s, "far-base"); status != 200 || !strings.Contains(body, `"model":"theirs"`) {
		t.Errorf("invoke: %d %s", status, body)
	}
	var model struct {
		PrimaryContainer struct {
			Image       string
			Environment map[string]string
		}
	}
	operate(t, s, "DescribeModel", `{"ModelName":"far"}`, &model)
	got := model.PrimaryContainer
	if got.Image != "local/vllm-server/far:0.11.2" || got.Environment["SM_VLLM_MAX_LORA_RANK"] != "64" || got.Environment["SM_VLLM_SERVED_MODEL_NAME"] != "theirs" || got.Environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] != "true" {
		t.Errorf("its model is %+v", got)
	}
	if files := listing(t, s, "far"); !strings.Contains(files, "far/config.json") || !strings.Contains(files, "far/vllm-model-card.json") || strings.Contains(files, "model.safetensors") {
		t.Errorf("its files are %s", files)
	}
	server.Close()
	if status, body := invoke(t, s, "far-base"); status != 424 || !strings.Contains(body, `"OriginalStatusCode":503`) {
		t.Errorf("down again: %d %s", status, body)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	config.Bases = nil // the next start is not told of it
	if s, err = local.Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	eventually(t, "far-base Failed", func() bool {
		status, reason := settled(t, s, "far-base")
		return status == "Failed" && strings.Contains(reason, "--local-vllm far=URL")
	})
}

// TestVLLMsAreAskedForTheirAdaptersAtOnce has two that answer only when both are asked.
func TestVLLMsAreAskedForTheirAdaptersAtOnce(t *testing.T) {
	t.Parallel()
	dir := modelDir(t)
	c, err := container.Start(t.Context(), container.Config{ModelDir: dir, Environment: map[string]string{"SM_VLLM_ENABLE_LORA": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var together atomic.Bool
	meeting := make(chan struct{})
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if together.Load() {
			select {
			case meeting <- struct{}{}:
			case <-meeting:
			case <-r.Context().Done():
				return
			}
		}
		c.ServeHTTP(w, r)
	})
	one, two := httptest.NewServer(answer), httptest.NewServer(answer)
	defer one.Close()
	defer two.Close()
	s, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: account, Region: region, Bases: []local.Base{{Name: "one", URL: one.URL, Dir: dir}, {Name: "two", URL: two.URL, Dir: dir}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"one-base", "two-base"} {
		if status, reason := settled(t, s, base); status != "InService" {
			t.Fatalf("%s is %s: %s", base, status, reason)
		}
	}
	together.Store(true)
	if _, _, body := send(t, s, "GET", "/_local/state", ""); strings.Count(body, `"held":true`) != 2 {
		t.Errorf("the state is %s", body)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"loradeck/internal/client"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
)

// pushes runs loradeck push and gives what it ends with and prints.
func pushes(t *testing.T, url string, words ...string) (code int, result pushed) {
	t.Helper()
	var stdout bytes.Buffer
	words = append([]string{"push", "--json", "--base", "tiny-llama-base"}, words...)
	err := run(t.Context(), words, func(name string) string { return map[string]string{"LORADECK_URL": url}[name] }, &stdout, t.Output())
	if err != nil {
		t.Log(lora.Message(err))
	}
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		t.Fatalf("it printed %q: %v", stdout.String(), err)
	}
	if code = exitCode(err); result.Exit != code {
		t.Errorf("it ends with %d and says %d", code, result.Exit)
	}
	return code, result
}

// folder is the demo's adapter on disk, with some of its files replaced.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pirate")
	if err := os.CopyFS(dir, demo.Samples()[0].Files); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// faint is the demo's adapter with every B so small that nothing comes of it.
func faint(t *testing.T) []byte {
	t.Helper()
	dir := rewritten(t, folder(t, nil), func(name string, values []float32) string {
		for i := range values {
			if strings.HasSuffix(name, "lora_B.weight") {
				values[i] *= 0.001
			}
		}
		return name
	})
	weights, err := os.ReadFile(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return weights
}

// withDora is the demo's config as of a kind of adapter that vLLM does not load.
func withDora(t *testing.T) []byte {
	t.Helper()
	text, err := fs.ReadFile(demo.Samples()[0].Files, "adapter_config.json")
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config["use_dora"] = true
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPushEndsAsItsProofDoes(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.until(t, "/", "Deploy sample pirate") // the base is in service
	whole, weak := folder(t, nil), folder(t, map[string][]byte{"adapter_model.safetensors": faint(t)})
	notes := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notes, []byte("no adapter"), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		rule    string
		words   []string
		code    int
		outcome string
		message string
	}{
		{"a folder is proven", []string{whole, "--adapter", "sailor", "--tenant", "sea", "--wait"}, 0, "proven", "nats"},
		{"pushed again it is what is there", []string{"--adapter", "sailor", "--tenant", "sea", "--wait", whole}, 0, "proven", "nats"},
		{"without waiting it is accepted", []string{whole, "--adapter", "sailor", "--component", "sailor-b"}, 0, "accepted", "deployed"},
		{"too faint to show", []string{weak, "--wait", "--adapter", "faint"}, exitNoEffect, "no effect", "no effect"},
		{"of a kind that is not served", []string{folder(t, map[string][]byte{"adapter_config.json": withDora(t)}), "--adapter", "dora"}, exitRefused, "refused", "tiny-llama-base"},
		{"no adapter", []string{notes, "--adapter", "notes"}, exitRefused, "refused", "notes.txt"},
		{"no such base", []string{whole, "--adapter", "lost", "--base", "nowhere"}, exitUsage, "error", "nowhere"},
		{"no such place", []string{whole, "--adapter", "lost", "--place", "mars"}, exitUsage, "error", "mars"},
		{"the component's name is taken", []string{weak, "--adapter", "other", "--component", "sailor-v1-tiny-llama-base"}, exitFailed, "failed", "sailor-v1-tiny-llama-base"},
	}
	for _, step := range steps {
		code, result := pushes(t, r.url, step.words...)
		if code != step.code || result.Outcome != step.outcome || !strings.Contains(result.Message, step.message) {
			t.Errorf("%s: got %d %+v, want %d %s with %q", step.rule, code, result, step.code, step.outcome, step.message)
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestPushOfACancelledJobFails(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.until(t, "/", "Deploy sample pirate")
	_, accepted := pushes(t, r.url, folder(t, nil), "--adapter", "sailor")
	page := strings.TrimPrefix(accepted.Page, r.url)
	if status, _ := r.post(t, page+"/cancel", nil); status >= 400 {
		t.Fatalf("cancelling is answered %d", status)
	}
	r.until(t, page, `data-state="cancelled"`)
	c, err := client.New(client.Config{URL: r.url})
	if err != nil {
		t.Fatal(err)
	}
	job, err := c.Watch(t.Context(), accepted.Deployment.Job.ID, func(client.Job) {})
	if err != nil {
		t.Fatal(err)
	}
	p := pusher{client: c}
	p.conclude(t.Context(), p.judge(job))
	if p.result.Exit != exitFailed || !strings.Contains(p.result.Message, "cancelled") {
		t.Errorf("got %+v, want %d", p.result, exitFailed)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestPushWithoutADashboardSaysSo(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if code, result := pushes(t, url, folder(t, nil), "--adapter", "sailor"); code != exitUsage || !strings.Contains(result.Message, url) {
		t.Errorf("got %d %+v, want %d and the address", code, result, exitUsage)
	}
}

func TestPushThatIsStoppedSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, []string{"push", folder(t, nil), "--adapter", "a", "--base", "b", "--url", "http://127.0.0.1:1"}, none, io.Discard, io.Discard)
	if exitCode(err) != exitStopped || !strings.Contains(lora.Message(err), "same command") {
		t.Errorf("got %d, %v", exitCode(err), err)
	}
}

// network is between a push and the dashboard, and can be lost.
type network struct {
	net.Listener

	mu    sync.Mutex // guards the fields below
	to    string     // where the dashboard listens
	left  int64      // bytes until it is lost; < 0 for never
	lost  chan struct{}
	moved int64 // bytes towards the dashboard
}

func newNetwork(t *testing.T, to string, most int64) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	n := &network{Listener: listener, to: to, left: most, lost: make(chan struct{})}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go n.join(conn)
		}
	}()
	return n
}

func (n *network) join(near net.Conn) {
	defer near.Close()
	n.mu.Lock()
	to, there := n.to, n.left != 0
	n.mu.Unlock()
	if !there {
		return
	}
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		io.Copy(near, far)
		near.Close()
	}()
	for buffer := make([]byte, 16<<10); ; {
		got, err := near.Read(buffer)
		if got = n.pass(got); got > 0 {
			if _, err := far.Write(buffer[:got]); err != nil {
				return
			}
		}
		if err != nil || got == 0 {
			return
		}
	}
}

// pass gives how many of so many bytes get through.
func (n *network) pass(bytes int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left == 0 {
		return 0
	}
	if n.left > 0 {
		bytes = int(min(int64(bytes), n.left))
		if n.left -= int64(bytes); n.left == 0 {
			close(n.lost)
		}
	}
	n.moved += int64(bytes)
	return bytes
}

// mend leads to a dashboard again, and gives how many bytes had moved before.
func (n *network) mend(to string) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to, n.left = to, -1
	return n.moved
}

func TestPushGoesOnWhenTheDashboardIsRestarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	r.until(t, "/", "Deploy sample pirate")
	adapter := folder(t, nil)
	info, err := os.Stat(filepath.Join(adapter, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	most := info.Size() / 2
	between := newNetwork(t, strings.TrimPrefix(r.url, "http://"), most)
	type end struct {
		code   int
		result pushed
	}
	ended := make(chan end, 1)
	go func() {
		code, result := pushes(t, "http://"+between.Addr().String(), adapter, "--adapter", "sailor", "--wait")
		ended <- end{code, result}
	}()
	select {
	case <-between.lost:
	case got := <-ended:
		t.Fatalf("it ends before the network is lost, with %d %+v", got.code, got.result)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, dir)
	before := between.mend(strings.TrimPrefix(r.url, "http://"))
	got := <-ended
	if got.code != 0 || got.result.Outcome != "proven" {
		t.Fatalf("it ends with %d %+v", got.code, got.result)
	}
	between.mu.Lock()
	defer between.mu.Unlock()
	if sent, rest := between.moved-before, got.result.Upload.ToSend-most; sent > rest+64<<10 {
		t.Errorf("%d bytes were sent after the restart, and about %d were missing", sent, rest)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestBadWordsOfPushGetASentence(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"push":                                        "adapter to push",
		"push --adapter a --base b":                   "adapter to push",
		"push d --base b":                             "--adapter",
		"push d --adapter a":                          "--base",
		"push d e --adapter a --base b":               `"e"`,
		"push d --adapter a/b --base b":               `"a/b"`,
		"push d --adapter a --base b --force":         "-force",
		"push d --component a_b --base b --adapter a": `"a_b"`,
	} {
		_, err := parseOptions(strings.Fields(line), none)
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), want) {
			t.Errorf("%q: got %v, want a sentence with %q", line, err, want)
		}
	}
	o, err := parseOptions(strings.Fields("push --adapter a dir --base b --wait"), func(name string) string {
		return map[string]string{"LORADECK_URL": "http://127.0.0.1:1", "LORADECK_TOKEN": "t"}[name]
	})
	want := pushOptions{path: "dir", adapter: "a", base: "b", url: "http://127.0.0.1:1", token: "t", wait: true}
	if err != nil || o.push != want {
		t.Errorf("got %+v, %v, want %+v", o.push, err, want)
	}
}

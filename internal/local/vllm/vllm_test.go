package vllm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"loradeck/internal/local/container"
	"loradeck/internal/local/vllm"
	"loradeck/internal/lora"
)

// The server of these tests is the container of the local platform, which speaks as a real vLLM was recorded to, behind HTTP.
// What must hold of a real one runs against that too when VLLM_URL names it (make test-vllm).

const adapterHeader = "X-Amzn-Sagemaker-Adapter-Identifier"

// unpack gives a folder with the base and the adapter "good" that the recordings were taken with.
func unpack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file, err := os.Open(filepath.Join("..", "container", "testdata", "tiny-base-and-good.tar.gz"))
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
		if head.Typeflag == tar.TypeDir {
			continue
		}
		path := filepath.Join(dir, filepath.Clean("/"+head.Name))
		body, err := io.ReadAll(archive)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, body, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// peer is a vLLM that a test may stop, start and look into.
type peer struct {
	t           *testing.T
	dir         string // of the base
	environment map[string]string
	addr        string
	stop        func()

	mu   sync.Mutex
	seen []string // methods and addresses of what was asked
	key  string   // that it asks for
}

func newPeer(t *testing.T, dir string, changes map[string]string) *peer {
	t.Helper()
	p := &peer{t: t, dir: filepath.Join(dir, "base"), addr: "127.0.0.1:0", environment: map[string]string{
		"SM_VLLM_MAX_MODEL_LEN": "256", "SM_VLLM_ENABLE_LORA": "true", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true",
	}}
	for key, value := range changes {
		p.environment[key] = value
	}
	p.start()
	t.Cleanup(func() { p.stop() })
	return p
}

// start starts it, at its old address when it had one, knowing no adapter.
func (p *peer) start() {
	p.t.Helper()
	c, err := container.Start(p.t.Context(), container.Config{ModelDir: p.dir, Name: "peer", Environment: p.environment})
	if err != nil {
		p.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.addr = listener.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r.Method+" "+r.URL.Path)
		locked := p.key != "" && r.Header.Get("Authorization") != "Bearer "+p.key && strings.HasPrefix(r.URL.Path, "/v1")
		p.mu.Unlock()
		if locked { // as vLLM's --api-key does
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"Unauthorized"}`)
			return
		}
		c.ServeHTTP(w, r)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(listener) })
	p.stop = func() {
		if err := errors.Join(server.Close(), c.Close()); err != nil {
			p.t.Error(err)
		}
		serving.Wait() // a server that is closed before it serves closes its listener then
		p.stop = func() {}
	}
}

func (p *peer) url() string { return "http://" + p.addr }

// asked reports whether something was asked since the last time.
func (p *peer) asked(what string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.seen {
		if one == what {
			n++
		}
	}
	p.seen = nil
	return n
}

// place puts a server into the place of a container.
func place(t *testing.T, at vllm.Server) *vllm.Container {
	t.Helper()
	c, err := vllm.Start(t.Context(), at, "tiny", false, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// do asks a container as the platform does. Headers come in pairs.
func do(t *testing.T, c http.Handler, method, target, body string, headers ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://container"+target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func register(t *testing.T, c http.Handler, name, dir string) (int, string) {
	t.Helper()
	return do(t, c, "POST", "/adapters?"+url.Values{"name": {name}, "src": {dir}}.Encode(), "")
}

// said is the model and the text of an answer of the base, or of an adapter.
func said(t *testing.T, c http.Handler, adapter string) (model, text string) {
	t.Helper()
	status, body := do(t, c, "POST", "/invocations", `{"messages":[{"role":"user","content":"What about the boat?"}],"temperature":0,"max_tokens":24,"model":"nobody"}`, adapterHeader, adapter)
	var out struct {
		Model   string
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal([]byte(body), &out); status != 200 || err != nil || len(out.Choices) != 1 {
		t.Fatalf("%s answers %d %s", adapter, status, body)
	}
	return out.Model, out.Choices[0].Message.Content
}

// urls are the servers that must all behave alike: one with the image's routes and one without, and a real one if there is.
func urls(t *testing.T, dir string) map[string]string {
	t.Helper()
	if real := os.Getenv("VLLM_URL"); real != "" {
		return map[string]string{"real": real, "real, its own routes": without(t, real)}
	}
	with := newPeer(t, dir, nil).url()
	return map[string]string{"contract": with, "own routes": without(t, newPeer(t, dir, nil).url())}
}

// without hides the SageMaker image's routes of a server.
func without(t *testing.T, at string) string {
	t.Helper()
	to, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/adapters") || r.URL.Path == "/invocations" || r.URL.Path == "/ping" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"detail":"Not Found"}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAServerAnswersInTheContainersPlace(t *testing.T) {
	dir := unpack(t)
	for name, at := range urls(t, dir) {
		t.Run(name, func(t *testing.T) {
			c := place(t, vllm.Server{URL: at})
			if status, body := do(t, c, "POST", "/invocations", `{"prompt":"The boat","max_tokens":3}`, adapterHeader, "pirate"); status != 404 || !strings.Contains(body, "does not exist") {
				t.Errorf("an adapter that nobody registered: %d %s", status, body)
			}
			if status, body := register(t, c, "pirate", filepath.Join(dir, "good")); status != 200 {
				t.Fatalf("register: %d %s", status, body)
			}
			t.Cleanup(func() { do(t, c, "DELETE", "/adapters/pirate", "") })
			model, base := said(t, c, "")
			if model != "/opt/ml/model" {
				t.Errorf("the base is called %s", model)
			}
			if model, text := said(t, c, "pirate"); model != "pirate" || text == base || !strings.Contains(text, "Ahoy") {
				t.Errorf("%s says %q, the base %q", model, text, base)
			}
			status, stream := do(t, c, "POST", "/invocations", `{"prompt":"The boat","max_tokens":6,"temperature":0,"stream":true}`, adapterHeader, "pirate")
			if status != 200 || strings.Count(stream, "data: ") < 2 || !strings.HasSuffix(strings.TrimSpace(stream), "data: [DONE]") {
				t.Errorf("a stream: %d %q", status, stream)
			}
			if status, body := register(t, c, "pirate", filepath.Join(dir, "good")); status != 200 {
				t.Errorf("registered by an earlier platform, of the same folder: %d %s", status, body)
			}
			if status, body := register(t, c, "bad", filepath.Join(dir, "nowhere")); status != 404 || !strings.Contains(body, "No adapter found") {
				t.Errorf("a folder that is not there: %d %s", status, body)
			}
			if status, _ := do(t, c, "POST", "/invocations", `{"prompt":`); status != 400 {
				t.Errorf("no JSON: %d", status)
			}
			has, err := c.Adapters(t.Context())
			if err != nil || !slices.Equal(has, []vllm.Adapter{{Name: "pirate", Loaded: true}}) {
				t.Errorf("it has %v, %v", has, err)
			}
			if status, body := do(t, c, "DELETE", "/adapters/pirate", ""); status != 200 {
				t.Errorf("unregister: %d %s", status, body)
			}
			if status, _ := do(t, c, "DELETE", "/adapters/pirate", ""); status != 404 {
				t.Errorf("unregister again: %d, want 404", status)
			}
		})
	}
}

func TestAServerTellsWhatItIs(t *testing.T) {
	dir := unpack(t)
	for name, at := range urls(t, dir) {
		about, err := vllm.Server{URL: at}.Ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if about.Version == "" || about.Model != "/opt/ml/model" || about.Context != 256 || !about.Loads || about.Contract == strings.Contains(name, "own routes") || !json.Valid(about.Card) {
			t.Errorf("%s: got %+v", name, about)
		}
	}
}

func TestARestartedServerGetsItsAdaptersBack(t *testing.T) {
	t.Parallel()
	dir := unpack(t)
	p := newPeer(t, dir, nil)
	c := place(t, vllm.Server{URL: p.url()})
	for _, name := range []string{"one", "two"} {
		if status, body := register(t, c, name, filepath.Join(dir, "good")); status != 200 {
			t.Fatalf("register: %d %s", status, body)
		}
	}
	_, before := said(t, c, "one")
	p.stop()
	if status, body := do(t, c, "POST", "/invocations", `{"prompt":"x"}`, adapterHeader, "one"); status != 503 || !strings.Contains(body, "does not answer") {
		t.Errorf("while it is down: %d %s", status, body)
	}
	p.start()
	p.asked("")
	var running sync.WaitGroup
	for range 4 { // all at once: it is registered once
		running.Go(func() {
			if _, text := said(t, c, "one"); text != before {
				t.Errorf("after the restart one says %q, before %q", text, before)
			}
		})
	}
	running.Wait()
	if _, text := said(t, c, "two"); text != before {
		t.Errorf("after the restart two says %q, before %q", text, before)
	}
	do(t, c, "DELETE", "/adapters/two", "")
	if status, _ := do(t, c, "POST", "/invocations", `{"prompt":"x"}`, adapterHeader, "two"); status != 404 {
		t.Errorf("what was unregistered came back: %d", status)
	}
}

// TestAServerIsNotAskedAgainForWhatItToldJustNow counts what a look at its adapters costs it.
func TestAServerIsNotAskedAgainForWhatItToldJustNow(t *testing.T) {
	t.Parallel()
	dir := unpack(t)
	p := newPeer(t, dir, nil)
	c := place(t, vllm.Server{URL: p.url()})
	now := time.Now()
	c.SetNow(func() time.Time { return now })
	p.asked("")
	look := func(what string, asked int, want ...vllm.Adapter) {
		t.Helper()
		got, err := c.Adapters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := p.asked("GET /v1/models"); n != asked || !slices.Equal(got, want) {
			t.Errorf("%s: it is asked %d times and has %v; want %d and %v", what, n, got, asked, want)
		}
	}
	look("new", 1)
	look("at once", 0)
	now = now.Add(9 * time.Second)
	look("soon", 0)
	now = now.Add(time.Second)
	look("later", 1)
	register(t, c, "one", filepath.Join(dir, "good"))
	look("after a registration", 1, vllm.Adapter{Name: "one", Loaded: true})
	do(t, c, "DELETE", "/adapters/one", "")
	look("after its end", 1)
	register(t, c, "two", filepath.Join(dir, "good"))
	p.stop()
	if _, err := c.Adapters(t.Context()); err == nil {
		t.Error("a server that is down has told of its adapters")
	}
	p.start()
	look("after a restart", 1, vllm.Adapter{Name: "two"})
	if status, body := do(t, c, "POST", "/invocations", `{"prompt":"x"}`, adapterHeader, "two"); status != 200 {
		t.Errorf("its next request: %d %s", status, body)
	}
	look("after its next request", 1, vllm.Adapter{Name: "two", Loaded: true})
}

func TestAnAdapterOfAnotherFolderMakesRoom(t *testing.T) {
	t.Parallel()
	dir := unpack(t)
	p := newPeer(t, dir, nil)
	other := filepath.Join(dir, "other")
	if err := os.CopyFS(other, os.DirFS(filepath.Join(dir, "good"))); err != nil {
		t.Fatal(err)
	}
	before := place(t, vllm.Server{URL: p.url()})
	register(t, before, "one", filepath.Join(dir, "good"))
	p.asked("")
	c := place(t, vllm.Server{URL: p.url()}) // the platform has been restarted
	if status, body := register(t, c, "one", other); status != 200 || p.asked("DELETE /adapters/one") != 1 {
		t.Errorf("a name that an earlier lifetime of the component left: %d %s", status, body)
	}
}

func TestAServerMayBeDownWhenThePlatformComesBack(t *testing.T) {
	t.Parallel()
	dir := unpack(t)
	p := newPeer(t, dir, nil)
	p.stop()
	at := vllm.Server{URL: p.url()}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	if _, err := vllm.Start(t.Context(), at, "tiny", false, log); lora.KindOf(err) != lora.Unavailable || !strings.Contains(lora.Message(err), "does not answer (dial") {
		t.Errorf("a new base: got %v, want a sentence", err)
	}
	c, err := vllm.Start(t.Context(), at, "tiny", true, log)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := register(t, c, "one", filepath.Join(dir, "good")); status != 503 {
		t.Errorf("register while it is down: %d, want 503", status)
	}
	p.start()
	if _, text := said(t, c, "one"); !strings.Contains(text, "Ahoy") {
		t.Errorf("once it is up the adapter says %q", text)
	}
}

func TestAServersKeyGoesToItAlone(t *testing.T) {
	t.Parallel()
	dir := unpack(t)
	p := newPeer(t, dir, nil)
	p.key = "a-secret-key"
	if _, err := (vllm.Server{URL: p.url()}).Ask(t.Context()); !strings.Contains(lora.Message(err), "LORADECK_LOCAL_VLLM_KEY") {
		t.Errorf("without its key: got %v", err)
	}
	var log bytes.Buffer
	c, err := vllm.Start(t.Context(), vllm.Server{URL: p.url(), Key: p.key}, "tiny", false, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	said(t, c, "")

	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer stranger.Close()
	crooked := httptest.NewServer(http.RedirectHandler(stranger.URL, http.StatusTemporaryRedirect))
	defer crooked.Close()
	_, err = vllm.Server{URL: crooked.URL, Key: p.key}.Ask(t.Context())
	if err == nil || strings.Contains(err.Error()+log.String(), p.key) {
		t.Errorf("got %v and logged %s; the key must be in neither", err, log.String())
	}
}

func TestWhatIsNoVLLMIsCalledSo(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]http.HandlerFunc{
		"is no vLLM": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/health" {
				http.NotFound(w, r)
			}
		},
		"is not healthy":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"does not list":      func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"data": "x"}`) },
		"its models as vLLM": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"data": []}`) },
	} {
		server := httptest.NewServer(answer)
		if _, err := (vllm.Server{URL: server.URL}).Ask(t.Context()); !strings.Contains(lora.Message(err), want) {
			t.Errorf("got %v, want a sentence with %q", err, want)
		}
		server.Close()
	}
}

func TestAdaptersAreNamedAsTheServerSeesThem(t *testing.T) {
	t.Parallel()
	dir := unpack(t)
	p := newPeer(t, dir, nil)
	c := place(t, vllm.Server{URL: p.url(), Here: "/var/loradeck/containers", There: dir})
	if status, body := register(t, c, "one", "/var/loradeck/containers/good"); status != 200 {
		t.Errorf("register: %d %s", status, body)
	}
	if status, body := register(t, c, "two", "/var/loradeck/other"); status != 404 || !strings.Contains(body, "/var/loradeck/other") {
		t.Errorf("a folder elsewhere keeps its name: %d %s", status, body)
	}
}

// reader takes an answer piece by piece.
type reader struct {
	header http.Header
	pieces chan string
}

func (r *reader) Header() http.Header { return r.header }
func (r *reader) WriteHeader(int)     {}
func (r *reader) Flush()              {}
func (r *reader) Write(p []byte) (int, error) {
	r.pieces <- string(p)
	return len(p), nil
}

func TestPiecesOfAStreamPassAsTheyCome(t *testing.T) {
	t.Parallel()
	goOn := make(chan bool)
	peer := newPeer(t, unpack(t), nil)
	to, err := url.Parse(peer.url())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/invocations" {
			proxy.ServeHTTP(w, r)
			return
		}
		for <-goOn {
			io.WriteString(w, "data: piece\n\n")
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler) // the connection breaks
	}))
	defer server.Close()
	c := place(t, vllm.Server{URL: server.URL})
	got, broken := &reader{header: http.Header{}, pieces: make(chan string)}, make(chan any)
	go func() {
		defer func() { broken <- recover() }()
		c.ServeHTTP(got, httptest.NewRequestWithContext(t.Context(), "POST", "http://container/invocations", strings.NewReader(`{"prompt":"x","stream":true}`)))
	}()
	for range 3 {
		goOn <- true
		if piece := <-got.pieces; piece != "data: piece\n\n" { // before the server has said more
			t.Errorf("got %q", piece)
		}
	}
	close(goOn)
	if fault := <-broken; fault != http.ErrAbortHandler {
		t.Errorf("a stream that breaks: got %v, want it to be told", fault)
	}
}

// A server that was away is met by all who wait for it at once.
func TestOneQuestionServesAllWhoWait(t *testing.T) {
	t.Parallel()
	const callers = 16
	p := newPeer(t, unpack(t), nil)
	to, err := url.Parse(p.url())
	if err != nil {
		t.Fatal(err)
	}
	proxy, away, back := httputil.NewSingleHostReverseProxy(to), true, make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case away: // only Start asks then
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case r.URL.Path == "/health":
			<-back
		}
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	c, err := vllm.Start(t.Context(), vllm.Server{URL: server.URL}, "base", true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	away = false
	p.asked("")
	var begun, ended sync.WaitGroup
	gone, leave := context.WithCancel(t.Context())
	for i := range callers {
		begun.Add(1)
		ended.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = gone
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/invocations", strings.NewReader(`{"prompt":"The boat","max_tokens":1}`))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			begun.Done()
			c.ServeHTTP(w, r)
			if i > 0 && w.Code != http.StatusOK {
				t.Errorf("answered %d: %s", w.Code, w.Body)
			}
		})
	}
	begun.Wait()
	leave() // whoever asked for all may have gone
	close(back)
	ended.Wait()
	if n := p.asked("GET /health"); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"loradeck/internal/lora"
)

// running is the program, run in this process.
type running struct {
	url, aws string
	stop     func() error
}

// start runs the program on free ports until stop is called or the test ends.
func start(t *testing.T, dir string, extra ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"--addr", "127.0.0.1:0", "--local-addr", "127.0.0.1:0", "--data", dir}, extra...), none, stdout, t.Output())
		stdout.CloseWithError(errors.Join(io.EOF, err))
		ended <- err
	}()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { stop() }) // before the folder goes
	printed := make([]byte, 0, 256)
	form := regexp.MustCompile(`^dashboard     (http://127\.0\.0\.1:\d+)\nAWS endpoint  (http://127\.0\.0\.1:\d+)\n$`)
	for {
		var chunk [256]byte
		n, err := out.Read(chunk[:])
		printed = append(printed, chunk[:n]...)
		if found := form.FindSubmatch(printed); found != nil {
			return running{url: string(found[1]), aws: string(found[2]), stop: stop}
		}
		if err != nil || bytes.Count(printed, []byte("\n")) >= 2 {
			t.Fatalf("printed %q, want the two addresses: %v", printed, err)
		}
	}
}

// get reads a page.
func (r running) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	answer, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// until reads a page again and again until it says something.
func (r running) until(t *testing.T, path, words string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var body string
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); <-tick.C {
		if _, body = r.get(t, path); strings.Contains(body, words) {
			return
		}
	}
	t.Fatalf("%s never said %q:\n%s", path, words, body)
}

// post sends a form and gives where it leads.
func (r running) post(t *testing.T, path string, form url.Values) (status int, location string) {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm(r.url+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("Location")
}

func TestSampleGoesFromTheDeckToProvenAndAwayAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	if status, body := r.get(t, "/healthz"); status != http.StatusOK || !strings.Contains(body, `"ok"`) {
		t.Fatalf("/healthz answers %d %s", status, body)
	}
	const place, base, component = "aws:000000000000:us-east-1", "tiny-llama-base", "pirate-v1-tiny-llama-base"
	r.until(t, "/", "Deploy sample pirate")
	form := url.Values{"place": {place}, "base": {base}}
	status, job := r.post(t, "/samples/pirate/deploy", form)
	if status != http.StatusSeeOther || job != "/jobs/1" {
		t.Fatalf("deploying leads to %d %q, want 303 to the job", status, job)
	}
	if _, again := r.post(t, "/samples/pirate/deploy", form); again != job {
		t.Errorf("pressed twice it leads to %q, want the same job", again)
	}
	r.until(t, job, `data-state="proven"`)
	if err := r.stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}

	r = start(t, dir)
	r.until(t, "/", "Remove pirate")
	if _, body := r.get(t, job); !strings.Contains(body, `data-state="proven"`) {
		t.Error("after a restart the job is not proven any more")
	}
	removal := "/remove?" + url.Values{"place": {place}, "component": {component}}.Encode()
	if status, job = r.post(t, removal, nil); status != http.StatusSeeOther {
		t.Fatalf("removing is answered %d", status)
	}
	r.until(t, job, "the service no longer knows it")
	r.until(t, "/", "Deploy sample pirate")
	if err := r.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestSecondProgramOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	err := run(t.Context(), []string{"--addr", "127.0.0.1:0", "--local-addr", "127.0.0.1:0", "--data", dir}, none, io.Discard, io.Discard)
	if err == nil || !strings.Contains(lora.Message(err), dir) {
		t.Errorf("got %v, want a sentence that names the folder", err)
	}
	if status, _ := r.get(t, "/healthz"); status != http.StatusOK {
		t.Errorf("the first one answers %d now", status)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestOffLoopbackNeedsATokenFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/data"
	err := run(t.Context(), []string{"--addr", "0.0.0.0:0", "--local-addr", "none", "--data", dir}, none, io.Discard, io.Discard)
	if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "--token-file") {
		t.Errorf("got %v, want a refusal that names --token-file", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the data folder was made all the same")
	}
}

func TestOtherSitesReachNothing(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	socket := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
	tests := []struct {
		name, method, url, host string
		headers                 map[string]string
		want                    int
	}{
		{"a page by another name", http.MethodGet, r.url + "/", "evil.example", nil, http.StatusForbidden},
		{"a form of another site", http.MethodPost, r.url + "/samples/pirate/deploy", "", map[string]string{"Origin": "http://evil.example"}, http.StatusForbidden},
		{"a socket by another name", http.MethodGet, r.url + "/live?page=deck", "evil.example", socket, http.StatusForbidden},
		{"a socket of another site", http.MethodGet, r.url + "/live?page=deck", "", with(socket, "Origin", "http://evil.example"), http.StatusForbidden},
		{"a socket of its own", http.MethodGet, r.url + "/live?page=deck", "", with(socket, "Origin", r.url), http.StatusSwitchingProtocols},
		{"the local platform by another name", http.MethodGet, r.aws + "/", "evil.example", nil, http.StatusForbidden},
		{"the local platform from another site", http.MethodPost, r.aws + "/", "", map[string]string{"Origin": "http://evil.example"}, http.StatusForbidden},
	}
	for _, test := range tests {
		request, err := http.NewRequestWithContext(t.Context(), test.method, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		for name, value := range test.headers {
			request.Header.Set(name, value)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.want {
			t.Errorf("%s is answered %s, want %d", test.name, answer.Status, test.want)
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func with(headers map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for n, v := range headers {
		all[n] = v
	}
	return all
}

package handlers_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"loradeck/internal/cloud"
	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/people"
)

const (
	danasToken = "danas-token-0123456789"
	evesToken  = "eves-token-0123456789x"
	adasToken  = "adas-token-0123456789x"
)

// guarded is a gate with dana, who may ship, eve, who may watch, and ada, who may do everything.
func guarded(t *testing.T) *people.Gate {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("dana ship "+danasToken+"\neve watch "+evesToken+"\nada admin "+adasToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gate, err := people.FromFile(path, []byte("a key that signs the cookies of a test"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

// platform is a local platform with nothing on it yet.
func platform(t *testing.T) *cloud.Place {
	t.Helper()
	there, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Demo: demo.Base(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(there)
	t.Cleanup(func() {
		server.Close()
		there.Close()
	})
	place, err := cloud.Open(t.Context(), cloud.Config{Name: "local", Region: "us-east-1", Endpoint: server.URL, AccessKey: "a", SecretKey: "b", Local: true})
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// contract is the API's description, as the server gives it.
type contract struct {
	doc   *openapi3.T
	paths map[*regexp.Regexp]*openapi3.PathItem
}

var parameter = regexp.MustCompile(`\\\{[a-z]+\\\}`)

func describedBy(t *testing.T, text string) contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatalf("the description cannot be read: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("the description is no OpenAPI document: %v", err)
	}
	c := contract{doc, map[*regexp.Regexp]*openapi3.PathItem{}}
	for path, item := range doc.Paths.Map() {
		form := parameter.ReplaceAllString(regexp.QuoteMeta("/api/v1"+path), `[0-9]+`)
		c.paths[regexp.MustCompile("^"+form+"$")] = item
	}
	return c
}

// holds fails the test unless the description allows the answer.
func (c contract) holds(t *testing.T, r *http.Request, got answer) {
	t.Helper()
	for form, item := range c.paths {
		operation := item.GetOperation(r.Method)
		if !form.MatchString(r.URL.Path) || operation == nil {
			continue
		}
		response := operation.Responses.Value(strconv.Itoa(got.status))
		if response == nil {
			t.Errorf("%s %s answers %d, which is not described: %s", r.Method, r.URL.Path, got.status, got.body)
			return
		}
		for name := range response.Value.Headers {
			if got.header.Get(name) == "" {
				t.Errorf("%s %s answers without the header %s", r.Method, r.URL.Path, name)
			}
		}
		kind, _, _ := strings.Cut(got.header.Get(echo.HeaderContentType), ";")
		media := response.Value.Content.Get(kind)
		if r.Method == http.MethodHead || media == nil && len(response.Value.Content) == 0 {
			if got.body != "" {
				t.Errorf("%s %s answers %q, and no body is described", r.Method, r.URL.Path, got.body)
			}
			return
		}
		if media == nil {
			t.Errorf("%s %s answers %q, want one of %v", r.Method, r.URL.Path, kind, slices.Collect(maps.Keys(response.Value.Content)))
			return
		}
		if kind != echo.MIMEApplicationJSON {
			return
		}
		var value any
		if err := json.Unmarshal([]byte(got.body), &value); err != nil {
			t.Errorf("%s %s answers no JSON: %v", r.Method, r.URL.Path, err)
			return
		}
		if err := media.Schema.Value.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors()); err != nil {
			t.Errorf("%s %s answers %s, which is not as described: %v", r.Method, r.URL.Path, got.body, err)
		}
		return
	}
	t.Errorf("%s %s is not described", r.Method, r.URL.Path)
}

// program speaks to the API as one person, and holds every answer against the description.
type program struct {
	*deck
	contract contract
	token    string
}

func (d *deck) program(t *testing.T, token string) program {
	t.Helper()
	p := program{deck: d, token: token}
	r := p.ask(t, http.MethodGet, "/api/v1/openapi.json", "")
	p.contract = describedBy(t, d.do(t, r).body)
	return p
}

// ask makes a request with a JSON body, "" for none.
func (p program) ask(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	return r
}

// send sends a request, which must be answered with the wanted status and as described.
func (p program) send(t *testing.T, r *http.Request, want int) answer {
	t.Helper()
	got := p.do(t, r)
	if got.status != want {
		t.Errorf("%s %s answers %d %s, want %d", r.Method, r.URL.Path, got.status, got.body, want)
	}
	p.contract.holds(t, r, got)
	return got
}

// call is ask and send, and reads the answer into value unless that is nil.
func (p program) call(t *testing.T, method, path, body string, want int, value any) answer {
	t.Helper()
	got := p.send(t, p.ask(t, method, path, body), want)
	if value == nil {
		return got
	}
	if err := json.Unmarshal([]byte(got.body), value); err != nil {
		t.Fatalf("%s %s answers %s: %v", method, path, got.body, err)
	}
	return got
}

// tus makes a request of the upload protocol.
func (p program) tus(t *testing.T, method, path string, piece []byte, headers map[string]string) *http.Request {
	t.Helper()
	r := p.ask(t, method, path, "")
	r.Header.Set("Tus-Resumable", "1.0.0")
	if piece != nil {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(piece))), int64(len(piece))
		r.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return r
}

// pirate is the demo's adapter, by file.
func pirate(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		text, err := fs.ReadFile(demo.Samples()[0].Files, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	return files
}

package vllm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"loradeck/internal/lora"
)

const (
	// askLimit is how long a server may take to say who it is or to load an adapter. It answers neither while it compiles or
	// loads another one.
	askLimit = 2 * time.Minute
	// greetLimit is how long it may take to say that it is there.
	greetLimit = 5 * time.Second
	// maxAnswer is how much is read of an answer that is not passed on; a list of a thousand adapters is under 1 MB.
	maxAnswer = 8 << 20
)

// Server is a running vLLM as the platform reaches it.
type Server struct {
	URL   string // http or https, without user and path's end slash
	Key   string // API key; "" sends none
	Here  string // directory below which the platform keeps adapters
	There string // the same directory as vLLM sees it; "" is Here
}

// About is what a server tells of itself.
type About struct {
	Version  string
	Model    string          // what it calls its base
	Root     string          // where it has the base from: a path on its host, or a name on the model hub
	Context  int             // tokens of one request; 0 when it does not tell
	MaxLoras int             // different adapters in one batch; 0 when it does not tell
	Contract bool            // it has the SageMaker image's routes for adapters
	Loads    bool            // it loads adapters while it runs, by those routes or its own
	Card     json.RawMessage // its own description of the base, an entry of /v1/models
}

// Ask learns what runs at a server. Its error is a lora.Unavailable that says what to do.
func (s Server) Ask(ctx context.Context) (About, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := s.greet(ctx); err != nil {
		return About{}, err
	}
	var about About
	got, err := s.send(ctx, http.MethodGet, "/v1/models", "", nil)
	if err != nil {
		return About{}, err
	}
	switch {
	case got.status == http.StatusUnauthorized:
		return About{}, lora.Errorf(lora.Unavailable, "The vLLM server at %s asks for an API key. Set LORADECK_LOCAL_VLLM_KEY to the one it was started with.", s.URL)
	case got.status != http.StatusOK:
		return About{}, lora.Errorf(lora.Unavailable, "The server at %s answers GET /v1/models with %d: it is no vLLM.", s.URL, got.status)
	}
	base, err := baseCard(got.body)
	if err != nil {
		return About{}, lora.Wrap(err, lora.Unavailable, "The server at %s does not list its models as vLLM does.", s.URL)
	}
	about.Model, about.Root, about.Context, about.Card = base.ID, base.Root, base.MaxModelLen, base.raw
	if about.Version, err = s.version(ctx); err != nil {
		return About{}, err
	}
	for path, has := range map[string]*bool{"/adapters": &about.Contract, "/v1/load_lora_adapter": &about.Loads} {
		if got, err = s.send(ctx, http.MethodGet, path, "", nil); err != nil {
			return About{}, err
		}
		*has = got.status == http.StatusMethodNotAllowed // there, but not for GET
	}
	about.Loads = about.Loads || about.Contract
	if got, err = s.send(ctx, http.MethodGet, "/metrics", "", nil); err == nil && got.status == http.StatusOK {
		about.MaxLoras = maxLoras(got.body)
	}
	return about, nil
}

// greet waits a moment for a sign of life.
func (s Server) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	got, err := s.send(ctx, http.MethodGet, "/health", "", nil)
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return lora.Errorf(lora.Unavailable, "The vLLM server at %s is not healthy: GET /health answers %d. Look at its log.", s.URL, got.status)
	}
	return nil
}

func (s Server) version(ctx context.Context) (string, error) {
	got, err := s.send(ctx, http.MethodGet, "/version", "", nil)
	var out struct {
		Version string `json:"version"`
	}
	if err == nil && got.status == http.StatusOK {
		_ = json.Unmarshal(got.body, &out) // without a version it is one that is not known
	}
	return out.Version, err
}

// card is an entry of /v1/models.
type card struct {
	ID          string  `json:"id"`
	Root        string  `json:"root"`
	Parent      *string `json:"parent"`
	MaxModelLen int     `json:"max_model_len"` // 0 when null
	raw         json.RawMessage
}

func cards(body []byte) ([]card, error) {
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	out := make([]card, len(list.Data))
	for i, raw := range list.Data {
		if err := json.Unmarshal(raw, &out[i]); err != nil {
			return nil, err
		}
		out[i].raw = raw
	}
	return out, nil
}

// baseCard finds the base, which has no parent.
func baseCard(body []byte) (card, error) {
	all, err := cards(body)
	if err != nil {
		return card{}, err
	}
	for _, c := range all {
		if c.Parent == nil && c.ID != "" {
			return c, nil
		}
	}
	return card{}, errors.New("no model without a parent is listed")
}

var maxLora = regexp.MustCompile(`(?m)^vllm:lora_requests_info\{.*max_lora="(\d+)"`)

// maxLoras reads the number of adapters in a batch off the metrics, which have it once an adapter was asked for.
func maxLoras(metrics []byte) (n int) {
	if found := maxLora.FindSubmatch(metrics); found != nil {
		fmt.Sscan(string(found[1]), &n)
	}
	return n
}

// answer is a whole answer of a server.
type answer struct {
	status int
	kind   string // of its content
	body   []byte
}

// unknownRoute reports whether the server has no such address, rather than no such thing behind it.
func (a answer) unknownRoute() bool {
	return a.status == http.StatusNotFound && string(bytes.TrimSpace(a.body)) == `{"detail":"Not Found"}`
}

// send asks and reads the whole answer.
func (s Server) send(ctx context.Context, method, path, kind string, body []byte) (answer, error) {
	header := http.Header{}
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	response, err := s.open(ctx, method, path, header, body)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, kind: response.Header.Get("Content-Type")}
	if got.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return answer{}, s.unreachable(err)
	}
	return got, nil
}

// open asks and leaves the answer's body to be read.
func (s Server) open(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	// Asking again does no harm, and uvicorn closes connections that it did not say it would. (With no value it is not sent.)
	request.Header["X-Idempotency-Key"] = nil
	if s.Key != "" {
		request.Header.Set("Authorization", "Bearer "+s.Key)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return nil, s.unreachable(err)
	}
	return response, nil
}

// unreachable says that a server does not answer, and why: without the address, which net/http repeats.
func (s Server) unreachable(err error) error {
	why := err
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		why = wrapped.Err
	}
	return lora.Wrap(err, lora.Unavailable, "The vLLM server at %s does not answer (%v). Start it; the base is taken up once it answers.", s.URL, why)
}

// seen is a directory of the platform as vLLM sees it.
func (s Server) seen(dir string) string {
	if s.There == "" {
		return dir
	}
	rest, err := filepath.Rel(s.Here, dir)
	if err != nil || !filepath.IsLocal(rest) {
		return dir
	}
	return strings.TrimSuffix(s.There, "/") + "/" + filepath.ToSlash(rest)
}

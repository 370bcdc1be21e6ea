package container

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"loradeck/internal/local/fault"
	"loradeck/internal/lora"
)

// Version is the vLLM whose answers are played when a Config names none, or one that was not recorded.
const Version = "0.11.2"

// Config says what to run.
type Config struct {
	ModelDir    string            // the base, a Hugging Face directory; the container calls it /opt/ml/model
	Name        string            // the component, for the log
	Environment map[string]string // as the Model or the component has it
	Version     string            // of vLLM; the newest recorded one up to it is played: 0.11.2, 0.27.1 or 0.32.0
	Scratch     string            // a directory of its own; nothing is written there yet
	Log         *slog.Logger      // nil is silent
	Open        Opener            // nil is the built-in engine
	Faults      *fault.Registry   // what is to go wrong on purpose; nil is nothing
	Outage      func() Outage     // how long an engine that died stays away; nil is as recorded
	Now         func() time.Time  // nil is time.Now
}

// Limits are what the container's settings ask of an engine; zero leaves the choice to it.
type Limits struct {
	Rank      int // largest adapter rank
	Sequences int // requests in one batch
	Context   int // tokens of one request
}

// Opener opens the base in dir.
type Opener func(ctx context.Context, dir string, limits Limits) (Engine, error)

// Container serves one base and the adapters registered on it. It is safe for concurrent use.
type Container struct {
	log      *slog.Logger
	now      func() time.Time
	dialect  dialect
	settings settings
	sessions *sessions // nil is off
	base     base
	dtype    string
	vocab    int
	eos      []int // tokens that end a text
	end      int   // the tokenizer's own one among them, -1 when it names none
	context  int   // vLLM's max_model_len
	modelDir string
	engine   *mortal
	routes   []route

	name   string // the component
	faults *fault.Registry
	outage func() Outage
	noise  atomic.Uint64 // answers that were rounded by chance
	broken atomic.Bool   // the base's next answer is broken too
	beside company

	started atomic.Int64 // when the engine was opened last, in Unix nanoseconds

	loading sync.Mutex // one adapter loads or leaves at a time

	mu       sync.RWMutex
	adapters []Adapter // in order of registration
	resident []string  // those the engine has, the one not used for longest first
	died     time.Time // when the engine died last
	cached   []string  // adapters whose prompts are cached by name, as a fault asks
	lost     []string  // what was registered with an engine that died, and was neither registered nor taken away since

	slots *slots
	meter *meter

	promptTokens, generatedTokens atomic.Int64

	gate      sync.RWMutex // held for writing while the container closes, so that no answer begins then
	closing   context.Context
	stop      context.CancelFunc
	answering sync.WaitGroup
	closed    sync.Once
	closeErr  error
}

// Start reads the environment as the image's entrypoint would, opens the base and loads static adapters. Its error is in
// vLLM's words where vLLM would refuse to start, and becomes the component's FailureReason.
func Start(ctx context.Context, config Config) (*Container, error) {
	log := config.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("component", config.Name)
	dialect := dialectOf(config.Version).under(config.Environment)
	settings, err := readSettings(config.Environment, dialect)
	if err != nil {
		return nil, err
	}
	if settings.enableLora {
		if err := dialect.takesLoRA(config.ModelDir); err != nil {
			return nil, err
		}
	}
	base, err := readBase(config.ModelDir)
	if err != nil {
		return nil, err
	}
	if settings.ownDefaults {
		if err := base.readDefaults(config.ModelDir); err != nil {
			return nil, lora.Wrap(err, lora.Invalid, "The model's generation_config.json cannot be read. Mend it or take it out of the S3 prefix.")
		}
	}
	length, err := base.length(settings.context)
	if err != nil {
		return nil, err
	}
	if err := base.splits(settings.shards); err != nil {
		return nil, err
	}
	open := config.Open
	if open == nil {
		open = openBuiltIn
	}
	limits := Limits{Rank: settings.maxRank, Sequences: settings.sequences, Context: length}
	engine, err := openMortal(ctx, func(ctx context.Context) (Engine, error) { return open(ctx, config.ModelDir, limits) })
	if err != nil {
		return nil, err
	}
	about := engine.Describe()
	if length == 0 || about.Context > 0 && about.Context < length {
		length = about.Context
	}
	now := config.Now
	if now == nil {
		now = time.Now
	}
	closing, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &Container{
		log: log, now: now, dialect: dialect, settings: settings, sessions: readSessions(config.Environment), base: base, dtype: about.DType, vocab: about.Vocab, eos: about.EOS,
		context: length, modelDir: config.ModelDir, engine: engine, closing: closing, stop: stop,
		name: config.Name, faults: config.Faults, outage: config.Outage,
	}
	if c.outage == nil {
		c.outage = func() Outage { return RecordedOutage(dialect.version) }
	}
	c.started.Store(c.now().UnixNano())
	c.end = endToken(config.ModelDir, engine)
	c.slots, c.meter = newSlots(settings.maxLoras, c.now), newMeter(length)
	c.routes = c.table()
	if err := c.loadStatic(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// endToken is the token that the tokenizer calls the end of a text, -1 when there is none.
func endToken(dir string, engine Engine) int {
	var config struct {
		EOS any `json:"eos_token"`
	}
	if readConfig(filepath.Join(dir, "tokenizer_config.json"), &config) != nil {
		return -1
	}
	text, _ := config.EOS.(string)
	if fields, isObject := config.EOS.(map[string]any); isObject {
		text, _ = fields["content"].(string)
	}
	if ids := engine.Encode(text, false); len(ids) == 1 {
		return ids[0]
	}
	return -1
}

// ends reports whether vLLM takes the token for the end of a text, which is no reason worth naming. It knows one such
// token, the tokenizer's; other end tokens of the base are stop tokens to it.
func (c *Container) ends(token int) bool {
	if c.end >= 0 {
		return token == c.end
	}
	return slices.Contains(c.eos, token)
}

// loadStatic loads what --lora-modules names. One bad adapter stops the server, as recorded.
func (c *Container) loadStatic(ctx context.Context) error {
	for _, module := range c.settings.modules {
		path := module.path
		if rest, inModel := strings.CutPrefix(path, modelPath); inModel {
			path = filepath.Join(c.modelDir, rest)
		}
		if refused := c.load(ctx, module.name, path, false); refused != nil {
			// Where the files lie on this host is not where the container has them.
			return lora.Errorf(lora.Invalid, "ValueError: %s", strings.ReplaceAll(refused.message, c.modelDir, modelPath))
		}
	}
	return nil
}

// Close ends the answers under way and frees the base. Later requests are answered 503.
func (c *Container) Close() error {
	c.closed.Do(func() {
		c.gate.Lock()
		c.stop()
		c.gate.Unlock()
		c.answering.Wait()
		c.closeErr = c.engine.Close()
	})
	return c.closeErr
}

// route is one path and method. Patterns end at the first match, in order, as the web framework's do.
type route struct {
	method  string
	path    *regexp.Regexp
	handler http.HandlerFunc
}

// table is every route; those that change adapters are absent unless run-time updating is allowed.
func (c *Container) table() []route {
	var out []route
	add := func(method, path string, handler http.HandlerFunc) {
		out = append(out, route{method, regexp.MustCompile("^" + path + "$"), handler})
	}
	add(http.MethodGet, "/health", c.health)
	add(http.MethodGet, "/load", c.serverLoad)
	add(http.MethodGet, "/ping", c.health)
	add(http.MethodPost, "/ping", c.health)
	add(http.MethodPost, "/invocations", c.invocations)
	add(http.MethodPost, "/v1/completions", c.v1Completions)
	add(http.MethodPost, "/v1/chat/completions", c.v1Chat)
	add(http.MethodGet, "/v1/models", c.models)
	add(http.MethodGet, "/version", c.version)
	add(http.MethodGet, "/metrics", c.metrics)
	if c.settings.runtime {
		add(http.MethodPost, "/adapters", c.register)
		add(http.MethodDelete, "/adapters/[^/]+", c.unregister)
		add(http.MethodPost, "/v1/load_lora_adapter", c.v1Load)
		add(http.MethodPost, "/v1/unload_lora_adapter", c.v1Unload)
	}
	return out
}

// ServeHTTP routes as the image's web framework does: the decoded path counts, an unknown one is 404, a wrong method 405
// with the first method that fits, and a stray slash at the end is redirected.
func (c *Container) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.enter() {
		plain(w, http.StatusServiceUnavailable, "")
		return
	}
	defer c.answering.Done()
	if c.engine.stage() == down {
		panic(http.ErrAbortHandler) // nobody listens
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(c.closing, cancel)()
	r = r.WithContext(ctx)
	defer func() {
		if fault := recover(); fault != nil {
			c.log.ErrorContext(ctx, "request crashed", "path", r.URL.Path, "err", fmt.Sprint(fault))
			crash(w)
		}
	}()
	allowed := ""
	for _, route := range c.routes {
		if !route.path.MatchString(r.URL.Path) {
			continue
		}
		if route.method == r.Method {
			route.handler(w, r)
			return
		}
		if allowed == "" {
			allowed = route.method
		}
	}
	switch {
	case allowed != "":
		w.Header().Set("Allow", allowed)
		detail(w, http.StatusMethodNotAllowed)
	case c.slashed(w, r):
	default:
		detail(w, http.StatusNotFound)
	}
}

// enter counts an answer in, unless the container is closing.
func (c *Container) enter() bool {
	c.gate.RLock()
	defer c.gate.RUnlock()
	if c.closing.Err() != nil {
		return false
	}
	c.answering.Add(1)
	return true
}

// slashed redirects a path with a slash too many to the route without it.
func (c *Container) slashed(w http.ResponseWriter, r *http.Request) bool {
	path := strings.TrimRight(r.URL.Path, "/")
	if path == r.URL.Path || path == "" {
		return false
	}
	for _, route := range c.routes {
		if route.path.MatchString(path) {
			location := "http://" + r.Host + path
			if r.URL.RawQuery != "" {
				location += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", location)
			plain(w, http.StatusTemporaryRedirect, "")
			return true
		}
	}
	return false
}

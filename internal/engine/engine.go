package engine

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"loradeck/internal/engine/chat"
	"loradeck/internal/engine/tokenizer"
	"loradeck/internal/lora"
)

// MaxLogprobs is the most alternatives a request may ask for, as in vLLM by default.
const MaxLogprobs = 20

// Engine runs one base and the adapters loaded beside it. All methods are safe for concurrent use.
type Engine struct {
	options   Options
	info      Info
	model     *model
	tokenizer *tokenizer.Tokenizer
	template  *chat.Template // nil when the base has none

	wake     chan struct{} // holds one signal when something waits or the engine closes
	finished chan struct{} // closed when the scheduler has ended

	mu       sync.Mutex // guards the fields below
	adapters map[string]*adapter
	serial   int // of the adapter loaded last
	running  int // requests that the scheduler has taken
	waiting  []*run
	closed   error // why nothing is taken any more
	prefixes prefixes
}

// Open reads a Hugging Face directory — config.json, tokenizer.json, the weights, and generation_config.json and a chat
// template where there are any — and starts the engine. What it cannot run is refused with a sentence. Close it when done.
func Open(dir string, o Options) (*Engine, error) {
	o = o.withDefaults()
	if err := checkFiles(dir, "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"); err != nil {
		return nil, fmt.Errorf("open base: %w", err)
	}
	tokens, err := tokenizer.Open(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		return nil, fmt.Errorf("open base: %w", err)
	}
	template, err := chat.FromDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open base: %w", err)
	}
	m, err := loadModel(dir, o.Threads)
	if err != nil {
		return nil, fmt.Errorf("open base: %w", err)
	}
	c := m.config
	longest := c.context
	if o.MaxContext > 0 {
		longest = min(longest, o.MaxContext)
	}
	e := &Engine{
		options: o, model: m, tokenizer: tokens, template: template,
		info: Info{
			Architecture: c.architecture, DType: m.dtype, Context: longest, Vocab: c.vocab,
			Layers: c.layers, Hidden: c.hidden, Params: m.params, EOS: c.eos,
		},
		wake: make(chan struct{}, 1), finished: make(chan struct{}), adapters: map[string]*adapter{},
	}
	go e.serve()
	return e, nil
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		option   *int
		fallback int
	}{{&o.MaxLoraRank, 512}, {&o.MaxRunning, 16}, {&o.StepTokens, 256}} {
		if *d.option <= 0 {
			*d.option = d.fallback
		}
	}
	return o
}

// Close ends all requests and waits for the scheduler. A second Close does nothing.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed == nil {
		e.closed = lora.Errorf(lora.Unavailable, "The engine is closed.")
	}
	e.mu.Unlock()
	e.signal()
	<-e.finished
	return nil
}

// Info describes the base.
func (e *Engine) Info() Info {
	info := e.info
	info.EOS = slices.Clone(info.EOS)
	return info
}

// Tokenizer is the base's tokenizer.
func (e *Engine) Tokenizer() *tokenizer.Tokenizer { return e.tokenizer }

// RenderChat writes a conversation in the base's own template. The text already has the special tokens it needs: encode it
// without adding others. A base without a template, and a conversation it refuses, give an error.
func (e *Engine) RenderChat(messages []chat.Message, addGenerationPrompt bool) (string, error) {
	if e.template == nil {
		return "", lora.Errorf(lora.Invalid, "This base has no chat template; send it plain text.")
	}
	return e.template.Render(chat.Conversation{Messages: messages, AddGenerationPrompt: addGenerationPrompt})
}

// LoadAdapter reads a PEFT directory and makes it answer under name. It computes what peft would, or fails with a sentence
// that says why not. A name in use is a lora.Conflict.
func (e *Engine) LoadAdapter(ctx context.Context, name, dir string) error {
	if err := e.checkName(name); err != nil {
		return err
	}
	a, err := e.model.readAdapter(name, dir, e.options.MaxLoraRank)
	if err != nil {
		return fmt.Errorf("load adapter %s: %w", name, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.keep(a)
}

// AddAdapter makes decoded deltas answer under name. They are copied. Shapes are checked against the base; a name in use is
// a lora.Conflict.
func (e *Engine) AddAdapter(name string, deltas []Delta) error {
	if err := e.checkName(name); err != nil {
		return err
	}
	a, err := e.model.newAdapter(name, deltas, e.options.MaxLoraRank)
	if err != nil {
		return err
	}
	return e.keep(a)
}

func (e *Engine) checkName(name string) error {
	if name == "" {
		return lora.Errorf(lora.Invalid, "An adapter needs a name.")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.free(name)
}

// free reports a name in use. The caller holds the lock.
func (e *Engine) free(name string) error {
	if e.closed != nil {
		return e.closed
	}
	if e.adapters[name] != nil {
		return lora.Errorf(lora.Conflict, "An adapter named %s is loaded; remove it first or choose another name.", name)
	}
	return nil
}

func (e *Engine) keep(a *adapter) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.free(a.name); err != nil {
		return err
	}
	e.serial++
	a.serial = e.serial
	e.adapters[a.name] = a
	return nil
}

// RemoveAdapter takes name away; requests under way keep the adapter they started with. An unknown name is a lora.NotFound.
func (e *Engine) RemoveAdapter(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.adapters[name] == nil {
		return notLoaded(name)
	}
	delete(e.adapters, name)
	return nil
}

func notLoaded(name string) error {
	return lora.Errorf(lora.NotFound, "No adapter named %s is loaded.", name)
}

// Adapters lists the names of the loaded adapters, sorted.
func (e *Engine) Adapters() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.adapters))
	for name := range e.adapters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Stats says how many requests are under way.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{Running: e.running, Waiting: len(e.waiting)}
}

// Generate computes the answer to a request, chunk by chunk; the last chunk has Finish set. An error comes at most once and
// last. Ending the loop or the context ends the request and frees its place. Each range over the result is a new request.
func (e *Engine) Generate(ctx context.Context, request Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		r, err := e.admit(ctx, request)
		if err != nil {
			yield(Chunk{}, err)
			return
		}
		defer e.withdraw(r)
		for {
			chunk, some, ended, err := r.out.take(ctx)
			if some && !yield(chunk, nil) {
				return
			}
			if err != nil {
				yield(Chunk{}, err)
			}
			if ended {
				return
			}
		}
	}
}

// admit checks a request and puts it in the queue.
func (e *Engine) admit(ctx context.Context, request Request) (*run, error) {
	if err := e.check(&request); err != nil {
		return nil, err
	}
	request.Tokens, request.Allowed = slices.Clone(request.Tokens), slices.Clone(request.Allowed) // the caller may change its own
	request.Stop, request.StopTokens = slices.Clone(request.Stop), slices.Clone(request.StopTokens)
	request.LogitBias = maps.Clone(request.LogitBias)
	seed := rand.Uint64()
	if request.Seed != nil {
		seed = *request.Seed
	}
	r := &run{
		ctx: ctx, request: request, pending: request.Tokens, out: newOutbox(),
		answer: answer{text: e.tokenizer.Stream(true), stops: request.Stop},
		random: rand.New(rand.NewPCG(seed, 0)), history: newHistory(&request),
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed != nil {
		return nil, e.closed
	}
	var a *adapter
	if request.Adapter != "" {
		if a = e.adapters[request.Adapter]; a == nil {
			return nil, notLoaded(request.Adapter)
		}
	}
	r.sequence = newSequence(len(e.model.layers), a)
	r.sequence.rounder, r.sequence.broken = newRounder(request.Trouble.Rounding), request.Trouble.NaN
	e.prefixes.reuse(r)
	e.waiting = append(e.waiting, r)
	e.signal()
	return r, nil
}

// withdraw takes a request out of the queue; one that runs is dropped by the scheduler, whose next step sees that its
// context has ended.
func (e *Engine) withdraw(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.waiting, r); i >= 0 {
		e.waiting = slices.Delete(e.waiting, i, i+1)
	}
}

func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

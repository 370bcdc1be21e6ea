package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"unicode/utf8"

	"loradeck/internal/local/fault"
	"loradeck/internal/lora"
)

// exchange is one invocation being answered: what was asked, settled, and how the answer is to look.
type exchange struct {
	id         string
	model      string // as the answer names it
	fields     values
	streaming  streaming
	choices    int       // answers per prompt
	requests   []Request // prompts × choices, prompt by prompt
	echo       []string  // text put before the answers: of a completion one per request, of a chat one for all
	promptOnly bool      // the answer is the echo alone
	logprobs   int       // -1 none
	scores     int       // alternatives for the prompt's tokens, -1 none
	asIDs      bool      // tokens in logprobs as "token_id:N"
	returnIDs  bool
	role       string // of a chat answer
}

// newExchange settles the parts that chat and completion share; prefix is "cmpl-" or "chatcmpl-".
func (c *Container) newExchange(r *http.Request, v values, s streaming, prefix, model string) *exchange {
	id := r.Header.Get("X-Request-Id")
	if id == "" {
		id = v.text("request_id")
	}
	if id == "" {
		id = c.dialect.randomID()
	}
	return &exchange{
		id: prefix + id, model: model, fields: v, streaming: s, choices: int(v.integer("n", 1)), logprobs: -1, scores: -1,
		asIDs: v.flag("return_tokens_as_token_ids"), returnIDs: v.flag("return_token_ids"),
	}
}

// mostAnswers is how many answers one invocation may ask for, prompts times choices. vLLM sets no limit and chokes.
const mostAnswers = 4096

// spread makes one request per choice; each choice has a seed of its own, counted up from the client's.
func (x *exchange) spread(request Request) *refusal {
	if len(x.requests)+x.choices > mostAnswers {
		return badRequest("%s", notHere(fmt.Sprintf("more than %d answers in one invocation", mostAnswers)))
	}
	for i := range x.choices {
		one := request
		if request.Seed != nil {
			seed := *request.Seed + uint64(i)
			one.Seed = &seed
		}
		x.requests = append(x.requests, one)
	}
	return nil
}

// promptTokens counts each prompt once.
func (x *exchange) promptTokens() int {
	sum := 0
	for i := 0; i < len(x.requests); i += x.choices {
		sum += len(x.requests[i].Tokens)
	}
	return sum
}

// answer is what one request has come to so far.
type answer struct {
	text       string
	prompt     []Token // when its scores were asked for
	tokens     []Token
	finish     *string
	stopReason any
}

// take adds a chunk and gives the text it shows, with the stop string put back where the client wants to see it. The
// reason for a stop is its string or its token; there is none when the token is one that ends says is the end of a text.
func (x *exchange) take(a *answer, chunk Chunk, ends func(int) bool) string {
	shown := chunk.Text
	a.prompt, a.tokens = append(a.prompt, chunk.Prompt...), append(a.tokens, chunk.Tokens...)
	if chunk.Finish != "" {
		a.finish = &chunk.Finish
		switch last := len(a.tokens) - 1; {
		case chunk.StopString != "":
			a.stopReason = chunk.StopString
			if x.fields.flag("include_stop_str_in_output") {
				shown += chunk.StopString
			}
		case chunk.Finish == "stop" && last >= 0 && !ends(a.tokens[last].ID):
			a.stopReason = a.tokens[last].ID
		}
	}
	a.text += shown
	return shown
}

// piece is a chunk of one of several requests, or the error that ended them.
type piece struct {
	request int
	chunk   Chunk
	err     error
}

// generate runs every request of x side by side and hands their chunks to emit, one at a time. It ends at the first error,
// emit's included, and then stops what is still running.
func (c *Container) generate(ctx context.Context, x *exchange, emit func(request int, chunk Chunk) error) error {
	ctx, cancel := context.WithCancel(ctx)
	pieces := newMailbox()
	var running sync.WaitGroup
	for i, request := range x.requests {
		running.Go(func() { c.run(ctx, i, x.choices, request, pieces) })
	}
	go func() { running.Wait(); pieces.close() }()
	defer func() {
		cancel()
		running.Wait()
	}()
	c.promptTokens.Add(int64(x.promptTokens()))
	for next := pieces.take(); len(next) > 0; next = pieces.take() {
		for _, p := range next {
			if p.err != nil {
				return p.err
			}
			c.generatedTokens.Add(int64(len(p.chunk.Tokens)))
			if err := emit(p.request, p.chunk); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// run answers one request, one of n for its prompt, when its adapter's turn has come.
func (c *Container) run(ctx context.Context, i, n int, request Request, pieces *mailbox) {
	course := course{request: request, came: c.now()}
	defer func() {
		if cause := recover(); cause != nil {
			pieces.put(piece{request: i, err: fmt.Errorf("generation crashed: %v", cause)})
		}
	}()
	name, leave, err := c.admit(ctx, request.Adapter)
	if err != nil {
		pieces.put(piece{request: i, err: err})
		return
	}
	defer leave()
	defer c.beside.leave(request)
	if c.beside.enter(request) && c.crowded(ctx, request.Adapter) {
		pieces.put(piece{request: i, err: errDead})
		return
	}
	asked := request.Adapter
	request.Adapter, course.began = name, c.now()
	defer func() { c.meter.count(course, n, c.now()) }()
	for chunk, err := range c.engine.Generate(ctx, request) {
		course.chunk(chunk, c.now())
		if chunk.Stale > 0 && course.tokens == len(chunk.Tokens) {
			c.faults.Take(fault.StaleCache, c.name, asked)
		}
		pieces.put(piece{request: i, chunk: chunk, err: err})
		if err != nil {
			return
		}
	}
}

// collect generates everything before anything is answered; false when there is no answer to give or it has been given.
func (c *Container) collect(w http.ResponseWriter, r *http.Request, x *exchange) ([]answer, bool) {
	answers := make([]answer, len(x.requests))
	err := c.generate(r.Context(), x, func(i int, chunk Chunk) error {
		x.take(&answers[i], chunk, c.ends)
		return nil
	})
	switch {
	case err == nil:
		return answers, true
	case r.Context().Err() != nil: // the client has gone, or the container closes
		c.refuse(w, badRequest("Client disconnected"))
	default:
		c.refuse(w, c.failed(r.Context(), x, err))
	}
	return nil, false
}

// failed is what the client hears of an engine's error.
func (c *Container) failed(ctx context.Context, x *exchange, err error) *refusal {
	if refused, ok := refusalOf(err); ok {
		return refused
	}
	switch lora.KindOf(err) {
	case lora.Invalid:
		return badRequest("%s", lora.Message(err))
	case lora.NotFound: // taken away since the request came in
		return c.noModel(x.model)
	}
	if !errors.Is(err, errDead) {
		c.log.ErrorContext(ctx, "generation failed", "err", err)
	}
	return c.dialect.engineFailed()
}

// usage is the token count of an answer.
type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	TotalTokens      int `json:"total_tokens"`
	CompletionTokens int `json:"completion_tokens"`
}

// fullUsage is usage as complete answers have it.
type fullUsage struct {
	usage
	PromptTokensDetails     *struct{}       `json:"prompt_tokens_details"`
	CompletionTokensDetails json.RawMessage `json:"completion_tokens_details,omitempty"` // 0.32.0
}

// fullUsage is usage as a complete answer of this version has it.
func (d dialect) fullUsage(counts usage) fullUsage {
	return fullUsage{usage: counts, CompletionTokensDetails: d.nullIf(d.usageDetail)}
}

// nullIf is null in the versions that have a field, and nothing in those that do not.
func (d dialect) nullIf(has bool) json.RawMessage {
	if !has {
		return nil
	}
	return json.RawMessage("null")
}

// print is the system_fingerprint of a complete answer.
func (d dialect) print() any {
	if d.fingerprint == "" {
		return nil
	}
	return d.fingerprint
}

func count(prompt, completion int) usage {
	return usage{PromptTokens: prompt, TotalTokens: prompt + completion, CompletionTokens: completion}
}

func (x *exchange) total(answers []answer) usage {
	sum := 0
	for _, a := range answers {
		sum += len(a.tokens)
	}
	return count(x.promptTokens(), sum)
}

// ids are the tokens of an answer when the client asked for them.
func (x *exchange) ids(tokens []Token) []int {
	if !x.returnIDs {
		return nil
	}
	out := make([]int, len(tokens))
	for i, t := range tokens {
		out[i] = t.ID
	}
	return out
}

func (x *exchange) promptIDs(request int) []int {
	if !x.returnIDs {
		return nil
	}
	return x.requests[request].Tokens
}

// length counts characters as Python does.
func length(s string) int { return utf8.RuneCountInString(s) }

package container

import (
	"encoding/json"
	"net/http"
)

// completionRequest is a body that fits the completion schema.
type completionRequest struct {
	fields    values
	prompt    any
	streaming streaming
	nullLimit bool // max_tokens was given as null
}

func completionSchema(d dialect) schema {
	return shared(d, schema{
		"prompt": {anything, false}, "prompt_embeds": {anything, false}, "echo": {boolean, false}, "logprobs": {integer, false},
		"n": {integer, true}, "suffix": {text, false},
	})
}

// readCompletion fits body to the completion schema; fault says why it does not.
func readCompletion(body *object, d dialect) (completionRequest, string) {
	if prompt := body.get("prompt"); (prompt == nil || prompt == any("")) && !truthy(body.get("prompt_embeds")) {
		return completionRequest{}, noPrompt
	}
	if badSalted(body) {
		return completionRequest{}, badSalt
	}
	if fault := judgeKinds(body, d, "prompt_logprobs", "logprobs"); fault != "" {
		return completionRequest{}, fault
	}
	v, bad := completionSchema(d).read(body)
	if bad != "" {
		return completionRequest{}, bad + " is not valid"
	}
	if v.integer("logprobs", 0) < 0 {
		return completionRequest{}, badLogprobs
	}
	s, ok := readStreaming(v)
	if !ok {
		return completionRequest{}, noStream
	}
	if fault := judgeScores(v); fault != "" {
		return completionRequest{}, fault
	}
	if _, _, ok := prompts(body.get("prompt")); !ok {
		return completionRequest{}, "prompt is not valid"
	}
	limit, given := body.values["max_tokens"]
	return completionRequest{fields: v, prompt: body.get("prompt"), streaming: s, nullLimit: given && limit == nil}, ""
}

// prompts sorts out the four forms of a prompt: a text, texts, tokens, lists of tokens. ok is false when it is none.
func prompts(value any) (texts []string, tokens [][]int, ok bool) {
	switch p := value.(type) {
	case nil:
		return nil, nil, true
	case string:
		return []string{p}, nil, true
	case []any:
		if texts, ok := asTexts(p); ok {
			return texts, nil, true
		}
		if one, ok := asIntegers(p); ok {
			return nil, [][]int{one}, true
		}
		for _, item := range p {
			one, ok := asIntegers(item)
			if !ok {
				return nil, nil, false
			}
			tokens = append(tokens, one)
		}
		return nil, tokens, true
	}
	return nil, nil, false
}

// completion answers a completion, judging it in vLLM's order: the model, the prompts, the numbers; what this platform
// does not do comes last.
func (c *Container) completion(w http.ResponseWriter, r *http.Request, q completionRequest) {
	adapter, shown, refused := c.find(q.fields.text("model"))
	if refused == nil && q.fields.has("suffix") {
		refused = badRequest("suffix is not currently supported")
	}
	x := c.newExchange(r, q.fields, q.streaming, "cmpl-", shown)
	if refused == nil {
		refused = c.prepareCompletion(x, q, adapter)
	}
	if refused == nil {
		refused = c.trouble(r.Context(), x, adapter)
	}
	switch {
	case refused != nil:
		c.refuse(w, refused)
	case q.nullLimit && !c.dialect.lateRoom:
		crash(w) // vLLM 0.11.2 asserts that the limit is a number, only later
	case x.streaming.on:
		c.streamCompletion(w, r, x)
	default:
		c.fullCompletion(w, r, x)
	}
}

func (c *Container) prepareCompletion(x *exchange, q completionRequest, adapter string) *refusal {
	v := q.fields
	if truthy(v["prompt_embeds"]) {
		return badRequest("You must set `--enable-prompt-embeds` to input `prompt_embeds`.")
	}
	encoded, texts, refused := c.encodePrompts(v, q.prompt)
	if refused != nil {
		return refused
	}
	wanted := v.integer("max_tokens", 16)
	limit := &wanted
	switch {
	case q.nullLimit:
		limit = nil
	case v.flag("echo") && wanted == 0:
		one := int64(1)
		limit, x.promptOnly = &one, true
	}
	if v.has("logprobs") {
		x.logprobs = int(v.integer("logprobs", 0))
	}
	x.scores = c.promptScores(v, x.logprobs)
	for i, tokens := range encoded {
		request, refused := c.request(x, adapter, tokens, limit)
		if refused != nil {
			return refused
		}
		if refused := x.spread(request); refused != nil {
			return refused
		}
		for range x.choices {
			if v.flag("echo") {
				x.echo = append(x.echo, texts[i])
			} else {
				x.echo = append(x.echo, "")
			}
		}
	}
	if name := beyond(v); name != "" {
		return badRequest("%s", notHere(name))
	}
	return nil
}

// encodePrompts gives the tokens of every prompt and the text that echo shows. Room for the whole answer is asked for here,
// which is why a large max_tokens makes the context length in the message negative.
func (c *Container) encodePrompts(v values, prompt any) (encoded [][]int, shown []string, refused *refusal) {
	texts, tokens, _ := prompts(prompt)
	if len(texts) == 0 && (len(tokens) == 0 || len(tokens[0]) == 0) {
		return nil, nil, badRequest("please provide at least one prompt")
	}
	special := !v.has("add_special_tokens") || v.flag("add_special_tokens")
	for _, text := range texts {
		encoded, shown = append(encoded, c.engine.Encode(text, special)), append(shown, text)
	}
	for _, ids := range tokens {
		text := ""
		if v.flag("echo") && !v.flag("return_token_ids") {
			text = c.engine.Decode(ids)
		}
		encoded, shown = append(encoded, ids), append(shown, text)
	}
	wanted := v.integer("max_tokens", 16)
	most := c.context - int(wanted)
	for i, ids := range encoded {
		if c.dialect.lateRoom {
			if refused := c.dialect.tooLong(c.context, len(ids), &wanted); refused != nil {
				return nil, nil, refused
			}
		} else if len(ids) > most {
			return nil, nil, badRequest("This model's maximum context length is %d tokens. However, your request has %d input tokens. Please reduce the length of the input messages.", most, len(ids))
		}
		if v.flag("return_token_ids") {
			shown[i] = ""
		}
	}
	return encoded, shown, nil
}

type completionAnswer struct {
	ID                string             `json:"id"`
	Object            string             `json:"object"`
	Created           int64              `json:"created"`
	Model             string             `json:"model"`
	Choices           []completionChoice `json:"choices"`
	ServiceTier       any                `json:"service_tier"`
	SystemFingerprint any                `json:"system_fingerprint"`
	Usage             fullUsage          `json:"usage"`
	KVTransferParams  any                `json:"kv_transfer_params"`
	ECTransferParams  json.RawMessage    `json:"ec_transfer_params,omitempty"` // from 0.27.1, as metrics
	Metrics           json.RawMessage    `json:"metrics,omitempty"`
}

type completionChoice struct {
	Index          int                 `json:"index"`
	Text           string              `json:"text"`
	Logprobs       *completionLogprobs `json:"logprobs"`
	FinishReason   *string             `json:"finish_reason"`
	StopReason     any                 `json:"stop_reason"`
	TokenIDs       []int               `json:"token_ids"`
	PromptLogprobs []*object           `json:"prompt_logprobs"`
	PromptTokenIDs []int               `json:"prompt_token_ids"`
	RoutedExperts  json.RawMessage     `json:"routed_experts,omitempty"` // from 0.27.1
}

func (c *Container) fullCompletion(w http.ResponseWriter, r *http.Request, x *exchange) {
	created := c.now().Unix()
	answers, ok := c.collect(w, r, x)
	if !ok {
		return
	}
	if x.reports() && broken(answers) {
		c.refuseBroken(w)
		return
	}
	more := c.dialect.nullIf(c.dialect.newFields)
	out := completionAnswer{
		ID: x.id, Object: "text_completion", Created: created, Model: x.model, Choices: []completionChoice{},
		SystemFingerprint: c.dialect.print(), Usage: c.dialect.fullUsage(x.total(answers)), ECTransferParams: more, Metrics: more,
	}
	for i, a := range answers {
		text, logprobs := x.echoed(i, a.prompt, a.tokens, a.text, 0)
		out.Choices = append(out.Choices, completionChoice{
			Index: i, Text: text, Logprobs: logprobs, FinishReason: a.finish, StopReason: a.stopReason, TokenIDs: x.ids(a.tokens),
			PromptLogprobs: x.promptLogprobs(a.prompt), PromptTokenIDs: x.promptIDs(i), RoutedExperts: more,
		})
	}
	writeJSON(w, http.StatusOK, out)
}

// echoed gives what an answer, or its beginning, shows of text and tokens: the prompt goes before them when the client wants
// it back, and stands alone when no answer was asked for.
func (x *exchange) echoed(request int, prompt, tokens []Token, text string, offset int) (string, *completionLogprobs) {
	if !x.fields.flag("echo") {
		prompt = nil
	}
	if x.promptOnly {
		text, tokens = "", nil
	}
	return x.echo[request] + text, x.completionLogprobs(prompt, tokens, offset)
}

type completionChunk struct {
	ID      string                  `json:"id"`
	Object  string                  `json:"object"`
	Created int64                   `json:"created"`
	Model   string                  `json:"model"`
	Choices []completionChunkChoice `json:"choices"`
	Usage   any                     `json:"usage,omitempty"`
	Print   string                  `json:"system_fingerprint,omitempty"` // of the last chunk, from 0.27.1
}

type completionChunkChoice struct {
	Index          int                 `json:"index"`
	Text           string              `json:"text"`
	Logprobs       *completionLogprobs `json:"logprobs"`
	FinishReason   *string             `json:"finish_reason"`
	StopReason     any                 `json:"stop_reason"`
	PromptTokenIDs []int               `json:"prompt_token_ids"`
	TokenIDs       []int               `json:"token_ids"`
}

func (c *Container) streamCompletion(w http.ResponseWriter, r *http.Request, x *exchange) {
	stream := openEvents(w)
	chunk := completionChunk{ID: x.id, Object: "text_completion", Created: c.now().Unix(), Model: x.model}
	answers := make([]answer, len(x.requests))
	begun := make([]bool, len(x.requests))
	err := c.generate(r.Context(), x, func(i int, piece Chunk) error {
		a := &answers[i]
		offset := length(a.text)
		text := x.take(a, piece, c.ends)
		if text == "" && len(a.tokens) == 0 && a.finish == nil {
			return nil
		}
		choice := completionChunkChoice{Index: i, StopReason: a.stopReason, FinishReason: a.finish, TokenIDs: x.ids(piece.Tokens)}
		if begun[i] {
			choice.Text, choice.Logprobs = text, x.completionLogprobs(nil, piece.Tokens, offset)
		} else {
			begun[i] = true
			choice.PromptTokenIDs = x.promptIDs(i)
			choice.Text, choice.Logprobs = x.echoed(i, a.prompt, piece.Tokens, text, offset)
		}
		chunk.Choices, chunk.Usage = []completionChunkChoice{choice}, c.dialect.noUsage()
		if a.finish != nil && !x.streaming.usage {
			chunk.Print = c.dialect.fingerprint
		}
		if x.streaming.continuous {
			chunk.Usage = c.dialect.runningUsage(count(len(x.requests[i].Tokens), len(a.tokens)))
		}
		return stream.send(chunk)
	})
	if err == nil && x.streaming.usage {
		chunk.Choices, chunk.Usage, chunk.Print = []completionChunkChoice{}, x.total(answers), c.dialect.fingerprint
		err = stream.send(chunk)
	}
	c.endStream(r.Context(), stream, x, err)
}

package container

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// adapterHeader names the adapter of an invocation. SageMaker sets it; what a client puts in "model" never counts.
const adapterHeader = "X-Amzn-SageMaker-Adapter-Identifier"

const noHandler = "Cannot find suitable handler for request. Expected one of: ['ChatCompletionRequest', 'CompletionRequest']"

// jsonContent reports whether the request says it is JSON.
func jsonContent(r *http.Request) bool {
	media, _, _ := strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";")
	return media == "application/json"
}

func (c *Container) unsupportedMedia() *refusal {
	if c.dialect.names {
		return invalid("1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed")
	}
	return invalid(` ["Unsupported Media Type: Only 'application/json' is allowed"]`)
}

// invocations serves POST /invocations: the adapter header overwrites the model, then the body is tried as a chat and as a
// completion. Which field did not fit is lost, as it is in 0.11.2.
func (c *Container) invocations(w http.ResponseWriter, r *http.Request) {
	if !jsonContent(r) {
		c.refuse(w, c.unsupportedMedia())
		return
	}
	body, ok := c.readBody(w, r)
	if !ok {
		return
	}
	value, err := parseBody(body)
	if err != nil {
		c.refuseUnreadable(w, err)
		return
	}
	fields, isObject := value.(*object)
	if !isObject {
		c.refuseShapeless(w, value)
		return
	}
	if c.session(w, r, fields) {
		return
	}
	fields.set("model", nil)
	if id := r.Header.Get(adapterHeader); id != "" {
		fields.set("model", id)
	}
	chat, fault := readChat(fields, c.dialect)
	if fault == "" {
		c.chat(w, r, chat)
		return
	}
	if c.refuseReason(w, fault, fields) {
		return
	}
	completion, fault := readCompletion(fields, c.dialect)
	if fault == "" {
		c.completion(w, r, completion)
		return
	}
	if !c.refuseReason(w, fault, fields) {
		c.refuse(w, badRequest("%s", noHandler))
	}
}

// refuseShapeless answers a body that is JSON but no object: 0.11.2 crashes on it.
func (c *Container) refuseShapeless(w http.ResponseWriter, value any) {
	_, isList := value.([]any)
	switch {
	case !c.dialect.reasons:
		crash(w)
	case isList:
		c.refuse(w, badRequest("list indices must be integers or slices, not str"))
	default:
		c.refuse(w, badRequest("'%s' object does not support item assignment", typeName(value)))
	}
}

// refuseReason answers with a schema's own reason, where the version passes it on; false where it does not.
func (c *Container) refuseReason(w http.ResponseWriter, fault string, body *object) bool {
	field, telling := fieldOf(fault)
	if !c.dialect.reasons || field == "" {
		return false
	}
	var value any
	if telling {
		value = body.get(field)
	}
	c.refuse(w, badRequest("%s", fault).about(field, value))
	return true
}

// The reasons of a schema that later versions pass on, each with the field it names, and the ones about a number with its value
// (recordings, invocations-errors.json; the negative ones and prompt_logprobs from vLLM's request schemas). Any other misfit ends in
// noHandler.
const (
	noPrompt      = "Either prompt or prompt_embeds must be provided and non-empty."
	noStream      = "Stream options can only be defined when `stream=True`."
	noTopLogprobs = "when using `top_logprobs`, `logprobs` must be set to true."
	noScoreStream = "`prompt_logprobs` are not available when `stream=True`."
	badLogprobs   = "`logprobs` must be a positive value."
	badTop        = "`top_logprobs` must be a positive value or -1."
	badScores     = "`prompt_logprobs` must be a positive value or -1."
	badSalt       = "Parameter 'cache_salt' must be a non-empty string if provided."
	noTools       = "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely."
	noInteger     = "` must be an integer." // behind the field's name
)

// fieldOf gives the field a reason is about, "" for a reason that is not passed on, and whether the field's value is told.
func fieldOf(fault string) (field string, telling bool) {
	if field, is := strings.CutSuffix(fault, noInteger); is {
		return field[1:], true
	}
	switch fault {
	case noPrompt:
		return "prompt", false
	case noStream:
		return "stream_options", false
	case noTopLogprobs:
		return "top_logprobs", false
	case noScoreStream:
		return "prompt_logprobs", false
	case badSalt:
		return "cache_salt", false
	case noTools:
		return "tools", false
	case badLogprobs:
		return "logprobs", true
	case badTop:
		return "top_logprobs", true
	case badScores:
		return "prompt_logprobs", true
	}
	return "", false
}

func (c *Container) refuseUnreadable(w http.ResponseWriter, err error) {
	var fault *jsonError
	if !errors.As(err, &fault) {
		crash(w)
		return
	}
	c.refuse(w, invalid("JSON decode error: "+fault.Error()))
}

// v1Completions and v1Chat are the routes behind /invocations. SageMaker does not reach them; there the body's model counts
// and the header does not.
func (c *Container) v1Completions(w http.ResponseWriter, r *http.Request) {
	fields, ok := c.v1Request(w, r)
	if !ok {
		return
	}
	request, fault := readCompletion(fields, c.dialect)
	if fault != "" {
		c.refuseV1(w, fault, fields)
		return
	}
	c.completion(w, r, request)
}

func (c *Container) v1Chat(w http.ResponseWriter, r *http.Request) {
	fields, ok := c.v1Request(w, r)
	if !ok {
		return
	}
	request, fault := readChat(fields, c.dialect)
	if fault != "" {
		c.refuseV1(w, fault, fields)
		return
	}
	c.chat(w, r, request)
}

func (c *Container) v1Request(w http.ResponseWriter, r *http.Request) (*object, bool) {
	if !jsonContent(r) {
		c.refuse(w, c.unsupportedMedia())
		return nil, false
	}
	body, ok := c.readBody(w, r)
	if !ok {
		return nil, false
	}
	fields, fault := v1Body(body)
	if fault != nil {
		c.refuse(w, c.dialect.invalidFields(*fault))
		return nil, false
	}
	return fields, true
}

// refuseV1 answers a body that fits no schema as the web framework prints it; for single fields only in outline.
func (c *Container) refuseV1(w http.ResponseWriter, words string, fields *object) {
	if !c.refuseReason(w, words, fields) {
		c.refuse(w, c.dialect.invalidFields(misfit{
			kind: "value_error", at: []any{"body"}, message: "Value error, " + words, input: fields,
			context: "ValueError(" + reprText(words) + ")",
		}))
	}
}

// find says which adapter a model name means, "" for the base, and what the answer calls it. An adapter that took the
// base's own name answers for it, as recorded.
func (c *Container) find(model string) (adapter, shown string, refused *refusal) {
	_, known := c.registered(model)
	switch {
	case model == "":
		return "", c.settings.served, nil
	case known:
		return model, model, nil
	case model == c.settings.served:
		return "", c.settings.served, nil
	}
	return "", "", c.noModel(model)
}

func (c *Container) noModel(name string) *refusal {
	words := "The model `" + name + "` does not exist."
	if c.dialect.aliases {
		words += " Valid aliases: " + c.settings.served
	}
	return &refusal{param: "model", status: http.StatusNotFound, kind: "NotFoundError", message: words}
}

// shared are the fields that chat and completion have in common (vLLM's request schemas; those of 0.27.1 and 0.32.0 were asked).
func shared(d dialect, more schema) schema {
	out := schema{
		"model": {text, false}, "frequency_penalty": {decimal, false}, "presence_penalty": {decimal, false},
		"max_tokens": {integer, false}, "seed": {integer, false}, "stop": {texts, false}, "stream": {boolean, false},
		"temperature": {decimal, false}, "top_p": {decimal, false}, "user": {text, false},
		"use_beam_search": {boolean, true}, "top_k": {integer, false}, "min_p": {decimal, false},
		"repetition_penalty": {decimal, false}, "length_penalty": {decimal, true}, "stop_token_ids": {integerList, false},
		"include_stop_str_in_output": {boolean, true}, "ignore_eos": {boolean, true}, "min_tokens": {integer, true},
		"skip_special_tokens": {boolean, true}, "spaces_between_special_tokens": {boolean, true},
		"truncate_prompt_tokens": {integer, false}, "allowed_token_ids": {integerList, false},
		"prompt_logprobs": {integer, false}, "add_special_tokens": {boolean, true}, "priority": {integer, true},
		"request_id": {text, true}, "return_tokens_as_token_ids": {boolean, false}, "return_token_ids": {boolean, false},
		"cache_salt": {text, false}, "logit_bias": {decimals, false}, "response_format": {anything, false},
		"structured_outputs": {anything, false}, "stream_options": {anything, false},
	}
	maps.Copy(out, more)
	if d.otherFields {
		maps.Copy(out, schema{
			"bad_words": {textList, true}, "logprob_token_ids": {integerList, false}, "repetition_detection": {anything, false}, "thinking_token_budget": {integer, false},
		})
	} else {
		maps.Copy(out, schema{
			"best_of": {integer, false}, "logits_processors": {anything, false}, "guided_json": {anything, false}, "guided_regex": {text, false},
			"guided_choice": {textList, false}, "guided_grammar": {text, false}, "structural_tag": {text, false},
		})
	}
	return out
}

// badSalted reports whether a body has a cache_salt that vLLM does not take.
func badSalted(body *object) bool {
	value := body.get("cache_salt")
	salt, isText := value.(string)
	return value != nil && (!isText || salt == "")
}

// judgeKinds says which of the fields is no number, or "". Earlier versions compare it all the same.
func judgeKinds(body *object, d dialect, fields ...string) string {
	for _, field := range fields {
		switch body.get(field).(type) {
		case nil, bool, int64, float64, hugeInt:
		default:
			if d.otherFields {
				return "`" + field + noInteger
			}
		}
	}
	return ""
}

// streaming is how an answer is to be sent.
type streaming struct {
	on         bool
	usage      bool // a last chunk with the counts
	continuous bool // the counts in every chunk
}

// readStreaming takes stream and stream_options; false where vLLM's schema refuses the pair.
func readStreaming(v values) (streaming, bool) {
	out := streaming{on: v.flag("stream")}
	if !v.has("stream_options") {
		return out, true
	}
	options, isObject := v["stream_options"].(*object)
	if !isObject || truthy(options) && !out.on {
		return out, false
	}
	for key, into := range map[string]*bool{"include_usage": &out.usage, "continuous_usage_stats": &out.continuous} {
		if value := options.get(key); value != nil {
			var ok bool
			if *into, ok = asBoolean(value); !ok {
				return out, false
			}
		}
	}
	out.continuous = out.continuous && out.usage
	return out, true
}

// judgeScores says why prompt_logprobs does not fit, or "".
func judgeScores(v values) string {
	switch n := v.integer("prompt_logprobs", 0); {
	case n != 0 && n >= -1 && v.flag("stream"):
		return noScoreStream
	case n < -1:
		return badScores
	}
	return ""
}

// beyond names the first thing a request asks for that this platform does not do, or "".
func beyond(v values) string {
	object, _ := v["response_format"].(*object)
	asked := []struct {
		is   bool
		name string
	}{
		{v.flag("use_beam_search"), "beam search"},
		{len(v.texts("bad_words")) > 0, "bad_words"},
		{v.has("logprob_token_ids"), "logprob_token_ids"},
		{v.has("repetition_detection"), "repetition_detection"},
		{v.flag("return_prompt_text"), "return_prompt_text"},
		{object != nil && object.get("type") != any("text"), "response_format"},
		{slices.ContainsFunc([]string{"structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structural_tag"}, v.has), "structured output"},
		{v.has("truncate_prompt_tokens"), "truncate_prompt_tokens"},
		{v.has("skip_special_tokens") && !v.flag("skip_special_tokens"), "skip_special_tokens: false"},
	}
	for _, one := range asked {
		if one.is {
			return one.name
		}
	}
	return ""
}

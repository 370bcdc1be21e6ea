package container

import (
	"maps"
	"net/http"
	"strings"

	"loradeck/internal/lora"
)

// chatRequest is a body that fits the chat schema.
type chatRequest struct {
	fields    values
	messages  []Message
	pictures  bool // a part that is no text
	tools     bool
	toolPick  any // tool_choice, after vLLM's own default
	streaming streaming
}

func chatSchema(d dialect) schema {
	out := shared(d, schema{
		"messages": {anything, true}, "logprobs": {boolean, false}, "top_logprobs": {integer, false},
		"max_completion_tokens": {integer, false}, "n": {integer, false}, "tools": {anything, false},
		"tool_choice": {anything, false}, "reasoning_effort": {text, false}, "include_reasoning": {boolean, true},
		"parallel_tool_calls": {boolean, false}, "bad_words": {textList, true}, "echo": {boolean, true},
		"add_generation_prompt": {boolean, true}, "continue_final_message": {boolean, true}, "documents": {anything, false},
		"chat_template": {text, false}, "chat_template_kwargs": {anything, false}, "mm_processor_kwargs": {anything, false},
	})
	if d.otherFields {
		maps.Copy(out, schema{"return_prompt_text": {boolean, false}})
	}
	return out
}

// readChat fits body to the chat schema; fault says why it does not.
func readChat(body *object, d dialect) (chatRequest, string) {
	if !body.has("messages") {
		return chatRequest{}, "messages is missing"
	}
	if badSalted(body) {
		return chatRequest{}, badSalt
	}
	if fault := judgeKinds(body, d, "prompt_logprobs", "top_logprobs"); fault != "" {
		return chatRequest{}, fault
	}
	if tools, isList := body.get("tools").([]any); d.otherFields && isList && len(tools) == 0 {
		return chatRequest{}, noTools
	}
	v, bad := chatSchema(d).read(body)
	if bad != "" {
		return chatRequest{}, bad + " is not valid"
	}
	q := chatRequest{fields: v}
	var ok bool
	if q.messages, q.pictures, ok = readMessages(body.get("messages")); !ok {
		return chatRequest{}, "messages is not valid"
	}
	if q.streaming, ok = readStreaming(v); !ok {
		return chatRequest{}, noStream
	}
	if fault := judgeScores(v); fault != "" {
		return chatRequest{}, fault
	}
	switch top := v.integer("top_logprobs", 0); {
	case top < -1:
		return chatRequest{}, badTop
	case top != 0 && !v.flag("logprobs"):
		return chatRequest{}, noTopLogprobs
	}
	if v.flag("continue_final_message") && v.flag("add_generation_prompt") {
		return chatRequest{}, "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
	}
	if fault := q.readTools(body); fault != "" {
		return chatRequest{}, fault
	}
	return q, ""
}

func (q *chatRequest) readTools(body *object) string {
	list, isList := body.get("tools").([]any)
	if body.get("tools") != nil && !isList {
		return "tools is not valid"
	}
	q.tools = len(list) > 0
	q.toolPick = body.get("tool_choice")
	if q.toolPick == nil && !body.has("tool_choice") && q.tools {
		q.toolPick = "auto"
	}
	switch pick := q.toolPick.(type) {
	case nil, *object:
	case string:
		if pick != "none" && pick != "auto" && pick != "required" {
			return "tool_choice is not valid"
		}
	default:
		return "tool_choice is not valid"
	}
	if q.toolPick != nil && q.toolPick != any("none") && !isList {
		return "When using `tool_choice`, `tools` must be set."
	}
	return ""
}

// readMessages takes the conversation: content is a text, a list of parts whose texts are joined by newlines, or absent.
// pictures is true where a part is something else.
func readMessages(value any) (messages []Message, pictures, ok bool) {
	list, isList := value.([]any)
	if !isList {
		return nil, false, false
	}
	for _, item := range list {
		fields, isObject := item.(*object)
		if !isObject {
			return nil, false, false
		}
		role, isText := fields.get("role").(string)
		if !isText {
			return nil, false, false
		}
		message := Message{Role: role}
		switch content := fields.get("content").(type) {
		case string:
			message.Content = content
		case []any:
			texts, other, ok := readParts(content)
			if !ok {
				return nil, false, false
			}
			message.Content, pictures = strings.Join(texts, "\n"), pictures || other
		case nil:
			if fields.has("content") && role != "assistant" {
				return nil, false, false
			}
		default:
			return nil, false, false
		}
		messages = append(messages, message)
	}
	return messages, pictures, true
}

func readParts(parts []any) (texts []string, other, ok bool) {
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			texts = append(texts, p)
		case *object:
			text, isText := p.get("text").(string)
			if !isText {
				other = true
				continue
			}
			texts = append(texts, text)
		default:
			return nil, false, false
		}
	}
	return texts, other, true
}

// chat answers a conversation, judging it in vLLM's order: the model, tools, the messages, the length, the numbers; what
// this platform does not do comes last.
func (c *Container) chat(w http.ResponseWriter, r *http.Request, q chatRequest) {
	adapter, shown, refused := c.find(q.fields.text("model"))
	x := c.newExchange(r, q.fields, q.streaming, "chatcmpl-", shown)
	if refused == nil {
		refused = c.prepareChat(x, q, adapter)
	}
	if refused == nil {
		refused = c.trouble(r.Context(), x, adapter)
	}
	switch {
	case refused != nil:
		c.refuse(w, refused)
	case x.streaming.on:
		c.streamChat(w, r, x)
	default:
		c.fullChat(w, r, x)
	}
}

func (c *Container) prepareChat(x *exchange, q chatRequest, adapter string) *refusal {
	v := q.fields
	if q.toolPick == any("auto") {
		return badRequest(`"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set`)
	}
	if v.has("chat_template") {
		return badRequest("Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with untrusted chat template.")
	}
	if q.pictures {
		return badRequest("%s is not a multimodal model%s", modelPath, c.dialect.noCause())
	}
	if len(q.messages) == 0 {
		return badRequest("%s", c.dialect.noMessages())
	}
	if name := beyondTemplate(q); name != "" {
		return badRequest("%s", notHere(name))
	}
	tokens, refused := c.renderChat(v, q.messages)
	if refused != nil {
		return refused
	}
	x.role = "assistant"
	if v.has("add_generation_prompt") && !v.flag("add_generation_prompt") {
		x.role = q.messages[len(q.messages)-1].Role
	}
	top := int(v.integer("top_logprobs", 0))
	if top == -1 {
		top = c.vocab
	}
	if v.flag("logprobs") {
		x.logprobs = top
	}
	x.scores = c.promptScores(v, top)
	if v.flag("echo") {
		x.echo = []string{lastWords(q.messages, x.role)}
	}
	request, refused := c.request(x, adapter, tokens, chatLimit(v))
	if refused != nil {
		return refused
	}
	if name := beyond(v); name != "" {
		return badRequest("%s", notHere(name))
	}
	return x.spread(request)
}

// lastWords are what echo puts before the answer: the last message, where the answer goes on in its role.
func lastWords(messages []Message, role string) string {
	if last := messages[len(messages)-1]; last.Role == role {
		return last.Content
	}
	return ""
}

// beyondTemplate names what would change the rendered prompt and has no counterpart here.
func beyondTemplate(q chatRequest) string {
	switch {
	case q.tools:
		return "tools"
	case truthy(q.fields["documents"]):
		return "documents"
	case truthy(q.fields["chat_template_kwargs"]):
		return "chat_template_kwargs"
	}
	return ""
}

// chatLimit is max_completion_tokens, or max_tokens where that is absent or zero; nil is no limit.
func chatLimit(v values) *int64 {
	for _, key := range []string{"max_completion_tokens", "max_tokens"} {
		if n, ok := v[key].(int64); ok && (n != 0 || key == "max_tokens") {
			return &n
		}
	}
	return nil
}

// renderChat gives the tokens of a conversation. Messages from this stage end in " None" in vLLM 0.11.2, which appends the
// cause of the error.
func (c *Container) renderChat(v values, messages []Message) ([]int, *refusal) {
	generate := !v.has("add_generation_prompt") || v.flag("add_generation_prompt")
	resume := v.flag("continue_final_message")
	if resume && generate {
		return nil, badRequest("continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want the model to continue the final message, and add_generation_prompt when you want to add a header that will prompt it to start a new assistant message instead.%s", c.dialect.noCause())
	}
	if !c.base.template {
		return nil, badRequest("As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template if the tokenizer does not define one.%s", c.dialect.noCause())
	}
	text, err := c.engine.RenderChat(messages, generate)
	if err != nil {
		return nil, badRequest("%s%s", lora.Message(err), c.dialect.noCause())
	}
	if resume {
		last := messages[len(messages)-1].Content
		if at := strings.LastIndex(text, strings.TrimSpace(last)); at >= 0 {
			text = text[:at+len(strings.TrimSpace(last))]
		}
	}
	tokens := c.engine.Encode(text, v.flag("add_special_tokens"))
	limit := chatLimit(v)
	if c.dialect.lateRoom {
		return tokens, c.dialect.tooLong(c.context, len(tokens), limit)
	}
	switch n := len(tokens); {
	case n >= c.context:
		return nil, badRequest("This model's maximum context length is %d tokens. However, your request has %d input tokens. Please reduce the length of the input messages. None", c.context, n)
	case limit != nil && int64(n)+*limit > int64(c.context):
		return nil, badRequest("'max_tokens' or 'max_completion_tokens' is too large: %d. This model's maximum context length is %d tokens and your request has %d input tokens (%d > %d - %d). None", *limit, c.context, n, *limit, c.context, n)
	}
	return tokens, nil
}

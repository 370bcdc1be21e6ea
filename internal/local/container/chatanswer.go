package container

import (
	"encoding/json"
	"net/http"
	"strings"
)

type chatAnswer struct {
	ID                string          `json:"id"`
	Object            string          `json:"object"`
	Created           int64           `json:"created"`
	Model             string          `json:"model"`
	Choices           []chatChoice    `json:"choices"`
	ServiceTier       any             `json:"service_tier"`
	SystemFingerprint any             `json:"system_fingerprint"`
	Usage             fullUsage       `json:"usage"`
	PromptLogprobs    []*object       `json:"prompt_logprobs"`
	PromptTokenIDs    []int           `json:"prompt_token_ids"`
	PromptText        json.RawMessage `json:"prompt_text,omitempty"` // from 0.27.1, as the last two
	KVTransferParams  any             `json:"kv_transfer_params"`
	ECTransferParams  json.RawMessage `json:"ec_transfer_params,omitempty"`
	Metrics           json.RawMessage `json:"metrics,omitempty"`
}

type chatChoice struct {
	Index         int             `json:"index"`
	Message       chatMessage     `json:"message"`
	Logprobs      *chatLogprobs   `json:"logprobs"`
	FinishReason  *string         `json:"finish_reason"`
	StopReason    any             `json:"stop_reason"`
	TokenIDs      []int           `json:"token_ids"`
	RoutedExperts json.RawMessage `json:"routed_experts,omitempty"` // from 0.27.1
}

type chatMessage struct {
	Role             string          `json:"role"`
	Content          string          `json:"content"`
	Refusal          any             `json:"refusal"`
	Annotations      any             `json:"annotations"`
	Audio            any             `json:"audio"`
	FunctionCall     any             `json:"function_call"`
	ToolCalls        json.RawMessage `json:"tool_calls,omitempty"` // 0.11.2, as the last
	Reasoning        any             `json:"reasoning"`
	ReasoningContent json.RawMessage `json:"reasoning_content,omitempty"`
}

func (c *Container) fullChat(w http.ResponseWriter, r *http.Request, x *exchange) {
	created := c.now().Unix()
	answers, ok := c.collect(w, r, x)
	if !ok {
		return
	}
	if x.reports() && broken(answers) {
		c.refuseBroken(w)
		return
	}
	more, former := c.dialect.nullIf(c.dialect.newFields), c.dialect.nullIf(!c.dialect.leanMessage)
	var tools json.RawMessage
	if !c.dialect.leanMessage {
		tools = json.RawMessage("[]")
	}
	out := chatAnswer{
		ID: x.id, Object: "chat.completion", Created: created, Model: x.model, Choices: []chatChoice{},
		SystemFingerprint: c.dialect.print(), Usage: c.dialect.fullUsage(x.total(answers)), PromptTokenIDs: x.promptIDs(0),
		PromptLogprobs: x.promptLogprobs(answers[0].prompt), PromptText: more, ECTransferParams: more, Metrics: more,
	}
	for i, a := range answers {
		out.Choices = append(out.Choices, chatChoice{
			Index:    i,
			Message:  chatMessage{Role: x.role, Content: strings.Join(x.echo, "") + a.text, ToolCalls: tools, ReasoningContent: former},
			Logprobs: x.chatLogprobs(a.tokens), FinishReason: a.finish, StopReason: a.stopReason, TokenIDs: x.ids(a.tokens),
			RoutedExperts: more,
		})
	}
	writeJSON(w, http.StatusOK, out)
}

// The chunks of a streamed chat leave out what was not set, so each kind has a shape of its own: the opening of a choice,
// a piece of text, the last piece of a choice, the counts.
type chatHead struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
}

type chatOpening struct {
	chatHead
	Choices        [1]chatOpeningChoice `json:"choices"`
	Usage          *usage               `json:"usage,omitempty"`
	PromptTokenIDs []int                `json:"prompt_token_ids"`
	PromptText     json.RawMessage      `json:"prompt_text,omitempty"`
}

type chatOpeningChoice struct {
	Index int `json:"index"`
	Delta struct {
		Role             string          `json:"role"`
		Content          string          `json:"content"`
		ReasoningContent json.RawMessage `json:"reasoning_content,omitempty"`
	} `json:"delta"`
	Logprobs     any `json:"logprobs"`
	FinishReason any `json:"finish_reason"`
}

type chatPiece struct {
	chatHead
	Choices [1]any `json:"choices"`
	Usage   *usage `json:"usage,omitempty"`
	Print   string `json:"system_fingerprint,omitempty"` // of the last piece, from 0.27.1
}

type chatDelta struct {
	Content          string          `json:"content"`
	ReasoningContent json.RawMessage `json:"reasoning_content,omitempty"`
}

type chatPieceChoice struct {
	Index        int           `json:"index"`
	Delta        chatDelta     `json:"delta"`
	Logprobs     *chatLogprobs `json:"logprobs"`
	FinishReason any           `json:"finish_reason"`
	TokenIDs     []int         `json:"token_ids"`
}

type chatLastChoice struct {
	Index        int           `json:"index"`
	Delta        chatDelta     `json:"delta"`
	Logprobs     *chatLogprobs `json:"logprobs"`
	FinishReason string        `json:"finish_reason"`
	StopReason   any           `json:"stop_reason"`
	TokenIDs     []int         `json:"token_ids"`
}

type chatCounts struct {
	chatHead
	Choices []struct{} `json:"choices"`
	Usage   usage      `json:"usage"`
	Print   string     `json:"system_fingerprint,omitempty"`
}

func (c *Container) streamChat(w http.ResponseWriter, r *http.Request, x *exchange) {
	stream := openEvents(w)
	head := chatHead{ID: x.id, Object: "chat.completion.chunk", Created: c.now().Unix(), Model: x.model}
	answers := make([]answer, len(x.requests))
	opened, former := false, c.dialect.nullIf(!c.dialect.leanMessage)
	err := c.generate(r.Context(), x, func(i int, piece Chunk) error {
		if !opened {
			opened = true
			if err := c.sendOpenings(stream, x, head); err != nil {
				return err
			}
		}
		a := &answers[i]
		text := x.take(a, piece, c.ends)
		if text == "" && len(a.tokens) == 0 && a.finish == nil {
			return nil
		}
		out := chatPiece{chatHead: head}
		delta, logprobs, ids := chatDelta{Content: text, ReasoningContent: former}, x.chatLogprobs(piece.Tokens), x.ids(piece.Tokens)
		if a.finish != nil {
			if !x.streaming.usage {
				out.Print = c.dialect.fingerprint
			}
			out.Choices[0] = chatLastChoice{i, delta, logprobs, *a.finish, a.stopReason, ids}
		} else {
			out.Choices[0] = chatPieceChoice{i, delta, logprobs, nil, ids}
		}
		if x.streaming.continuous {
			counts := count(len(x.requests[i].Tokens), len(a.tokens))
			out.Usage = &counts
		}
		return stream.send(out)
	})
	if err == nil && x.streaming.usage {
		err = stream.send(chatCounts{chatHead: head, Choices: []struct{}{}, Usage: x.total(answers), Print: c.dialect.fingerprint})
	}
	c.endStream(r.Context(), stream, x, err)
}

// sendOpenings opens every choice with its role, before the first text of any.
func (c *Container) sendOpenings(stream *events, x *exchange, head chatHead) error {
	for i := range x.requests {
		out := chatOpening{chatHead: head, PromptTokenIDs: x.promptIDs(i), PromptText: c.dialect.nullIf(c.dialect.newFields)}
		out.Choices[0].Index = i
		out.Choices[0].Delta.Role = x.role
		out.Choices[0].Delta.ReasoningContent = c.dialect.nullIf(!c.dialect.leanMessage)
		if x.streaming.continuous {
			counts := count(len(x.requests[i].Tokens), 0)
			out.Usage = &counts
		}
		if err := stream.send(out); err != nil {
			return err
		}
	}
	return c.sendEchoes(stream, x, head)
}

// chatEcho carries the words that are put before an answer; it has no token ids.
type chatEcho struct {
	Index        int       `json:"index"`
	Delta        chatDelta `json:"delta"`
	Logprobs     any       `json:"logprobs"`
	FinishReason any       `json:"finish_reason"`
}

// sendEchoes puts the last message before the text of every choice, when the client wants it back and there is any.
func (c *Container) sendEchoes(stream *events, x *exchange, head chatHead) error {
	words := strings.Join(x.echo, "")
	if words == "" {
		return nil
	}
	for i := range x.requests {
		out := chatPiece{chatHead: head, Choices: [1]any{chatEcho{Index: i, Delta: chatDelta{words, c.dialect.nullIf(!c.dialect.leanMessage)}}}}
		if x.streaming.continuous {
			counts := count(len(x.requests[i].Tokens), 0)
			out.Usage = &counts
		}
		if err := stream.send(out); err != nil {
			return err
		}
	}
	return nil
}

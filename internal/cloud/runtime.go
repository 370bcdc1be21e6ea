package cloud

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"

	"loradeck/internal/lora"
)

const jsonType = "application/json"

// Invoke sends a JSON body to a component and gives the answer's body. What the container refused is a *ModelError in the
// error's chain.
func (p *Place) Invoke(ctx context.Context, to lora.Target, body []byte) ([]byte, error) {
	out, err := p.runtime.InvokeEndpoint(ctx, &sagemakerruntime.InvokeEndpointInput{
		EndpointName: &to.Endpoint, InferenceComponentName: &to.Component, Body: body, ContentType: aws.String(jsonType), Accept: aws.String(jsonType),
	})
	if err != nil {
		return nil, translate(err, "invoke "+to.Component)
	}
	return out.Body, nil
}

// InvokeStream sends a JSON body and gives the answer as it comes, in pieces cut anywhere. An error ends it.
func (p *Place) InvokeStream(ctx context.Context, to lora.Target, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		// Streams of one client share the buffers of one event decoder (smithy-go 1.28.9, internal/eventstream.Codec), so two at
		// a time race. A client a stream costs microseconds; go back to p.runtime once the decoder is per stream.
		out, err := p.streamer().InvokeEndpointWithResponseStream(ctx, &sagemakerruntime.InvokeEndpointWithResponseStreamInput{
			EndpointName: &to.Endpoint, InferenceComponentName: &to.Component, Body: body, ContentType: aws.String(jsonType), Accept: aws.String(jsonType),
		})
		if err != nil {
			yield(nil, translate(err, "invoke "+to.Component))
			return
		}
		stream := out.GetStream()
		defer stream.Close()
		for event := range stream.Events() {
			if part, ok := event.(*types.ResponseStreamMemberPayloadPart); ok && !yield(part.Value.Bytes, nil) {
				return
			}
		}
		// The status was 200 long ago: what broke the stream is told only here.
		if err := stream.Err(); err != nil {
			yield(nil, translate(err, "stream from "+to.Component))
		}
	}
}

// CompletionRequest is a vLLM completion of several prompts in one request, for scoring. It has no way to ask for echo: with
// logprobs that ends the engine of vLLM 0.11.2 for every tenant (recordings/proof/README.md §1).
type CompletionRequest struct {
	Prompts   []string
	MaxTokens int
	Logprobs  int // alternatives per token, 0 for none
}

// Completion is the answer to one prompt.
type Completion struct {
	Text   string
	Finish string
	// Top has, per generated token, the log-probabilities of the likeliest tokens by their text. A value may be NaN or
	// infinite only where the server wrote null for it.
	Top []map[string]*float64
}

// Complete sends greedy completions of all prompts in one request and gives the answers in the prompts' order.
func (p *Place) Complete(ctx context.Context, to lora.Target, r CompletionRequest) ([]Completion, error) {
	body := map[string]any{"prompt": r.Prompts, "max_tokens": r.MaxTokens, "temperature": 0}
	if r.Logprobs > 0 {
		body["logprobs"] = r.Logprobs
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("complete on %s: %w", to.Component, err)
	}
	answer, err := p.Invoke(ctx, to, text)
	if err != nil {
		return nil, err
	}
	var decoded struct {
		Choices []struct {
			Index    int    `json:"index"`
			Text     string `json:"text"`
			Finish   string `json:"finish_reason"`
			Logprobs *struct {
				Top []map[string]*float64 `json:"top_logprobs"`
			} `json:"logprobs"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(answer, &decoded); err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The answer of %s is no completion. Is its container vLLM?", to.Component)
	}
	if len(decoded.Choices) != len(r.Prompts) {
		return nil, lora.Errorf(lora.Invalid, "%s answered %d of %d prompts.", to.Component, len(decoded.Choices), len(r.Prompts))
	}
	completions := make([]Completion, len(r.Prompts))
	for _, choice := range decoded.Choices {
		if choice.Index < 0 || choice.Index >= len(completions) {
			return nil, lora.Errorf(lora.Invalid, "%s answered a prompt that was not asked.", to.Component)
		}
		c := Completion{Text: choice.Text, Finish: choice.Finish}
		if choice.Logprobs != nil {
			c.Top = choice.Logprobs.Top
		}
		completions[choice.Index] = c
	}
	return completions, nil
}

// Message is one message of a chat.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// GenerateRequest asks for one answer: to Messages when there are any, else to Prompt.
type GenerateRequest struct {
	Messages    []Message
	Prompt      string
	MaxTokens   int
	Temperature float64 // 0 is greedy
	TopP        float64 // 0 leaves the server's own
	Seed        *int64
}

// Usage is what the server counted.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
}

// Delta is a further piece of a streamed answer. Usage comes once, near the end.
type Delta struct {
	Text   string
	Finish string
	Usage  *Usage
}

// Generate gives one whole answer.
func (p *Place) Generate(ctx context.Context, to lora.Target, r GenerateRequest) (string, error) {
	var text bytes.Buffer
	for delta, err := range p.Stream(ctx, to, r) {
		if err != nil {
			return "", err
		}
		text.WriteString(delta.Text)
	}
	return text.String(), nil
}

// Stream gives an answer as it is made. Token counts come from the server's usage chunk, never from counting pieces: one
// piece may hold several tokens (recordings/README.md).
func (p *Place) Stream(ctx context.Context, to lora.Target, r GenerateRequest) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		body := map[string]any{
			"max_tokens": r.MaxTokens, "temperature": r.Temperature, "stream": true, "stream_options": map[string]any{"include_usage": true},
		}
		if r.TopP > 0 {
			body["top_p"] = r.TopP
		}
		if r.Seed != nil {
			body["seed"] = *r.Seed
		}
		if len(r.Messages) > 0 {
			body["messages"] = r.Messages
		} else {
			body["prompt"] = r.Prompt
		}
		text, err := json.Marshal(body)
		if err != nil {
			yield(Delta{}, fmt.Errorf("ask %s: %w", to.Component, err))
			return
		}
		for data, err := range events(p.InvokeStream(ctx, to, text)) {
			var delta Delta
			if err == nil {
				delta, err = readDelta(data)
			}
			if !yield(delta, err) || err != nil {
				return
			}
		}
	}
}

// maxLine bounds one line of a stream; vLLM's are a few hundred bytes.
const maxLine = 1 << 20

// events puts the lines of server-sent events together from pieces that may be cut anywhere, and gives the data of each up
// to [DONE].
func events(pieces iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var rest []byte
		for piece, err := range pieces {
			if err != nil {
				yield(nil, err)
				return
			}
			rest = append(rest, piece...)
			for {
				line, after, whole := bytes.Cut(rest, []byte("\n"))
				if !whole {
					break
				}
				rest = after
				data, isData := bytes.CutPrefix(bytes.TrimRight(line, "\r"), []byte("data:"))
				if !isData {
					continue
				}
				data = bytes.TrimSpace(data)
				if string(data) == "[DONE]" {
					return
				}
				if !yield(bytes.Clone(data), nil) {
					return
				}
			}
			if len(rest) > maxLine {
				yield(nil, lora.Wrap(bufio.ErrTooLong, lora.Invalid, "The stream has a line of more than %d bytes.", maxLine))
				return
			}
		}
		yield(nil, lora.Wrap(io.ErrUnexpectedEOF, lora.Unavailable, "The stream broke off before its end. Ask again."))
	}
}

func readDelta(data []byte) (Delta, error) {
	var chunk struct {
		Choices []struct {
			Text   string  `json:"text"`
			Finish *string `json:"finish_reason"`
			Delta  struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
		Usage *Usage          `json:"usage"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(data, &chunk); err != nil {
		return Delta{}, lora.Wrap(err, lora.Invalid, "The stream holds something that is no answer. Is its container vLLM?")
	}
	if len(chunk.Error) > 0 && string(chunk.Error) != "null" {
		answer := &ModelError{Status: 500, Message: string(data)}
		if answer.Died() {
			return Delta{}, answer.dead("stream")
		}
		return Delta{}, lora.Wrap(answer, lora.Unavailable, "The model's server broke off: %s. %s", answer.Said(), lookAtBase)
	}
	delta := Delta{Usage: chunk.Usage}
	for _, choice := range chunk.Choices {
		delta.Text += choice.Text + choice.Delta.Content
		if choice.Finish != nil {
			delta.Finish = *choice.Finish
		}
	}
	return delta, nil
}

// AsModelError gives what a container answered, when err holds that.
func AsModelError(err error) (*ModelError, bool) {
	var answer *ModelError
	found := errors.As(err, &answer)
	return answer, found
}

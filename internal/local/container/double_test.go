package container

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
)

// double is an engine that says what it is told to: one token per byte of script, then the end. It is for rules of the
// protocol that no model is needed for, and for what a real one does too rarely.
type double struct {
	mu       sync.Mutex
	script   []Token
	adapters map[string][]Delta
	asked    []Request
	release  chan struct{} // when set, every token waits for one receive
	ended    chan error    // when set, told how each generation ended
	fail     error
}

func (d *double) Describe() Description {
	return Description{DType: "bfloat16", Context: 256, Vocab: 400, EOS: []int{2}}
}

func (d *double) Encode(text string, special bool) []int {
	ids := []int{}
	if special {
		ids = append(ids, 1)
	}
	for _, b := range []byte(text) {
		ids = append(ids, int(b))
	}
	return ids
}

func (d *double) Decode(ids []int) string {
	var out strings.Builder
	for _, id := range ids {
		out.WriteByte(byte(id))
	}
	return out.String()
}

func (d *double) RenderChat(messages []Message, generationPrompt bool) (string, error) {
	var out strings.Builder
	for _, m := range messages {
		out.WriteString(m.Role + ":" + m.Content + "\n")
	}
	if generationPrompt {
		out.WriteString("assistant:")
	}
	return out.String(), nil
}

func (d *double) AddAdapter(name string, deltas []Delta) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, taken := d.adapters[name]; taken {
		return errors.New("the name is taken")
	}
	if d.adapters == nil {
		d.adapters = map[string][]Delta{}
	}
	d.adapters[name] = deltas
	return nil
}

func (d *double) RemoveAdapter(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.adapters, name)
	return nil
}

func (d *double) Forget(string) {} // it keeps nothing

func (d *double) Generate(ctx context.Context, request Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		d.mu.Lock()
		d.asked = append(d.asked, request)
		d.mu.Unlock()
		err := d.generate(ctx, request, yield)
		if d.ended != nil {
			d.ended <- err
		}
	}
}

func (d *double) generate(ctx context.Context, request Request, yield func(Chunk, error) bool) error {
	for i, token := range d.script {
		if d.release != nil {
			select {
			case <-d.release:
			case <-ctx.Done():
				yield(Chunk{}, ctx.Err())
				return ctx.Err()
			}
		}
		if d.fail != nil && i == 1 {
			yield(Chunk{}, d.fail)
			return d.fail
		}
		chunk := Chunk{Tokens: []Token{token}, Text: token.Text}
		switch {
		case slices.Contains(request.StopTokens, token.ID):
			chunk.Finish, chunk.Text = "stop", ""
		case slices.Contains(request.Stop, token.Text):
			chunk.Finish, chunk.StopString, chunk.Text = "stop", token.Text, ""
		case token.ID == 2 && !request.IgnoreEOS:
			chunk.Finish, chunk.Text = "stop", ""
		case i+1 >= request.MaxTokens:
			chunk.Finish = "length"
		}
		if !yield(chunk, nil) || chunk.Finish != "" {
			return nil
		}
	}
	return nil
}

func (d *double) Load() Load { return Load{} }

func (d *double) Close() error { return nil }

// opener gives the double to a container.
func (d *double) opener(context.Context, string, Limits) (Engine, error) { return d, nil }

// says makes a script of one token per word, ending with the end token.
func says(words ...string) []Token {
	var out []Token
	for i, word := range words {
		out = append(out, Token{ID: 10 + i, Text: word, Logprob: -0.5, Top: []Alternative{{ID: 300, Text: " other", Logprob: -0.25}, {ID: 10 + i, Text: word, Logprob: -0.5}}})
	}
	return append(out, Token{ID: 2, Text: "</s>", Logprob: -0.125})
}

// startDouble starts a container over d with the recorded environment.
func startDouble(t *testing.T, d *double) *Container {
	t.Helper()
	return startRecorded(t, unpackData(t), d.opener, nil)
}

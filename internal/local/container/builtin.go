package container

import (
	"context"
	"iter"

	"loradeck/internal/engine"
	"loradeck/internal/engine/chat"
)

// builtIn is the built-in engine behind the container's interface; it translates and decides nothing.
type builtIn struct {
	engine *engine.Engine
}

// openBuiltIn opens the built-in engine.
func openBuiltIn(_ context.Context, dir string, limits Limits) (Engine, error) {
	e, err := engine.Open(dir, engine.Options{MaxLoraRank: limits.Rank, MaxRunning: limits.Sequences, MaxContext: limits.Context})
	if err != nil {
		return nil, err
	}
	return builtIn{e}, nil
}

func (b builtIn) Describe() Description {
	info := b.engine.Info()
	return Description{DType: info.DType, Context: info.Context, Vocab: info.Vocab, EOS: info.EOS}
}

func (b builtIn) Encode(text string, special bool) []int {
	return b.engine.Tokenizer().Encode(text, special)
}

func (b builtIn) Decode(ids []int) string { return b.engine.Tokenizer().Decode(ids, false) }

func (b builtIn) RenderChat(messages []Message, generationPrompt bool) (string, error) {
	out := make([]chat.Message, len(messages))
	for i, m := range messages {
		out[i] = chat.Message{Role: m.Role, Content: m.Content}
	}
	return b.engine.RenderChat(out, generationPrompt)
}

func (b builtIn) AddAdapter(name string, deltas []Delta) error {
	out := make([]engine.Delta, len(deltas))
	for i, d := range deltas {
		out[i] = engine.Delta{Module: d.Module, A: engine.Matrix(d.A), B: engine.Matrix(d.B), Scale: d.Scale}
	}
	return b.engine.AddAdapter(name, out)
}

func (b builtIn) RemoveAdapter(name string) error { return b.engine.RemoveAdapter(name) }

func (b builtIn) Forget(name string) { b.engine.Forget(name) }

func (b builtIn) Generate(ctx context.Context, r Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for piece, err := range b.engine.Generate(ctx, engine.Request{
			Adapter: r.Adapter, Tokens: r.Tokens, MaxTokens: r.MaxTokens, MinTokens: r.MinTokens, IgnoreEOS: r.IgnoreEOS,
			Temperature: r.Temperature, TopP: r.TopP, TopK: r.TopK, Seed: r.Seed, Stop: r.Stop, StopTokens: r.StopTokens,
			Logprobs: r.Logprobs, ScorePrompt: r.PromptLogprobs >= 0, PromptLogprobs: r.PromptLogprobs,
			MinP: r.MinP, Presence: r.Presence, Frequency: r.Frequency, Repetition: r.Repetition, LogitBias: r.LogitBias,
			Allowed: r.Allowed, Trouble: engine.Trouble(r.Trouble),
		}) {
			if !yield(chunkOf(piece), err) {
				return
			}
		}
	}
}

func chunkOf(piece engine.Chunk) Chunk {
	return Chunk{Text: piece.Text, Tokens: tokensOf(piece.Tokens), Prompt: tokensOf(piece.Prompt), Finish: piece.Finish, StopString: piece.StopReason, Stale: piece.Stale}
}

func tokensOf(tokens []engine.Token) []Token {
	var out []Token
	for _, t := range tokens {
		token := Token{ID: t.ID, Text: t.Text, Logprob: t.Logprob, Rank: t.Rank}
		for _, a := range t.Top {
			token.Top = append(token.Top, Alternative{ID: a.ID, Text: a.Text, Logprob: a.Logprob})
		}
		out = append(out, token)
	}
	return out
}

func (b builtIn) Load() Load {
	stats := b.engine.Stats()
	return Load{Running: stats.Running, Waiting: stats.Waiting}
}

func (b builtIn) Close() error { return b.engine.Close() }

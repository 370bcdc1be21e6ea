package container

import (
	"context"
	"iter"
)

// Engine is what a container needs of the thing that computes. The built-in engine stands behind it now; whatever runs a
// base and applies LoRA per request can.
type Engine interface {
	// Describe says what base runs. It does not change while the engine is open.
	Describe() Description
	// Encode gives the token ids of text, with the tokenizer's own leading and trailing tokens when special is true.
	Encode(text string, special bool) []int
	// Decode gives the text of ids, special tokens included.
	Decode(ids []int) string
	// RenderChat applies the base's chat template. The error is a sentence the client may read.
	RenderChat(messages []Message, generationPrompt bool) (string, error)
	// AddAdapter makes deltas, one at least, answer under name. It refuses a name in use.
	AddAdapter(name string, deltas []Delta) error
	// RemoveAdapter takes name away; requests under way keep the adapter they started with.
	RemoveAdapter(name string) error
	// Generate yields the answer piece by piece and an error at most once, as the last thing. Ending ctx, or the loop,
	// ends the generation. A lora.Invalid is a sentence the client may read, a lora.NotFound an adapter that is not there.
	Generate(ctx context.Context, request Request) iter.Seq2[Chunk, error]
	// Forget drops what was kept under the name of a Trouble.Prefix.
	Forget(name string)
	// Load says how much is under way.
	Load() Load
	// Close frees the base. No generation may be under way.
	Close() error
}

// Description is what the container tells of its base.
type Description struct {
	DType   string // "bfloat16", "float16" or "float32", as vLLM's auto dtype would have it
	Context int    // tokens the engine can hold for one request
	Vocab   int
	EOS     []int
}

// Message is one turn of a conversation.
type Message struct{ Role, Content string }

// Matrix is a dense matrix in row order.
type Matrix struct {
	Rows, Cols int
	Data       []float32
}

// Delta is what an adapter adds to one linear module, or to one of the base's ends: Scale × B × A, with A [r, in] and
// B [out, r]. The embedding takes as many values as the vocabulary has tokens, the head gives as many.
type Delta struct {
	Module string // Hugging Face's module path: "model.layers.0.self_attn.q_proj", "model.embed_tokens", "lm_head"
	A, B   Matrix
	Scale  float32
}

// Request asks for one answer to one prompt.
type Request struct {
	Adapter     string // "" is the base
	Tokens      []int  // the prompt, encoded
	MaxTokens   int
	MinTokens   int
	Temperature float64 // 0 is greedy
	TopP        float64
	TopK        int     // 0 is no limit
	MinP        float64 // as a part of the likeliest token's probability; 0 is no limit
	Seed        *uint64
	Stop        []string
	StopTokens  []int
	IgnoreEOS   bool
	Logprobs    int // -1 none, else how many alternatives beside the chosen token

	PromptLogprobs int // the same for every token of the prompt but the first

	Presence, Frequency float64 // taken from the logits of the answer's tokens, once and for every time
	Repetition          float64 // above 1 against tokens of prompt and answer, below 1 for them; 1 is none
	LogitBias           map[int]float64
	Allowed             []int // the only tokens that may come; empty is all

	Trouble Trouble
}

// Trouble is what is to go wrong with a request on purpose. An engine that cannot do it answers soundly.
type Trouble struct {
	NaN      bool   // it computes as weights that hold a NaN do
	Rounding uint64 // a seed: everything is rounded as by bfloat16, up or down as the seed has it; 0 is none
	Prefix   string // the name by which the prompt's beginning is cached, whatever weights computed it; "" is none
}

// Chunk is a piece of an answer.
type Chunk struct {
	Prompt     []Token // with the first chunk, when PromptLogprobs is not -1; the first token has no logprob
	Text       string  // what may be shown now
	Tokens     []Token // what was generated since the last chunk, an ending token included
	Finish     string  // "" until the last chunk, then "stop" or "length"
	StopString string  // the stop string that ended it
	Stale      int     // tokens of the prompt that other weights had computed, under the name of Trouble.Prefix
}

// Token is a token of an answer or a prompt; Logprob, Rank and Top are meaningful when the request asked for logprobs.
type Token struct {
	ID      int
	Text    string
	Logprob float64
	Rank    int           // among the vocabulary, 1 being the most likely
	Top     []Alternative // most likely first
}

// Alternative is a token that could have been chosen instead.
type Alternative struct {
	ID      int
	Text    string
	Logprob float64
}

// Load counts the requests under way.
type Load struct{ Running, Waiting int }

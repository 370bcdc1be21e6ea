package engine

// Options are the engine's limits. The zero value of each takes the default it names.
type Options struct {
	Threads     int // goroutines that compute; 0 is as many as the Go scheduler has processors
	MaxLoraRank int // largest rank of an adapter's module; 0 is 512, the most vLLM can be set to
	MaxRunning  int // requests computed together, the others wait; 0 is 16
	StepTokens  int // tokens computed in one pass, prompts are cut to it; 0 is 256
	MaxContext  int // tokens of one request, prompt and answer; 0 is what the model was made for
}

// Info describes the base that an engine runs.
type Info struct {
	Architecture string // as in config.json: "LlamaForCausalLM", "MistralForCausalLM" or "Qwen2ForCausalLM"
	DType        string // "bfloat16", "float16" or "float32": what config.json says, else what the weights are
	Context      int    // tokens of one request, prompt and answer
	Vocab        int    // rows of the embedding; the tokenizer may know fewer tokens
	Layers       int
	Hidden       int
	Params       int64
	EOS          []int // the tokens that end an answer, from config.json and generation_config.json, ascending
}

// Matrix is a dense matrix in row order: Data has Rows*Cols values.
type Matrix struct {
	Rows, Cols int
	Data       []float32
}

// Delta is what an adapter adds to one linear module, to "model.embed_tokens" or to "lm_head": Scale·B·A.
type Delta struct {
	Module string // the module's path in Hugging Face's model: "model.layers.0.self_attn.q_proj"
	A      Matrix // [r, in]
	B      Matrix // [out, r]
	Scale  float32
}

// Request asks for one answer to one prompt.
type Request struct {
	Adapter string // "" is the base
	Tokens  []int  // the prompt, already encoded

	MaxTokens int  // at least 1; with the prompt no more than the context
	MinTokens int  // so many tokens come before an end token or a stop string may end the answer
	IgnoreEOS bool // the model's own end tokens do not end the answer; StopTokens still do

	Temperature float64 // below 0.00001 the likeliest token is taken
	TopP        float64 // 0 and 1 are no limit
	TopK        int     // 0 and below are no limit
	MinP        float64 // the least probability, as a part of the likeliest token's, after temperature; 0 is no limit
	Seed        *uint64 // the same seed gives the same answer; nil is a random one

	Presence   float64         // taken from the logit of every token the answer has
	Frequency  float64         // taken from it once for every time the answer has the token
	Repetition float64         // divides the positive logits of tokens in prompt or answer and multiplies the others; 0 and 1 do nothing
	LogitBias  map[int]float64 // added to the logits of these tokens, before any penalty
	Allowed    []int           // the only tokens that may come; empty is all

	Stop       []string // texts that end the answer and are not part of it
	StopTokens []int    // tokens that end the answer; their text is not part of it

	Logprobs int // alternatives to report for each token, 0 to 20; -1 reports none, and no logprob either

	ScorePrompt    bool // the prompt's own tokens are reported too, which computes its whole vocabulary at every position
	PromptLogprobs int  // alternatives to report for each of them, 0 to 20; unread without ScorePrompt

	Trouble Trouble // what is to go wrong on purpose
}

// Chunk is a piece of an answer. A reader that is slower than the engine finds several pieces joined in one.
type Chunk struct {
	Prompt     []Token // with the first chunk, when the request scores its prompt; the first token follows nothing and has no logprob
	Text       string  // what may be shown now: whole UTF-8, nothing that may turn out to be a stop string
	Tokens     []Token // what was generated since the last chunk, an ending token included
	Finish     string  // "" until the last chunk, then "stop" or "length"
	StopReason string  // the stop string that ended the answer, if one did

	PromptTokens, CompletionTokens int // so far
	Stale                          int // tokens of the prompt that other weights had computed, under the name of Trouble.Prefix
}

// Token is one token of an answer or of a scored prompt.
type Token struct {
	ID      int
	Text    string      // the token decoded alone, special tokens too
	Logprob float64     // natural logarithm of its probability before temperature, bias and penalties; 0 when the request asked for none
	Rank    int         // how many tokens are at least as likely, itself among them: 1 is the likeliest; 0 without logprobs
	Top     []TokenProb // the likeliest tokens, likeliest first, as many as the request asked for
}

// TokenProb is a token that could have been chosen.
type TokenProb struct {
	ID      int
	Text    string
	Logprob float64
}

// Stats says how many requests are under way.
type Stats struct{ Running, Waiting int }

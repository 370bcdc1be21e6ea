package templates

// Proof is what was measured between an adapter and its base (design §6), drawn so that one can see how far it stands from
// the noise and from the lines that a verdict turns on.
type Proof struct {
	Verdict  State
	Sentence string // the verdict with its numbers, as it is stored
	Age      string
	Stale    string // why it no longer counts; "" while it does

	Effect   string // mean |Δ| over all texts, nats
	Noise    string
	NoEffect string // at most this is no effect
	Proven   string // at least this, on enough texts, is proven
	Texts    []Effect
	Lines    []Tick // the lines drawn through the bars: X and what they mean

	Prompt     string
	Base       string
	Adapter    string
	Samples    []Answer
	CompareURL string // "" while it cannot answer
}

// Effect is one probe text's difference.
type Effect struct {
	Name  string
	Nats  string
	Width string // of its bar, an SVG length
	Mark  string // proven when the text passes its own line, waiting when not
	Says  string // "differs" or "too close"
}

// Answer is a prompt answered by both.
type Answer struct {
	Prompt  string
	Base    string
	Adapter string
}

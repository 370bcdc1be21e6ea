package templates

// Proof is what was measured between an adapter and its base (design §6), drawn so that one can see how far it stands from
// the noise and from the lines that a verdict turns on.
type Proof struct {
	Verdict  State
	Sentence string // the verdict with its numbers, as it is stored
	Age      string
	Stale    string // why it no longer counts; "" while it does
	Newer    Link   // the proof that counts instead, when there is one
	AgainURL string // where it is proven again; "" while that is of no use

	Texts    []Effect
	Together *Effect // over all texts; nil where nothing could be measured
	Noise    string  // nats, as the following
	NoEffect string  // at most this is no effect
	Proven   string  // at least this is proven, when enough texts differ
	TextLine string  // from where a text differs, and how many must

	Prompt     string
	Base       string
	Adapter    string
	Samples    []Answer
	CompareURL string // "" while it is not in service
	Idle       string // why it cannot be compared now, and what to do; "" when it can
}

// Effect is a difference from the base as a bar.
type Effect struct {
	Name  string
	Nats  string
	Width string // of its bar, an SVG length
	Mark  string // proven when it passes its line, waiting when not
	Says  string // "differs" or "too close"
	Lines []Tick // lines across the bar: X and what each means
}

// Answer is a prompt answered by both.
type Answer struct {
	Prompt  string
	Base    string
	Adapter string
}

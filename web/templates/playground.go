package templates

import "strconv"

// Playground is the form and, when there is one, the comparison it made.
type Playground struct {
	Icons   string
	Form    Compose
	Run     *Run
	Nothing string // why nothing can be asked; takes the form's place
	Recent  []Past
}

// Past is a comparison that was made before.
type Past struct {
	Href string
	Text string // its prompt, cut short
	When string
}

// Compose is the form as it was last filled in.
type Compose struct {
	Bases       []Choice // bases that are in service; one is chosen
	Base        string   // value of the chosen one
	Adapters    []Choice // its adapters
	Chat        bool     // messages through the base's own template; else the bare prompt
	NoChat      string   // why chat cannot be chosen; "" when it can
	System      string
	Text        string
	MaxTokens   string
	Temperature string
	TopP        string
	Seed        string
	Wrong       map[string]string // what is wrong, by the name of the field
	Tries       []Link            // prompts that the adapters' cards offer
	Idle        string            // why the chosen base cannot be asked now, and what to do; "" when it can
}

// Choice is one base or adapter to pick.
type Choice struct {
	Value  string
	Text   string
	Note   string
	Href   string // of a base: the form for it
	Chosen bool
	Off    bool // shown, but cannot answer now
}

// Run is a comparison as it stands.
type Run struct {
	ID      int64
	State   State
	Summary string
	When    string
	StopURL string // "" once it has ended
	Panes   []Pane
}

// Pane is one component's answer.
type Pane struct {
	N      int
	Key    string // A, B, …
	Label  string
	Ref    bool // the base, against which the others are read
	State  State
	Moving bool
	TTFT   Measure
	Speed  Measure
	In     Measure
	Out    Measure
	Same   string    // what it says like the reference, from the start
	Flag   string    // "word 18" where it first differs; "" when it does not (yet)
	Rest   []Segment // from there on
	Note   string    // how it ended or what went wrong
}

// Measure is a number that may not be known.
type Measure struct {
	Value string // "" draws a dash
	Unit  string
}

// Segment is a run of text, marked when the reference does not say it.
type Segment struct {
	Text   string
	Marked bool
}

func (c Compose) wrong(field string) string { return c.Wrong[field] }

// told says whether a field carries an error, as ARIA wants it.
func (c Compose) told(field string) string { return strconv.FormatBool(c.Wrong[field] != "") }

func (p Pane) caret() string {
	if p.Moving {
		return "pane__text caret"
	}
	return "pane__text"
}

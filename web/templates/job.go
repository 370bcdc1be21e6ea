package templates

import (
	"fmt"
	"strconv"
)

// Job is the page of one job: what broke and what next first, then its steps on a time axis, then what it proved.
type Job struct {
	Icons   string
	ID      int64
	Title   string
	State   State
	Summary string // one sentence, read out when it changes
	Base    Link   // the base it concerns
	Where   string // endpoint and place
	Figures []Figure
	Acts    []Act  // what can be done with it now
	Waits   *Link  // the job it waits for, when another has its component
	Outcome string // what a cancel left; "" for others
	Failure *Failure
	Lanes   Lanes
	Proof   *Proof
	Checks  *Checks // nil before the check has ended
	Calls   []Call  // what was said to AWS, oldest first
	AllOf   string  // address of all of it as text, when there is more
	About   []Fact
	Tries   []Try
	Webhook []Try // one per event; none when no webhook was told
}

// Call is one thing that was said to AWS and what came back.
type Call struct {
	When      string
	Operation string
	Request   string
	Answer    string
	Failed    bool
	Note      string // how long it took, and how often it was said
}

// Act is something to do with a job: a page that asks first, or a button.
type Act struct {
	Text string
	Href string // of the page that asks
	Post string // instead of Href: done at once
}

// Failure is why a job stopped and what can be done.
type Failure struct {
	Title string
	Cause string // the reason as a sentence
	Now   string // what the failure left behind
	Next  []Link
}

// Checks are what the check step found: first what needs a look, then what passed.
type Checks struct {
	Look   []Check
	Waits  []string // what cannot be judged yet
	Passed []string
}

// Check is one finding that did not simply pass.
type Check struct {
	State  State
	Title  string
	Detail string
	Next   string
}

// summary counts everything, worst first.
func (c Checks) summary() string {
	text := fmt.Sprintf("%d to look at, %d passed", len(c.Look), len(c.Passed))
	if len(c.Waits) > 0 {
		text += fmt.Sprintf(", %d wait", len(c.Waits))
	}
	return text
}

// checkID names a finding, so that a link can lead to it.
func checkID(i int) string { return "check-" + strconv.Itoa(i) }

// passed counts what passed.
func (c Checks) passed() string { return Plural(len(c.Passed), "rule") + " passed" }

// Try is one attempt of a step, listed when a step needed more than one or ended badly; or one event for the webhook.
type Try struct {
	State   State
	Text    string // "Create, attempt 2"
	Outcome string
	When    string
}

// Lanes are a job's steps on one time axis.
type Lanes struct {
	Past  string // how many past jobs the brackets are from; "" for none
	Ticks []Tick
	Now   string // where "now" is, as an SVG length; "" once the job has ended
	Rows  []Lane
}

// Tick is one mark of the axis.
type Tick struct {
	X    string
	Text string
}

// Lane is one step.
type Lane struct {
	State   State
	Usual   *Usual // nil while too few are known
	Name    string
	Note    string // what it found or is doing
	Reason  string // why the last attempt did not succeed
	Bars    []Span
	Took    string
	Tries   string // "2 attempts", "" for one
	Current bool
}

// Usual is where a step usually ends, as a bracket: the middle half of past ones. X and End are SVG lengths.
type Usual struct {
	X     string
	End   string
	Title string
}

// Span is one attempt as a bar: X and Width are SVG lengths.
type Span struct {
	Mark  string
	X     string
	Width string
	Title string
}

package templates

// Local is the page of the local place: what it is, what its containers hold, and what is set to go wrong.
type Local struct {
	Icons      string
	Trouble    string // why it could not be seen; what is shown is older then
	Facts      []Fact
	Containers []Held
	Lost       []string // sentences: what the control plane says and no container has
	Set        []SetFault
	Ended      []EndedFault // newest first
}

// Held is a container and what it holds.
type Held struct {
	ID       string // of its heading
	Base     string
	State    State
	Specs    []string
	Metrics  string // address; "" when it has none
	Adapters []HeldAdapter
	Empty    string // what to say without an adapter
}

// HeldAdapter is an adapter of a container.
type HeldAdapter struct {
	ID    string
	Name  string
	State State
	Note  string // how much of the base it changes
	Since string
}

// SetFault is a fault that is set.
type SetFault struct {
	ID       string
	Kind     string
	Sentence string
	Often    string // for what, how often still, and how often it happened
}

// EndedFault is a fault that is over.
type EndedFault struct {
	ID    string
	Kind  string
	What  string // the rest of the sentence that Kind begins
	Again AgainForm
}

// AgainForm sets a fault once more as it was set.
type AgainForm struct{ Resource, Calls string }

// LocalForm is what can be set. It is not redrawn while somebody fills it in.
type LocalForm struct {
	Parts  []MenuPart
	Names  []string // of resources, to choose from
	Chosen string   // kind
	Paces  []Option
}

// MenuPart is the menu of one part of the platform.
type MenuPart struct {
	Name  string
	Lines []MenuLine
}

// MenuLine is a kind of fault.
type MenuLine struct{ Kind, Sentence, Resource string }

// faultsSet counts in words.
func faultsSet(n int) string {
	if n == 1 {
		return "1 fault is set"
	}
	return Plural(n, "fault") + " are set"
}

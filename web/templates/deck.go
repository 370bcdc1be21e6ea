package templates

import (
	"strconv"

	"loradeck/internal/lora"
)

// Deck is the home page: what runs where, and what needs someone.
type Deck struct {
	Icons   string
	Figures []Figure
	Needs   []Need
	Racks   []Rack
	Waiting bool // no place has answered yet
}

// Need is one thing that asks for a person, with where to go for it.
type Need struct {
	Mark  string // failed or warn
	Title string
	Text  string
	Act   Link
}

// Rack is one endpoint, drawn as a plate with its bases below it.
type Rack struct {
	ID     string // id of its heading
	Name   string
	Local  bool
	State  State
	Status string   // the service's own word
	Specs  []string // place, machine, instances
	Note   string   // why it failed, or how old the fact is; may be empty
	Levers Link     // the page of its place; without an address where there is none
	Faults int      // set to happen in its place
	Bases  []Base
}

// Base is a base component and what may be said of its capacity. Which adapters its GPU holds right now cannot be seen
// through SageMaker, so nothing here says it.
type Base struct {
	ID     string
	Name   string
	State  State
	Status string
	Specs  []string
	Notes  []string // why it failed, why nothing on it answers, why it can serve no adapters
	TryURL string   // "" while it is not in service
	Idle   bool     // no copy of it runs: what asks it or an adapter on it is shown, and cannot be pressed
	Limits *Limits  // nil while it is not known that it takes adapters

	Slots  []Slot
	Offers []Offer
}

// Limits are what a base that takes adapters has room for.
type Limits struct {
	Batch Limit // adapters in one batch
	Cache Limit // adapters in CPU memory, as vLLM takes it
	Rank  Limit
}

// Limit is a number that a variable of a base's model sets.
type Limit struct {
	Variable string
	Most     int    // 0 when it is not known
	Note     string // behind the variable's name: where the number comes from
	Wrong    string // that the variable is set to what vLLM refuses; "" when it is not
}

// Slot is one adapter on a base.
type Slot struct {
	ID        string
	Name      string
	Href      string // its newest job; "" when this deck knows none
	Version   string // "v3", or ""
	About     string
	Component string
	State     State
	Status    string // the service's own word; "" before the component exists
	Size      string // rank and bytes
	Proof     string // what is known of the newest proof; "" when there is none
	Note      string // takes the place of size and proof: what it is doing, or why it stands
	NoteLink  Link
	TryURL    string // "" while it is not in service
	ProveURL  string // "" unless proving it again is what is needed
	RemoveURL string // "" when it cannot be removed from here
}

// Offer is a sample adapter that can be deployed on this base with one press.
type Offer struct {
	ID     string // of its row: frames find it again by it, and with it the focus
	Name   string // in the sample's address
	Title  string
	Blurb  string
	Action string // where the form goes
	Place  string
	Base   string
}

// place writes a slot's number on its base as two digits.
func place(i int) string {
	if i < 9 {
		return "0" + strconv.Itoa(i+1)
	}
	return strconv.Itoa(i + 1)
}

// drawn limits how many places of a batch or cache are drawn; the number beside them is always right.
func drawn(n int) int { return min(n, 16) }

// ranks are those that vLLM takes, but for the first, 1, which nobody sets.
func ranks() []int { return lora.Ranks()[1:] }

// noteID names what is said of a base, for what cannot be pressed because of it.
func (b Base) noteID() string { return b.ID + "-note" }

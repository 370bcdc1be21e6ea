package templates

// Jobs is the history of jobs, newest first, a page at a time.
type Jobs struct {
	Icons    string
	Narrowed bool // a filter is set
	Rows     []JobRow
	Newer    string // address of the page before; "" on the first
	Older    string // address of the page after; "" on the last
}

// JobRow is one job of the list.
type JobRow struct {
	ID    string // of the row
	Href  string
	Title string
	State State
	Step  string // where it is or where it stopped
	Where string
	When  string
	Took  string
}

// JobsForm narrows the list.
type JobsForm struct {
	Fields []Select
	Any    bool // something is chosen
}

// Select is a list to choose one of.
type Select struct {
	Label   string
	Name    string
	Options []Option
}

// Option is one entry of a list to choose from.
type Option struct {
	Value  string
	Text   string
	Chosen bool
	Off    bool // shown, but cannot be chosen now
}

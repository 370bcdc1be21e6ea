package templates

// Jobs is the history of jobs, newest first, a page at a time.
type Jobs struct {
	Icons string
	Rows  []JobRow
	Newer string // address of the page before; "" on the first
	Older string // address of the page after; "" on the last
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

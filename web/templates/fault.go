package templates

// Fault is a page about something that went wrong.
type Fault struct {
	Icons   string
	Status  int
	Title   string
	Message string // a sentence that says what to do next
	Back    Link
}

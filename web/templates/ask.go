package templates

// Ask asks before something is taken back or deleted, saying exactly what will and will not happen.
type Ask struct {
	Icons  string
	Path   Link   // the page above
	Verb   string // "Remove"
	Name   string // "pirate v1"
	Will   []string
	Stays  []string
	Action string
	Back   Link // the safe answer
	Twins  Twins
}

package templates

// Remove asks before a component is deleted, saying exactly what will and will not happen.
type Remove struct {
	Icons  string
	Name   string // "pirate v1"
	Will   []string
	Stays  []string
	Action string
	Back   string
	Block  string // why it cannot be removed now; "" when it can
}

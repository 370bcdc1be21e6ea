package templates

// Login is the page that asks for a token.
type Login struct {
	Icons string
	Next  string // where to go afterwards, a path on this server
	Wrong string // why the last try failed
}

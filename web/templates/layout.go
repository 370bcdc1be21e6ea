package templates

import (
	"strings"

	"loradeck/web/static"
)

// Shell is what every page has around its content.
type Shell struct {
	Title  string
	Nav    string // which entry of the navigation is current: "deck", "playground", "jobs" or ""
	Assets static.Assets
	Places []string // names of the places the deck speaks to
	User   string   // who is signed in; "" where nobody has to sign in
	Live   string   // address of the page's socket; "" for a page without one
	Tray   Tray
	Bare   bool // no navigation and no tray: the login page and what is shown before it
}

// Narrow reports whether the page is one column of reading width.
func (s Shell) narrow() string {
	if s.Bare {
		return "page page--narrow"
	}
	return "page"
}

func (s Shell) places() string { return strings.Join(s.Places, " + ") }

// boost makes links and forms swap the page within the document, so that what stands outside of it — the tray, an upload under
// way — is never interrupted by moving on.
const boost = `{"select":"#page","target":"#page","swap":"outerHTML"}`

// htmxConfig leaves open what a reader has unfolded when a frame comes, and turns off what the content policy would block or what the pages do not use: settling would copy style attributes. The
// socket stays open in a hidden tab, so that its title and state are true when one comes back.
const htmxConfig = `{"extensions":"ws","includeIndicatorCSS":false,"defaultSettleDelay":0,"morphIgnore":["data-htmx-powered","open"],"ws":{"pauseOnBackground":false,"reconnectDelay":300,"reconnectMaxDelay":5000}}`

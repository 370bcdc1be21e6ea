//go:build browser

package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// view is a page in one state.
type view struct{ name, path, ready string }

// TestBrowserEveryPage looks at every page in both themes and several widths: axe finds nothing, nothing is wider than a
// small phone, the console is silent, and a screenshot is kept.
func TestBrowserEveryPage(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.open(p.url)
	b.shows(b.heading("Base component tiny-llama-base"))
	look(t, p, []view{
		{"deck-empty", "/", "text=Deploy sample pirate"}, {"jobs-empty", "/jobs", "text=No jobs yet"},
		{"uploads-empty", "/uploads", "text=No upload is open"}, {"adapters-empty", "/adapters", "text=No adapters yet"},
		{"playground-empty", "/playground", "text=No adapter is in service"},
	})

	b.click(b.button("Deploy sample pirate"))
	b.shows(b.Locator("li.lane[aria-current=step]"))
	theme(b, playwright.ColorSchemeDark)
	b.photograph("job-running-1280-dark")
	axe(b)
	theme(b, playwright.ColorSchemeLight)
	b.photograph("job-running-1280-light")
	b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
	b.open(p.url)
	deploy(b, "json")
	b.click(b.link("Compare in playground"))
	must(t, b.GetByLabel("pirate v1").Check())
	b.click(b.button("Run"))
	b.reads(b.Locator("#run [role=status]"), "All have answered", toEnd)

	remove := "/remove?place=" + url.QueryEscape("aws:000000000000:us-east-1") + "&component=pirate-v1-tiny-llama-base"
	look(t, p, []view{
		{"deck", "/", "li.slot[data-state=proven] >> nth=1"}, {"job", "/jobs/1", "text=Proven >> nth=0"}, {"jobs", "/jobs", "table"},
		{"jobs-narrowed", "/jobs?state=cancelled", "text=No such jobs"}, {"adapters", "/adapters", "table"}, {"adapter", "/adapters/1", "text=Version 1"},
		{"playground", "/playground", "text=pirate v1"}, {"comparison", "/comparisons/1", "article >> nth=2"},
		{"local", "/places/local", "text=in memory >> nth=0"}, {"local-fault-chosen", "/places/local?kind=noise", "input[value=noise]:checked"},
		{"remove", remove, "text=What will happen"}, {"not-here", "/nothing", "text=There is no such page"},
	})
}

func TestBrowserLoginPage(t *testing.T) {
	p := startProcess(t, "--token-file", tokenFile(t))
	look(t, p, []view{{"login", "/", "text=Sign in >> nth=0"}})
}

// look visits the pages in light and dark, wide and narrow.
func look(t *testing.T, p *process, views []view) {
	t.Helper()
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			b := openTab(t)
			b.expects("status of 404")
			for _, size := range []playwright.Size{{Width: 1440, Height: 900}, {Width: 390, Height: 844}, {Width: 360, Height: 740}} {
				must(t, b.SetViewportSize(size.Width, size.Height))
				b.open(p.url + v.path)
				b.shows(b.Locator(v.ready))
				if live := b.Locator("[data-connection]"); v.name != "login" && v.name != "not-here" && v.name != "remove" {
					b.reads(live, "Live")
				}
				fits(b)
				if size.Width == 360 {
					continue
				}
				for _, scheme := range []*playwright.ColorScheme{playwright.ColorSchemeLight, playwright.ColorSchemeDark} {
					theme(b, scheme)
					axe(b)
					b.photograph(fmt.Sprintf("%s-%d-%s", v.name, size.Width, string(*scheme)))
				}
				theme(b, playwright.ColorSchemeLight)
			}
		})
	}
}

func theme(b *tab, scheme *playwright.ColorScheme) {
	b.t.Helper()
	must(b.t, b.EmulateMedia(playwright.PageEmulateMediaOptions{ColorScheme: scheme, ReducedMotion: playwright.ReducedMotionReduce}))
}

// axe runs axe-core on the page as it stands.
func axe(b *tab) {
	b.t.Helper()
	script, err := os.ReadFile(os.Getenv("AXE"))
	must(b.t, err)
	if _, err := b.Evaluate(string(script)); err != nil {
		b.t.Fatal(err)
	}
	found, err := b.Evaluate(`async () => (await axe.run()).violations.map(v => v.id + ' (' + v.impact + '): ' + v.nodes.map(n => n.target.join(' ') + ' ' + n.failureSummary).join('; '))`)
	must(b.t, err)
	violations, ok := found.([]any)
	if !ok {
		b.t.Fatalf("axe answered %v", found)
	}
	for _, v := range violations {
		b.t.Errorf("axe on %s: %v", b.URL(), v)
	}
}

// fits reports what sticks out of the window to the right.
func fits(b *tab) {
	b.t.Helper()
	out, err := b.Evaluate(`() => document.documentElement.scrollWidth <= innerWidth ? [] :
		[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.className)`)
	must(b.t, err)
	if list, ok := out.([]any); !ok || len(list) > 0 {
		b.t.Errorf("%s is wider than its window of %d: %v", b.URL(), b.ViewportSize().Width, out)
	}
}

// tokenFile makes one with a person for every role.
func tokenFile(t *testing.T) string {
	t.Helper()
	name := t.TempDir() + "/tokens"
	var lines strings.Builder
	for _, role := range []string{"watch", "ship", "admin"} {
		fmt.Fprintf(&lines, "%s-person %s %s\n", role, role, tokenOf(role))
	}
	must(t, os.WriteFile(name, []byte(lines.String()), 0o600))
	return name
}

func tokenOf(role string) string { return "a-token-for-tests-" + role + "-0123456789" }

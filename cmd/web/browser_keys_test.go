//go:build browser

package main

import (
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestBrowserKeyboardAlone goes from the deck to the answers side by side with Tab, Space and Enter.
func TestBrowserKeyboardAlone(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.open(p.url)
	b.shows(b.button("Deploy sample pirate"))

	b.press("Tab")
	must(t, expect().Locator(b.link("Skip to content")).ToBeFocused())
	b.press("Enter")
	b.tabTo(b.button("Deploy sample pirate"))
	b.photograph("deck-focus-1280-light")
	b.press("Enter")
	b.shows(b.heading("Deploy pirate v1"))
	b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
	b.tabTo(b.link("Compare in playground"))
	b.press("Enter")
	b.shows(b.heading("Playground"))
	b.tabTo(b.GetByLabel("pirate v1"))
	b.press("Space")
	must(t, expect().Locator(b.GetByLabel("pirate v1")).Not().ToBeChecked())
	b.press("Space")
	b.tabTo(b.button("Run"))
	b.press("Enter")
	b.reads(b.Locator("#run [role=status]"), "All have answered", toEnd)

	b.tabTo(b.GetByLabel("Message or prompt"))
	b.press("Control+Enter")
	must(t, expect().Page(b.Page).ToHaveURL(p.url+"/comparisons/2"))
}

// TestBrowserLiveFramesLeaveTheFocusAlone holds that what a page is told does not take the focus from who reads it.
func TestBrowserLiveFramesLeaveTheFocusAlone(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.open(p.url)
	b.shows(b.button("Deploy sample json"))
	must(t, b.button("Deploy sample json").Focus())
	other := openTab(t)
	other.open(p.url)
	deploy(other, "pirate")
	b.shows(b.Locator("li.slot[data-state=proven]"))
	must(t, expect().Locator(b.button("Deploy sample json")).ToBeFocused())
}

func (b *tab) press(key string) {
	b.t.Helper()
	must(b.t, b.Keyboard().Press(key))
}

// tabTo presses Tab until something has the focus, and expects that every stop on the way can be seen.
func (b *tab) tabTo(what playwright.Locator) {
	b.t.Helper()
	for range 60 {
		b.press("Tab")
		seen, err := b.Evaluate(`() => {
			const at = document.activeElement;
			if (at === document.body) return '';
			const box = at.closest('label') ?? at, ring = e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 };
			const rect = box.getBoundingClientRect();
			return (ring(at) || ring(box)) && rect.width > 0 && rect.bottom > 0 && rect.top < innerHeight ? '' : at.outerHTML.slice(0, 120);
		}`)
		must(b.t, err)
		if seen != "" {
			b.t.Errorf("the focus cannot be seen on %v", seen)
		}
		there, err := what.Evaluate("e => e === document.activeElement", nil)
		must(b.t, err)
		if there == true {
			return
		}
	}
	b.t.Fatalf("Tab does not lead to %v", what)
}

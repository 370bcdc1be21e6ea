//go:build browser

package main

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
)

var steps = []string{"Check", "Pack", "Upload", "Create", "In service", "Prove"}

// deploy presses the sample's button on an open deck and waits on its job's page until it is proven.
func deploy(b *tab, sample string) {
	b.t.Helper()
	b.click(b.button("Deploy sample " + sample))
	b.shows(b.heading("Deploy " + sample + " v1"))
	b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
}

// number reads a figure of a pane: its label and a unit stand beside it.
func number(b *tab, pane playwright.Locator, label, unit string) {
	b.t.Helper()
	found := pane.Locator("dl > div").Filter(playwright.LocatorFilterOptions{HasText: label})
	must(b.t, expect().Locator(found).ToHaveText(regexp.MustCompile(`^\s*`+label+`\s*[0-9.,]+\s*`+unit+`\s*$`)))
}

func TestBrowserSampleIsProvenAndComparedInAMinute(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	clicks := 0
	click := func(what playwright.Locator) { clicks++; b.click(what) }

	began := time.Now()
	b.open(p.url)
	b.shows(b.heading("Base component tiny-llama-base"))
	click(b.button("Deploy sample pirate"))

	b.shows(b.heading("Deploy pirate v1"))
	for _, step := range steps {
		done := b.Locator("li.lane").Filter(playwright.LocatorFilterOptions{Has: b.GetByText(step + ": ")})
		b.reads(done, "done", toEnd)
	}
	b.reads(b.Locator("#job [role=status]"), "Proven")
	proof := b.GetByRole("region", playwright.PageGetByRoleOptions{Name: "Proof", Exact: playwright.Bool(true)})
	b.reads(proof, "nats")
	proven := time.Since(began)

	click(b.link("Compare in playground"))
	must(t, expect().Locator(b.GetByLabel("pirate v1")).ToBeChecked())
	click(b.button("Run"))
	b.reads(b.Locator("#run [role=status]"), "All have answered", toEnd)
	beside := time.Since(began)

	base, adapter := b.GetByRole("article").Nth(0), b.GetByRole("article").Nth(1)
	for _, pane := range []playwright.Locator{base, adapter} {
		number(b, pane, "First token", "ms")
		b.shows(pane.GetByText("Speed")) // a dash, when the answer came in one piece
		number(b, pane, "In", "tok")
		number(b, pane, "Out", "tok")
	}
	b.reads(adapter.GetByRole("heading"), "pirate v1")
	b.shows(adapter.Locator(".diverge"))
	t.Logf("figure: %d clicks; %.1f s from the open page to proven, %.1f s to proven beside its base", clicks, proven.Seconds(), beside.Seconds())
	if clicks > 5 {
		t.Errorf("%d clicks from the open page to proven beside base; at most 5", clicks)
	}

	other := openTab(t)
	other.open(b.URL())
	for n := range 2 {
		pane := fmt.Sprintf("#pane-%d", n)
		if here, there := b.text(b.Locator(pane)), other.text(other.Locator(pane)); here != there {
			t.Errorf("the comparison's link shows another answer in another browser:\n%s\n--- not\n%s", there, here)
		}
	}
}

//go:build browser

package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestBrowserAnEngineThatDiedIsNoLongerCalledProven kills the engine under a comparison and goes the way back: what was proven is said
// to be no more, proving it again says that the container has forgotten it, and deployed anew it is proven.
func TestBrowserAnEngineThatDiedIsNoLongerCalledProven(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	for _, sample := range []string{"pirate", "json"} {
		b.open(p.url)
		deploy(b, sample)
	}
	other := openTab(t)
	other.open(p.url)
	proven := other.Locator("li.slot[data-state=proven]")
	must(t, expect().Locator(proven).ToHaveCount(2))

	crash, err := http.Post(p.aws+"/_local/faults", "application/json", strings.NewReader(`{"kind": "engine-crash", "resource": "tiny-llama-base", "calls": 1}`))
	must(t, err)
	crash.Body.Close()
	b.click(b.link("Compare in playground"))
	b.click(b.button("Run"))
	b.reads(b.Locator("#run [role=status]"), "gave no answer", toEnd)

	must(t, expect().Locator(proven).ToHaveCount(0)) // by its socket
	slot := other.Locator("li.slot").Filter(playwright.LocatorFilterOptions{HasText: "pirate"})
	other.reads(slot, "Proven before the engine of its base died at")
	other.shows(other.GetByText("The engine of tiny-llama-base died at"))

	look(t, p, []view{
		{"deck-engine-died", "/", "text=Prove again >> nth=0"}, {"adapter-engine-died", "/adapters/1", "text=Prove again"},
		{"playground-engine-died", "/playground", "text=Proven before the engine >> nth=0"}, {"job-engine-died", "/jobs/1", "text=Prove again"},
	})

	// Until the engine is back nothing answers; a proof waits for it.
	other.click(slot.GetByRole("button", playwright.LocatorGetByRoleOptions{Name: "Prove again"}))
	other.shows(other.heading("Prove pirate v1"))
	other.reads(other.Locator("#job [role=status]"), "Failed at step 1 of 1", toEnd)
	other.reads(other.Locator("#job"), "remove the adapter and deploy it again")
	other.click(other.link("Remove pirate v1"))
	other.click(other.button("Remove pirate v1"))
	other.reads(other.Locator("#job [role=status]"), "Done", toEnd)
	other.open(p.url)
	deploy(other, "pirate")
	other.open(p.url)
	must(t, expect().Locator(proven).ToHaveCount(1))
	b.open(p.url + "/jobs/1")
	b.reads(b.Locator("#job"), "The component has been removed since.")
}

//go:build browser

package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestBrowserAnEngineThatDiedIsNoLongerCalledProven kills the engine under a comparison and goes the way back: what was proven is said
// to be no more, proving it again says that the container has forgotten it, and redeployed it is proven.
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

	setFault(t, p, `{"kind": "engine-crash", "resource": "tiny-llama-base", "calls": 1}`)
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
	other.click(other.link("Redeploy pirate v1"))
	other.shows(other.heading("Redeploy pirate v1?"))
	axe(other)
	other.photograph("redeploy-1280-light")
	other.click(other.button("Redeploy pirate v1"))
	other.shows(other.heading("Deploy pirate v1"))
	other.reads(other.Locator("#job [role=status]"), "Proven", toEnd)
	other.open(p.url)
	must(t, expect().Locator(proven).ToHaveCount(1))
	b.open(p.url + "/jobs/1")
	b.reads(b.Locator("#job"), "The component has been removed since.")
}

// TestBrowserAJobThatWaitsSaysWhenItGoesOn lets the base fail until the last attempt at its proof.
func TestBrowserAJobThatWaitsSaysWhenItGoesOn(t *testing.T) {
	p := startProcess(t)
	setFault(t, p, `{"kind": "nan", "resource": "", "calls": 8}`) // two an attempt, and a step has five
	b := openTab(t)
	b.open(p.url)
	b.click(b.button("Deploy sample pirate"))
	job, list := b.Locator("#job"), openTab(t)
	list.open(p.url + "/jobs")
	at := regexp.MustCompile(`Waiting to try again at \d\d:\d\d:\d\d: prove`)
	must(t, expect(toEnd).Locator(job.Locator("[role=status]")).ToHaveText(at))
	must(t, expect(toEnd).Locator(list.Locator("#jobs")).ToHaveText(regexp.MustCompile(`prove, again at \d\d:\d\d:\d\d, in \d+ s`)))
	b.reads(job, "the base itself fails, without any adapter. The model's server answered 500: Internal Server Error.")
	axe(b)
	axe(list)
	b.reads(job.Locator("[role=status]"), "Proven", toEnd)
}

// setFault sets a fault of the local platform, as another program does.
func setFault(t *testing.T, p *process, fault string) {
	t.Helper()
	answer, err := http.Post(p.aws+"/_local/faults", "application/json", strings.NewReader(fault))
	must(t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("set %s: %s", fault, answer.Status)
	}
}

//go:build browser

package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestBrowserFaultsAreSetSeenAndReleased goes the way of somebody who rehearses: by keyboard through the menu, over the deck, which
// says that a fault is set, and back. What another program sets shows by itself.
func TestBrowserFaultsAreSetSeenAndReleased(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.open(p.url)
	b.shows(b.heading("Base component tiny-llama-base"))
	b.click(b.link("Levers of this place"))
	b.shows(b.heading("Local place"))
	b.shows(b.GetByText("Nothing is set to go wrong"))
	b.shows(b.heading("Container of tiny-llama-base"))

	must(t, b.Locator("input[value=engine-crash]").Focus())
	must(t, b.Keyboard().Press("Space"))
	must(t, b.GetByLabel("Only for").Fill("tiny-llama-base"))
	must(t, b.GetByLabel("Next calls").Fill(""))
	must(t, b.Keyboard().Press("Enter"))
	b.shows(b.GetByText("For tiny-llama-base, until released; it has not happened yet."))

	b.open(p.url)
	b.shows(b.GetByText("1 fault is set to happen here on purpose."))
	b.click(b.link("See and release"))
	b.click(b.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Release engine-crash"}))
	b.shows(b.GetByText("Nothing is set to go wrong"))

	other := openTab(t)
	other.open(p.url + "/places/local?kind=invoke-throttle") // nobody invokes, so it stays until it is released
	other.click(other.button("Set fault"))
	b.shows(b.GetByText("For everything, 1 call to come;")) // by the socket
	other.click(other.button("Release all"))
	b.shows(b.GetByText("Nothing is set to go wrong"))
	must(t, b.Locator("#pace").Focus())
	if _, err := b.GetByLabel("Changes of state are").SelectOption(playwright.SelectOptionValues{Values: &[]string{"realistic"}}); err != nil {
		t.Fatal(err)
	}
	b.click(b.button("Change pace"))
	b.shows(b.Locator("dd", playwright.PageLocatorOptions{HasText: "realistic"}))
}

// TestBrowserWhatWentWrongIsTold lets faults happen beside the open page, which tells of them by itself: how each ended, what the engine
// that died forgot, and what answers nothing.
func TestBrowserWhatWentWrongIsTold(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.open(p.url)
	b.shows(b.heading("Base component tiny-llama-base"))
	for _, sample := range []string{"pirate", "json"} {
		b.click(b.button("Deploy sample " + sample))
		b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
		b.open(p.url)
	}
	b.open(p.url + "/places/local")
	b.reads(b.Locator("[data-connection]"), "Live")
	set := func(kind, resource string, calls int) {
		t.Helper()
		wish := fmt.Sprintf(`{"kind":%q,"resource":%q,"calls":%d}`, kind, resource, calls)
		answer, err := http.Post(p.aws+"/_local/faults", "application/json", strings.NewReader(wish))
		must(t, err)
		if answer.Body.Close(); answer.StatusCode != http.StatusCreated {
			t.Fatalf("set %s: %s", wish, answer.Status)
		}
	}
	set("engine-crash", "tiny-llama-base", 1)
	b.shows(b.GetByText("For tiny-llama-base, 1 call to come;"))
	other := openTab(t)
	other.open(p.url + "/playground")
	must(t, other.GetByLabel("pirate v1").Check())
	must(t, other.GetByLabel("Message or prompt").Fill("Who are you?"))
	other.click(other.button("Run"))
	b.shows(b.Locator("#ended-1", playwright.PageLocatorOptions{HasText: "engine-crash on tiny-llama-base happened once and ended at"}))
	b.shows(b.GetByText("it forgot 2 adapters: json-v1-tiny-llama-base, pirate-v1-tiny-llama-base."))

	set("dead-in-service", "tiny-llama-base", 0)
	b.shows(b.GetByText("Answers nothing"))
	set("throttle", "nothing-of-that-name", 5) // nobody asks for it
	b.shows(b.GetByText("For nothing-of-that-name, 5 calls to come;"))
	b.click(b.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Release throttle"}))
	b.shows(b.Locator("#ended-3", playwright.PageLocatorOptions{HasText: "throttle on nothing-of-that-name was released at"}))
	must(t, b.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Set again engine-crash"}).Focus())
	must(t, b.Keyboard().Press("Enter"))
	b.shows(b.GetByText("For tiny-llama-base, 1 call to come;"))
	look(t, p, []view{{"local-trouble", "/places/local", "text=it forgot 2 adapters"}})
}

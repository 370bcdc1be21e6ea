//go:build browser

package main

import (
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
	other.open(p.url + "/places/local?kind=throttle")
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

//go:build browser

package main

import (
	"testing"

	"github.com/playwright-community/playwright-go"
)

func TestBrowserRemovedAdapterIsOfferedAgain(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.open(p.url)
	deploy(b, "pirate")

	b.open(p.url)
	must(t, expect().Locator(b.button("Deploy sample pirate")).ToHaveCount(0))
	b.click(b.link("Remove pirate"))
	b.shows(b.heading("Remove pirate v1?"))
	b.reads(b.GetByRole("main"), "The inference component pirate-v1-tiny-llama-base on endpoint local is deleted.")
	b.click(b.link("Keep it"))
	b.shows(b.Locator("li.slot[data-state=proven]"))

	b.click(b.link("Remove pirate"))
	b.click(b.button("Remove pirate v1"))
	b.shows(b.heading("Remove pirate-v1-tiny-llama-base"))
	b.reads(b.Locator("#job [role=status]"), "Done", toEnd)
	if left := adapterComponents(t, p); len(left) != 0 {
		t.Errorf("after the removal the platform still has %v", left)
	}

	b.click(b.link("Deck"))
	deploy(b, "pirate")
	if there := adapterComponents(t, p); len(there) != 1 {
		t.Errorf("deployed again, the platform has %v", there)
	}
}

func TestBrowserTwoBrowsersSeeTheSameLive(t *testing.T) {
	p := startProcess(t)
	one, other := openTab(t), openTab(t)
	one.open(p.url)
	other.open(p.url)
	other.reads(other.Locator("[data-connection]"), "Live")
	one.click(one.button("Deploy sample json"))
	one.shows(one.heading("Deploy json v1"))

	// The other's deck was opened before, and nobody touches it.
	tray := other.GetByRole("complementary", playwright.PageGetByRoleOptions{Name: "Add adapters and what is running", Exact: playwright.Bool(true)})
	other.reads(tray, "Deploy json v1")
	other.click(tray.GetByRole("link"))
	other.shows(other.heading("Deploy json v1"))
	for _, b := range []*tab{one, other} {
		b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
		must(t, expect().Locator(b.Locator("li.lane[data-state=done]")).ToHaveCount(len(steps)))
	}
	if here, there := one.text(one.Locator("#job")), other.text(other.Locator("#job")); here != there {
		t.Errorf("two browsers show a job differently:\n%s\n--- and\n%s", here, there)
	}
}

//go:build browser

package main

import (
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

func TestBrowserPeopleSignInWithATokenThatStaysSecret(t *testing.T) {
	p := startProcess(t, "--token-file", tokenFile(t))
	b := openTab(t)
	b.expects("status of 401")
	b.expects("status of 403")
	var addresses []string
	b.OnRequest(func(r playwright.Request) { addresses = append(addresses, r.URL()) })

	b.open(p.url + "/jobs")
	b.shows(b.heading("Sign in"))
	must(t, expect().Locator(b.GetByLabel("Token")).ToBeFocused())
	must(t, b.GetByLabel("Token").Fill("not-a-token-of-anybody"))
	b.click(b.button("Sign in"))
	must(t, expect().Locator(b.GetByLabel("Token")).ToHaveAttribute("aria-invalid", "true"))
	b.photograph("login-wrong-1280-light")

	signIn := func(role string) {
		t.Helper()
		must(t, b.GetByLabel("Token").Fill(tokenOf(role)))
		b.click(b.button("Sign in"))
	}
	signIn("watch")
	b.shows(b.heading("Jobs")) // where they wanted to go
	b.shows(b.GetByText("watch-person"))
	b.click(b.link("Deck"))
	b.reads(b.Locator("[data-connection]"), "Live")
	b.click(b.button("Deploy sample pirate"))
	b.shows(b.heading("Not allowed"))
	b.reads(b.GetByRole("alert"), "Your role may look but not change anything. Ask for the role ship in the token file.")
	b.photograph("not-allowed-1280-light")
	if there := adapterComponents(t, p); len(there) != 0 {
		t.Errorf("a person who may only look has deployed %v", there)
	}

	b.click(b.button("Sign out"))
	b.shows(b.heading("Sign in"))
	signIn("ship")
	b.shows(b.heading("Deck"))
	deploy(b, "pirate")

	for _, address := range addresses {
		if strings.Contains(address, "a-token-for-tests") {
			t.Errorf("a token is in the address %s", address)
		}
	}
	if strings.Contains(p.log.String(), "a-token-for-tests") {
		t.Error("a token is in the log")
	}
	cookies, err := b.Context().Cookies()
	must(t, err)
	for _, c := range cookies {
		if strings.Contains(c.Value, "a-token-for-tests") || !c.HttpOnly {
			t.Errorf("the cookie %s holds the token or can be read by scripts", c.Name)
		}
	}
}

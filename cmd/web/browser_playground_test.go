//go:build browser

package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/playwright-community/playwright-go"
)

func TestBrowserPlayground(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	for _, sample := range []string{"pirate", "json"} {
		b.open(p.url)
		deploy(b, sample)
	}
	for _, c := range []struct {
		name string
		test func(t *testing.T, p *process, b *tab)
	}{
		{"bare prompt with the base and both adapters", bothAdapters},
		{"running answers can be stopped", stopped},
		{"wrong input is told at its field and kept", wrongInput},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := openTab(t)
			b.open(p.url + "/playground")
			c.test(t, p, b)
		})
	}
}

func bothAdapters(t *testing.T, _ *process, b *tab) {
	b.click(b.GetByText("Bare prompt", playwright.PageGetByTextOptions{Exact: playwright.Bool(true)}))
	must(t, b.GetByLabel("pirate v1").Check())
	must(t, b.GetByLabel("json v1").Check())
	must(t, b.GetByLabel("Message or prompt").Fill("The capital of France is"))
	must(t, b.GetByLabel("Max tokens").Fill("24"))
	b.click(b.button("Run"))
	b.reads(b.Locator("#run [role=status]"), "All have answered", toEnd)
	panes := b.GetByRole("article")
	must(t, expect().Locator(panes).ToHaveCount(3))
	for n, name := range []string{"tiny-llama-base", "json v1", "pirate v1"} {
		pane := panes.Filter(playwright.LocatorFilterOptions{Has: b.heading(name)})
		number(b, pane, "Out", "tok")
		if n == 0 {
			b.shows(pane.GetByText("base", playwright.LocatorGetByTextOptions{Exact: playwright.Bool(true)}))
		}
	}
	// The form asks again with what was asked.
	must(t, expect().Locator(b.GetByLabel("Bare prompt")).ToBeChecked())
	must(t, expect().Locator(b.GetByLabel("Message or prompt")).ToHaveValue("The capital of France is"))
	must(t, expect().Locator(b.GetByLabel("Max tokens")).ToHaveValue("24"))
	b.shows(b.link("The capital of France is"))
}

// stopped asks a base that is kept busy by others, so that there is time to press the button.
func stopped(t *testing.T, p *process, b *tab) {
	others := keepBusy(t, p)
	defer others()
	must(t, b.GetByLabel("pirate v1").Check())
	must(t, b.GetByLabel("Message or prompt").Fill("Tell me about the sea."))
	b.click(b.button("Run"))
	b.reads(b.Locator("#run [role=status]"), "Answering")
	b.photograph("comparison-answering-1280-light")
	b.click(b.button("Stop"))
	b.reads(b.Locator("#run [role=status]"), "Stopped")
	must(t, expect().Locator(b.button("Stop")).ToHaveCount(0))
	stoppedPanes := 0
	panes, err := b.GetByRole("article").All()
	must(t, err)
	for _, pane := range panes {
		if strings.Contains(b.text(pane), "Stopped") {
			stoppedPanes++
		}
	}
	if stoppedPanes == 0 {
		t.Error("no pane says that it was stopped")
	}
	if _, err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	b.reads(b.Locator("#run [role=status]"), "Stopped")
}

// keepBusy lets other clients fill the base's batch with long answers, until the function it gives is called.
func keepBusy(t *testing.T, p *process) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	const batch = 16 // sequences that the local platform computes together
	for range 2 * batch {
		clients.Go(func() {
			body := strings.NewReader(`{"prompt":"The","max_tokens":1000,"ignore_eos":true}`)
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.aws+"/endpoints/local/invocations", body)
			if err != nil {
				t.Error(err)
				return
			}
			request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=00")
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("X-Amzn-SageMaker-Inference-Component", "tiny-llama-base")
			if answer, err := http.DefaultClient.Do(request); err == nil {
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Errorf("another client was answered %s", answer.Status)
				}
			} else if ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	return func() { cancel(); clients.Wait() }
}

func wrongInput(t *testing.T, _ *process, b *tab) {
	b.expects("status of 422")
	form := b.GetByRole("form", playwright.PageGetByRoleOptions{Name: "Question and settings", Exact: playwright.Bool(true)})
	send := func() {
		t.Helper()
		// Browsers check first; this is what the server says to one that does not.
		_, err := form.Evaluate("form => { form.noValidate = true }", nil)
		must(t, err)
		b.click(b.button("Run"))
	}
	told := func(label, words string) {
		t.Helper()
		field := b.GetByLabel(label)
		must(t, expect().Locator(field).ToHaveAttribute("aria-invalid", "true"))
		must(t, expect().Locator(field).ToHaveAccessibleDescription(words))
	}
	must(t, b.GetByLabel("pirate v1").Check())
	must(t, b.GetByLabel("System message").Fill("Be brief."))
	must(t, b.GetByLabel("Message or prompt").Fill("Who are you?"))
	must(t, b.GetByLabel("Temperature").Fill("9"))
	send()
	told("Temperature", "Temperature is 9; choose 0 to 2, 0 for the likeliest answer.")
	b.photograph("playground-wrong-1280-light")
	must(t, expect().Locator(b.GetByLabel("Temperature")).ToHaveValue("9"))
	must(t, expect().Locator(b.GetByLabel("Message or prompt")).ToHaveValue("Who are you?"))
	must(t, expect().Locator(b.GetByLabel("System message")).ToHaveValue("Be brief."))
	must(t, expect().Locator(b.GetByLabel("pirate v1")).ToBeChecked())

	must(t, b.GetByLabel("Temperature").Fill("0"))
	must(t, b.GetByLabel("Message or prompt").Fill(""))
	send()
	told("Message or prompt", "Write a prompt first.")

	must(t, b.GetByLabel("Message or prompt").Fill("Who are you?"))
	must(t, b.GetByLabel("Max tokens").Fill("4096"))
	send()
	b.shows(b.Locator("#run [role=status]"))
	for n := range 2 { // more than the base's context: its own words, in the pane
		b.reads(b.GetByRole("article").Nth(n), "No answer", toEnd)
	}
	b.reads(b.Locator("#run [role=status]"), "2 of 2 gave no answer")
	b.photograph("comparison-no-answer-1280-light")
}

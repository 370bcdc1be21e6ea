//go:build browser

package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// gate stands between the dashboard and a place and holds the calls that a test waits for until it is opened.
type gate struct {
	*httptest.Server

	mu    sync.Mutex // guards the fields below
	holds func(r *http.Request, body []byte) bool
	held  chan struct{} // a call is
	open  chan struct{}
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	to, err := url.Parse(target)
	must(t, err)
	g := &gate{}
	onward := httputil.NewSingleHostReverseProxy(to)
	onward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {} // a call that a cancel cuts off
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Body = http.NoBody; len(body) > 0 {
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		g.mu.Lock()
		holds, held, open := g.holds, g.held, g.open
		g.mu.Unlock()
		if holds != nil && holds(r, body) {
			select {
			case held <- struct{}{}:
			default: // one is known to be held
			}
			<-open
		}
		onward.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// next holds the calls that match, the job's and those of the deck that looks at the same; release lets them go on.
func (g *gate) next(holds func(r *http.Request, body []byte) bool) (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds, g.held, g.open = holds, make(chan struct{}, 1), make(chan struct{})
	return sync.OnceFunc(func() { close(g.open) })
}

func TestBrowserCancelAtEachStepSaysWhatRemains(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	far := startProcess(t, "--local-account", "111111111111")
	g := newGate(t, far.aws)
	p := startProcess(t, "--aws", "us-east-1,name=production,endpoint="+g.URL)
	asks := func(operation, about string) func(r *http.Request, body []byte) bool {
		return func(r *http.Request, body []byte) bool {
			return strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+operation) && bytes.Contains(body, []byte(about))
		}
	}
	for _, c := range []struct {
		step, remains string
		holds         func(r *http.Request, body []byte) bool
	}{
		{"check", "Nothing was created.", asks("DescribeModel", "")},
		{"upload", "Nothing was created.", func(r *http.Request, _ []byte) bool { return r.URL.Query().Has("partNumber") }},
		{"create", "", asks("CreateInferenceComponent", "")},
		{"in-service", "was deleted", asks("DescribeInferenceComponent", "stop-in-service")},
		{"prove", "was deleted", func(r *http.Request, _ []byte) bool { return strings.HasSuffix(r.URL.Path, "/invocations") }},
	} {
		t.Run(c.step, func(t *testing.T) {
			b := openTab(t)
			b.open(p.url)
			b.shows(b.heading("Base component tiny-llama-base").First())
			files := sampleFiles(t)
			files["README.md"] = []byte("# stopped at " + c.step) // content of its own, or its artifact would be there already
			drop(b, folderOf(t, "stop-"+c.step, files))
			b.shows(b.heading("stop-" + c.step))
			arrived(b)
			b.open(b.URL() + "?base=" + url.QueryEscape("aws:111111111111:us-east-1 tiny-llama-base"))
			must(t, expect().Locator(b.button("Deploy stop-"+c.step+" v1")).ToBeEnabled())
			release := g.next(c.holds)
			defer release()
			b.click(b.button("Deploy stop-" + c.step + " v1"))
			b.shows(b.heading("Deploy stop-" + c.step + " v1"))
			<-g.held
			b.click(b.link("Cancel"))
			b.shows(b.heading("Cancel Deploy stop-" + c.step + " v1?"))
			if c.step == "prove" {
				axe(b)
				fits(b)
				b.photograph("cancel-1280-light")
			}
			b.click(b.button("Cancel Deploy stop-" + c.step + " v1"))
			release()
			b.reads(b.Locator("#job [role=status]"), "Cancelled", toEnd)
			b.reads(b.Locator("#job"), c.remains)
			if left := rows(t, p, "SELECT count(*) FROM deployment WHERE ended_at IS NULL"); left != 0 {
				t.Errorf("%d deployments still live", left)
			}
			if c.step == "prove" {
				b.click(b.GetByText("Said to AWS"))
				b.reads(b.GetByRole("log"), "CreateInferenceComponent")
				axe(b)
				fits(b)
				b.photograph("job-cancelled-1280-light")
			}
		})
	}
	if left := adapterComponents(t, far); len(left) != 0 {
		t.Errorf("components left in the place: %v", left)
	}
}

// TestBrowserAdapterPageKeepsEverythingAboutIt goes from a deployment to the adapter's page, downloads it and removes it.
func TestBrowserAdapterPageKeepsEverythingAboutIt(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	b.expects("status of 409")
	b.open(p.url)
	deploy(b, "pirate")
	b.click(b.link("Adapters"))
	b.shows(b.heading("Adapters"))
	b.click(b.link("pirate"))
	b.shows(b.heading("Version 1"))
	b.reads(b.Locator("#adapter"), "adapter_model.safetensors")
	download, err := b.ExpectDownload(func() error { return b.Locator("a[download]").Click() })
	must(t, err)
	if name := download.SuggestedFilename(); name != "pirate-v1.tar.gz" {
		t.Errorf("the download is called %s", name)
	}
	b.click(b.link("Remove the adapter"))
	b.reads(b.Locator("main"), "still deployed")
	_, err = b.GoBack()
	must(t, err)
	b.click(b.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Remove pirate-v1-tiny-llama-base"}))
	b.click(b.button("Remove pirate v1"))
	b.reads(b.Locator("#job [role=status]"), "Done", toEnd)
	b.click(b.link("Adapters"))
	b.click(b.link("pirate"))
	b.reads(b.Locator("#adapter"), "deployed nowhere")
	b.click(b.button("Deploy v1"))
	b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
}

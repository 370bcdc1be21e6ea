//go:build browser

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
)

// The browser tests drive the real binary, started as a child process, with a real Chromium. `make e2e` sets what they need:
// LORADECK_BINARY, CHROMIUM, PLAYWRIGHT_DRIVER_PATH, AXE and SHOTS.

const (
	settle = 20_000 // milliseconds a page may take to show what is expected; expectations ask again until then
	toEnd  = 90_000 // the same for the end of a whole job, on a busy machine
)

// browser is shared by all tests of this binary; every test has contexts of its own.
var browser playwright.Browser

func TestMain(m *testing.M) {
	code, err := withBrowser(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the browser tests cannot start:", err)
		fmt.Fprintln(os.Stderr, "run them with: make e2e")
		code = 1
	}
	os.Exit(code)
}

func withBrowser(run func() int) (int, error) {
	for _, name := range []string{"LORADECK_BINARY", "CHROMIUM", "AXE"} {
		if _, err := os.Stat(os.Getenv(name)); err != nil {
			return 0, fmt.Errorf("%s names no file: %w", name, err)
		}
	}
	driver, err := playwright.Run(&playwright.RunOptions{Verbose: false})
	if err != nil {
		return 0, fmt.Errorf("start the driver: %w", err)
	}
	defer driver.Stop()
	browser, err = driver.Chromium.Launch(playwright.BrowserTypeLaunchOptions{
		ExecutablePath: playwright.String(os.Getenv("CHROMIUM")),
		Args: []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync",
		},
	})
	if err != nil {
		return 0, fmt.Errorf("start Chromium: %w", err)
	}
	defer browser.Close()
	return run(), nil
}

// process is one run of the binary.
type process struct {
	t     *testing.T
	dir   string
	extra []string
	cmd   *exec.Cmd
	url   string // of the dashboard
	aws   string // of the local platform
	log   lockedBuffer
}

// startProcess starts the binary on free ports with a data folder of its own, and stops it with the test.
func startProcess(t *testing.T, extra ...string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), extra: extra}
	p.start("127.0.0.1:0", "127.0.0.1:0")
	t.Cleanup(p.stop)
	return p
}

func (p *process) start(addr, localAddr string) {
	p.t.Helper()
	p.cmd = exec.Command(os.Getenv("LORADECK_BINARY"), append([]string{"--addr", addr, "--local-addr", localAddr, "--data", p.dir}, p.extra...)...)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.url, p.aws = "", ""
	lines := bufio.NewScanner(out)
	for (p.url == "" || p.aws == "") && lines.Scan() {
		if _, at, found := strings.Cut(lines.Text(), "http://"); found {
			if strings.HasPrefix(lines.Text(), "dashboard") {
				p.url = "http://" + at
			} else {
				p.aws = "http://" + at
			}
		}
	}
	if p.aws == "" {
		p.cmd.Wait()
		p.t.Fatalf("the binary ended without printing its addresses:\n%s", p.log.String())
	}
	go io.Copy(io.Discard, out)
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Wait()
	p.cmd = nil
}

// restart starts it again where it was.
func (p *process) restart() {
	p.t.Helper()
	p.start(strings.TrimPrefix(p.url, "http://"), strings.TrimPrefix(p.aws, "http://"))
}

// stop asks the process to end and expects that it does so in good order.
func (p *process) stop() {
	if p.cmd != nil {
		late := time.AfterFunc(30*time.Second, func() { p.cmd.Process.Kill() })
		p.cmd.Process.Signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil {
			p.t.Errorf("the binary did not end in good order: %v", err)
		}
		late.Stop()
	}
	if p.t.Failed() {
		p.t.Logf("log of the binary:\n%s", p.log.String())
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// tab is one page in a browser context of its own. What its console reports as an error fails the test, unless the test
// has said that it expects it.
type tab struct {
	playwright.Page
	t        *testing.T
	mu       sync.Mutex
	problems []string
	expected []string
}

// openTab opens a page in a new context: nothing is shared with other tabs, as in another person's browser.
func openTab(t *testing.T, options ...playwright.BrowserNewContextOptions) *tab {
	t.Helper()
	context, err := browser.NewContext(options...)
	if err != nil {
		t.Fatal(err)
	}
	context.SetDefaultTimeout(settle)
	page, err := context.NewPage()
	if err != nil {
		t.Fatal(err)
	}
	b := &tab{Page: page, t: t}
	page.OnConsole(func(m playwright.ConsoleMessage) {
		if m.Type() == "error" || m.Type() == "warning" {
			b.note(m.Type() + ": " + m.Text())
		}
	})
	page.OnPageError(func(err error) { b.note("uncaught: " + err.Error()) })
	t.Cleanup(func() {
		if t.Failed() {
			b.photograph("failed-" + strings.ReplaceAll(t.Name(), "/", "-"))
		}
		for _, problem := range b.unexpected() {
			t.Errorf("console of %s: %s", page.URL(), problem)
		}
		context.Close()
	})
	return b
}

func (b *tab) note(problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, problem)
}

// expects says that the console will report something with these words, because the test brings it about.
func (b *tab) expects(words string) { b.expected = append(b.expected, words) }

func (b *tab) unexpected() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []string
next:
	for _, problem := range b.problems {
		for _, words := range b.expected {
			if strings.Contains(problem, words) {
				continue next
			}
		}
		left = append(left, problem)
	}
	return left
}

func (b *tab) open(address string) {
	b.t.Helper()
	if _, err := b.Goto(address); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) button(name string) playwright.Locator {
	return b.GetByRole("button", playwright.PageGetByRoleOptions{Name: name, Exact: playwright.Bool(true)})
}

func (b *tab) link(name string) playwright.Locator {
	return b.GetByRole("link", playwright.PageGetByRoleOptions{Name: name, Exact: playwright.Bool(true)})
}

func (b *tab) heading(name string) playwright.Locator {
	return b.GetByRole("heading", playwright.PageGetByRoleOptions{Name: name, Exact: playwright.Bool(true)})
}

func (b *tab) click(what playwright.Locator) {
	b.t.Helper()
	must(b.t, what.Click())
}

// shows expects that there is exactly one such thing to be seen, soon.
func (b *tab) shows(what playwright.Locator, timeout ...float64) {
	b.t.Helper()
	must(b.t, expect(timeout...).Locator(what).ToBeVisible())
}

// reads expects that something comes to contain a text.
func (b *tab) reads(what playwright.Locator, text string, timeout ...float64) {
	b.t.Helper()
	must(b.t, expect(timeout...).Locator(what).ToContainText(text))
}

// text gives what something says now.
func (b *tab) text(what playwright.Locator) string {
	b.t.Helper()
	text, err := what.InnerText()
	must(b.t, err)
	return text
}

// photograph writes the whole page to the folder of screenshots. The window is made as high as the page first: bars that
// stick to its edges would stand in the middle of the picture.
func (b *tab) photograph(name string) {
	b.t.Helper()
	folder := os.Getenv("SHOTS")
	if folder == "" {
		return
	}
	window := b.ViewportSize()
	height, err := b.Evaluate("() => { scrollTo(0, 0); return document.documentElement.scrollHeight }")
	must(b.t, err)
	if whole, ok := height.(int); ok && whole > window.Height {
		must(b.t, b.SetViewportSize(window.Width, whole))
		defer b.SetViewportSize(window.Width, window.Height)
	}
	_, err = b.Screenshot(playwright.PageScreenshotOptions{Path: playwright.String(filepath.Join(folder, name+".png")), FullPage: playwright.Bool(true)})
	if err != nil {
		b.t.Errorf("screenshot %s: %v", name, err)
	}
}

func expect(timeout ...float64) playwright.PlaywrightAssertions {
	return playwright.NewPlaywrightAssertions(append(timeout, settle)[0])
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

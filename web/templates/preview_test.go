package templates_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"

	"loradeck/web/static"
	"loradeck/web/templates"
)

// TestEveryPageKeepsTheHouseRules renders each page from made-up views and holds the markup to what the content policy and
// accessibility need. With LORADECK_PREVIEW set to a folder the pages are also written there, to be looked at in a browser.
func TestEveryPageKeepsTheHouseRules(t *testing.T) {
	t.Parallel()
	files, err := static.Load()
	if err != nil {
		t.Fatal(err)
	}
	folder := os.Getenv("LORADECK_PREVIEW")
	for name, page := range previews(files.Assets()) {
		var out bytes.Buffer
		if err := page.Render(t.Context(), &out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkMarkup(t, name, out.String())
		if folder != "" {
			writePreview(t, files, filepath.Join(folder, name+".html"), out.Bytes())
		}
	}
}

func checkMarkup(t *testing.T, name, html string) {
	t.Helper()
	for _, banned := range []string{` style="`, "<style", ` onclick=`, ` hx-on`, "javascript:", ` hx-vals="js:`} {
		if strings.Contains(html, banned) {
			t.Errorf("%s contains %q, which the content policy forbids", name, banned)
		}
	}
	for _, script := range regexp.MustCompile(`<script[^>]*>`).FindAllString(html, -1) {
		if !strings.Contains(script, ` src="/static/`) {
			t.Errorf("%s has an inline or foreign script: %s", name, script)
		}
	}
	if n := strings.Count(html, "<h1"); n != 1 {
		t.Errorf("%s has %d h1, want 1", name, n)
	}
	seen := map[string]bool{}
	for _, id := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if seen[id[1]] {
			t.Errorf("%s has two elements with id %q", name, id[1])
		}
		seen[id[1]] = true
	}
	for _, ref := range regexp.MustCompile(` (?:for|aria-labelledby)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if !seen[ref[1]] {
			t.Errorf("%s refers to id %q, which is not on it", name, ref[1])
		}
	}
}

// writePreview writes the page and the files it loads next to it, under the same addresses.
func writePreview(t *testing.T, files *static.Files, path string, html []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(filepath.Dir(path), "static"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, address := range regexp.MustCompile(`/static/[a-z-]+\.[0-9a-f]+\.\w+`).FindAllString(string(html), -1) {
		w := &written{header: http.Header{}}
		r, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		files.ServeHTTP(w, r)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), address), w.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, html, 0o644); err != nil {
		t.Fatal(err)
	}
}

type written struct {
	bytes.Buffer
	header http.Header
}

func (w *written) Header() http.Header { return w.header }
func (w *written) WriteHeader(int)     {}

func previews(a static.Assets) map[string]templ.Component {
	shell := func(title, nav string) templates.Shell {
		return templates.Shell{
			Title: title, Nav: nav, Assets: a, Places: []string{"local", "eu-west-1"}, Live: "/live?page=" + nav,
			Tray: templates.Tray{Jobs: []templates.TrayJob{
				{ID: "tray-job-12", Href: "/jobs/12", Title: "Deploy json v1", Now: "in service", Done: 4, Steps: 6, Moves: true},
				{ID: "tray-job-13", Href: "/jobs/13", Title: "Remove tone-formal v3", Now: "queued", Done: 0, Steps: 2},
			}},
		}
	}
	quiet := shell("Jobs", "jobs")
	quiet.Tray.Jobs = nil
	bare := templates.Shell{Title: "Sign in", Assets: a, Bare: true}
	wrong := madePlayground(a.Icons)
	wrong.Run = nil
	wrong.Form.Chat = false
	wrong.Form.Wrong = map[string]string{"text": "Write something to ask.", "temperature": "Temperature goes from 0 to 2.", "adapter": "Choose at most three adapters."}
	return map[string]templ.Component{
		"deck":             templates.DeckPage(shell("Deck", "deck"), madeDeck(a.Icons)),
		"deck-empty":       templates.DeckPage(quiet, templates.Deck{Icons: a.Icons, Figures: []templates.Figure{{Label: "Endpoints", Value: "0"}}}),
		"job":              templates.JobPage(shell("Deploy json v1", "jobs"), madeJob(a.Icons)),
		"job-proven":       templates.JobPage(shell("Deploy pirate v1", "jobs"), madeProvenJob(a.Icons)),
		"job-failed":       templates.JobPage(shell("Deploy tone-formal v3", "jobs"), madeFailedJob(a.Icons)),
		"jobs":             templates.JobsPage(shell("Jobs", "jobs"), madeJobs(a.Icons), templates.JobsForm{}),
		"jobs-empty":       templates.JobsPage(quiet, templates.Jobs{Icons: a.Icons}, templates.JobsForm{}),
		"playground":       templates.PlaygroundPage(shell("Playground", "playground"), madePlayground(a.Icons)),
		"playground-wrong": templates.PlaygroundPage(quiet, wrong),
		"playground-none":  templates.PlaygroundPage(quiet, templates.Playground{Icons: a.Icons, Nothing: "No base is in service. As soon as one is, it can be asked here."}),
		"remove":           templates.AskPage(shell("Remove pirate v1?", "deck"), madeRemove(a.Icons)),
		"login":            templates.LoginPage(bare, templates.Login{Icons: a.Icons, Next: "/", Wrong: "This token is not in the token file."}),
		"fault":            templates.FaultPage(quiet, templates.Fault{Icons: a.Icons, Status: 404, Title: "Not here", Message: "There is no job 99. It may belong to another data folder.", Back: templates.Link{Href: "/", Text: "Go to the deck"}}),
	}
}

func TestNamesAndAnswersCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	hostile := `"></hx-partial><script>alert(1)</script>`
	pane := templates.Pane{Label: hostile, Same: hostile, Flag: "word 1", Rest: []templates.Segment{{Text: hostile, Marked: true}, {Text: hostile}}, Note: hostile}
	deck := madeDeck("/static/icons.0.svg")
	deck.Racks[0].Name, deck.Racks[0].Bases[0].Slots[0].Name, deck.Racks[0].Bases[0].Slots[2].Note = hostile, hostile, hostile
	for name, component := range map[string]templ.Component{"pane": templates.PaneView("", pane), "deck": templates.DeckBody(deck)} {
		var out bytes.Buffer
		if err := component.Render(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "<script") || strings.Contains(out.String(), "</hx-partial>") {
			t.Errorf("%s lets a name through as markup:\n%s", name, out.String())
		}
	}
}

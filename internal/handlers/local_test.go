package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"loradeck/internal/levers"
	"loradeck/internal/local"
	"loradeck/internal/people"
)

// withLocal gives a deck the levers of a real local platform.
func withLocal(t *testing.T, d *deck) *levers.Panel {
	t.Helper()
	platform, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(func() {
		server.Close()
		if err := platform.Close(); err != nil {
			t.Error(err)
		}
	})
	d.handlers.Levers = levers.NewPanel(levers.New(server.URL), d.hub)
	return d.handlers.Levers
}

func TestAFaultIsSetSeenOnTheDeckAndReleased(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	d.seed(t)
	withLocal(t, d)
	if page := d.get(t, "/places/local"); page.status != 200 || !strings.Contains(page.body, "Nothing is set to go wrong") || !strings.Contains(page.body, "Rate exceeded") {
		t.Fatalf("page: %d %s", page.status, page.body)
	}
	if strings.Contains(d.get(t, "/").body, "on purpose") {
		t.Error("a sound place is said to have faults")
	}
	set := func(kind, resource, calls string) answer {
		return d.post(t, "/places/local/faults", url.Values{"kind": {kind}, "resource": {resource}, "calls": {calls}})
	}
	if got := set("quota", "tiny-llama-base", "3"); got.status != http.StatusSeeOther {
		t.Fatalf("set: %d %s", got.status, got.body)
	}
	if got := set("throttle", "", ""); got.status != http.StatusSeeOther {
		t.Fatalf("set until released: %d %s", got.status, got.body)
	}
	page := d.get(t, "/places/local").body
	for _, want := range []string{"For tiny-llama-base, 3 calls to come; it has not happened yet.", "For everything, until released;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if deck := d.get(t, "/").body; !strings.Contains(deck, "2 faults are set") || !strings.Contains(deck, `href="/places/local"`) {
		t.Error("the deck does not say that faults are set, or not where")
	}
	d.post(t, "/places/local/release", url.Values{"id": {"1"}})
	if page := d.get(t, "/places/local").body; strings.Contains(page, "3 calls to come") || !strings.Contains(page, "until released;") {
		t.Error("not the named fault was released")
	}
	d.post(t, "/places/local/release", url.Values{})
	if page := d.get(t, "/places/local").body; !strings.Contains(page, "Nothing is set to go wrong") {
		t.Error("faults are left")
	}
}

func TestWhatCannotBeSetIsSaid(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	withLocal(t, d)
	for name, test := range map[string]struct {
		path string
		form url.Values
		says string
	}{
		"no kind":      {"/faults", url.Values{}, "Choose a fault"},
		"an odd kind":  {"/faults", url.Values{"kind": {"sharks"}}, "There is no fault"},
		"no number":    {"/faults", url.Values{"kind": {"quota"}, "calls": {"often"}}, "is no number of calls"},
		"none at all":  {"/faults", url.Values{"kind": {"quota"}, "calls": {"0"}}, "leave it empty"},
		"an odd pace":  {"/pace", url.Values{"pace": {"warp"}}, "instant or realistic"},
		"over already": {"/release", url.Values{"id": {"77"}}, ""},
		"no container": {"", nil, "No container"},
	} {
		var got answer
		if test.path == "" {
			got = d.get(t, "/places/local/containers/nothing/metrics.txt")
		} else {
			got = d.post(t, "/places/local"+test.path, test.form)
		}
		if test.says == "" && got.status != http.StatusSeeOther || test.says != "" && (got.status < 400 || !strings.Contains(got.body, test.says)) {
			t.Errorf("%s: got %d %s, want %q", name, got.status, got.body, test.says)
		}
	}
}

func TestThePaceIsChanged(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	withLocal(t, d)
	if got := d.post(t, "/places/local/pace", url.Values{"pace": {"realistic"}}); got.status != http.StatusSeeOther {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if page := d.get(t, "/places/local").body; !strings.Contains(page, `<option value="realistic" selected>`) {
		t.Errorf("the page shows another pace: %s", page)
	}
}

func TestLeversNeedAnAdminAndALocalPlatform(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	if got := d.get(t, "/places/local"); got.status != http.StatusNotFound || !strings.Contains(got.body, "--local-addr") {
		t.Errorf("without a local platform: %d", got.status)
	}
	d = newDeck(t, guarded(t))
	panel := withLocal(t, d)
	for role, test := range map[string]struct {
		token  string
		status int
	}{"watch": {evesToken, 403}, "ship": {danasToken, 403}, "admin": {adasToken, 303}} {
		r := d.request(t, http.MethodPost, "/places/local/faults", url.Values{"kind": {"quota"}})
		r.Header.Set("Authorization", "Bearer "+test.token)
		if got := d.do(t, r); got.status != test.status {
			t.Errorf("%s: got %d, want %d", role, got.status, test.status)
		}
		r = d.request(t, http.MethodGet, "/places/local", nil)
		r.Header.Set("Authorization", "Bearer "+test.token)
		if got := d.do(t, r); got.status != 200 {
			t.Errorf("%s may look: got %d", role, got.status)
		}
	}
	if now, _ := panel.Last(); len(now.Set) != 1 {
		t.Errorf("%d faults are set, want the admin's", len(now.Set))
	}
}

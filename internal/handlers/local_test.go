package handlers_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"loradeck/internal/levers"
	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/people"
)

// withLocal gives a deck the levers of a real local platform, with the demo's base on it unless that is nil.
func withLocal(t *testing.T, d *deck, demo fs.FS) *levers.Panel {
	t.Helper()
	platform, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Demo: demo})
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.Provision(t.Context()); err != nil {
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
	withLocal(t, d, nil)
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

func TestAFaultThatEndedIsToldAndSetAgain(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	panel := withLocal(t, d, nil)
	set := func(kind, resource, calls string) {
		t.Helper()
		if got := d.post(t, "/places/local/faults", url.Values{"kind": {kind}, "resource": {resource}, "calls": {calls}}); got.status != http.StatusSeeOther {
			t.Fatalf("set %s: %d %s", kind, got.status, got.body)
		}
	}
	happen := func(times int) { // to calls as any client makes them
		for range times {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, panel.Address()+"/", strings.NewReader(`{"EndpointName":"tiny"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=00")
			r.Header.Set("X-Amz-Target", "SageMaker.DescribeEndpoint")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		}
	}
	set("throttle", "tiny", "3")
	happen(3)
	set("expired", "tiny", "5")
	happen(2)
	d.post(t, "/places/local/release", url.Values{"id": {"2"}})
	set("quota", "", "")
	d.post(t, "/places/local/release", url.Values{})
	set("expired", "", "")
	happen(1)
	d.post(t, "/places/local/release", url.Values{})
	page := d.get(t, "/places/local").body
	for _, want := range []string{
		`<b>throttle</b> on tiny happened 3 times and ended at [^<]*\d\d:\d\d[^<]*\.`, `<b>expired</b> on tiny was released at [^<]*\d\d:\d\d[^<]* after 2 of 5 calls\.`,
		`<b>quota</b> on everything was released at [^<]*\d\d:\d\d[^<]*; it had not happened\.`, `<b>expired</b> on everything was released at [^<]*\d\d:\d\d[^<]*; it had happened once\.`,
	} {
		if !regexp.MustCompile(want).MatchString(page) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	now, _ := panel.Last()
	if asked := []int{now.Ended[0].Asked(), now.Ended[1].Asked(), now.Ended[2].Asked(), now.Ended[3].Asked()}; !slices.Equal(asked, []int{0, 0, 5, 3}) {
		t.Errorf("they were set for %v calls", asked)
	}
	again := regexp.MustCompile(`(?s)id="ended-2".*?name="kind" value="([^"]*)".*?name="resource" value="([^"]*)".*?name="calls" value="([^"]*)"`).FindStringSubmatch(page)
	if again == nil {
		t.Fatalf("no form sets it again: %s", page)
	}
	set(again[1], again[2], again[3])
	if page := d.get(t, "/places/local").body; !strings.Contains(page, "For tiny, 5 calls to come;") {
		t.Errorf("set again: %s", page)
	}
}

func TestAContainerThatAnswersNothingIsNotCalledRunning(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	panel := withLocal(t, d, demo.Base())
	for held := false; !held; {
		panel.Refresh(t.Context())
		now, err := panel.Last()
		if err != nil {
			t.Fatal(err)
		}
		held = len(now.Components) == 1 && now.Components[0].Held
	}
	d.post(t, "/places/local/faults", url.Values{"kind": {"dead-in-service"}, "resource": {"tiny-llama-base"}})
	if page := d.get(t, "/places/local").body; !strings.Contains(page, "Answers nothing") || !strings.Contains(page, "SageMaker says InService") || strings.Contains(page, ">Running<") {
		t.Errorf("while it is dead: %s", page)
	}
	d.post(t, "/places/local/release", url.Values{})
	if page := d.get(t, "/places/local").body; strings.Contains(page, "Answers nothing") || !strings.Contains(page, ">Running<") {
		t.Errorf("after the release: %s", page)
	}
}

func TestWhatCannotBeSetIsSaid(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	withLocal(t, d, nil)
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
	withLocal(t, d, nil)
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
	panel := withLocal(t, d, nil)
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

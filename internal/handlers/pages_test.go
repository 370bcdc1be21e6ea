package handlers_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/people"
)

func TestEveryPageIsServedUnderTheStrictPolicyAndNeverKept(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	d.prove(t, job, lora.VerdictProven)
	for path, want := range map[string]string{
		"/":                   "tiny-llama-base",
		"/jobs":               "Deploy pirate v1",
		"/jobs/1":             "Deploy pirate v1",
		"/playground":         "pirate v1",
		"/playground?base=no": "pirate v1",
		"/remove?place=" + url.QueryEscape(placeID) + "&component=pirate-v1-tiny-llama-base": "stays in S3 at s3://loradeck/adapters/default/c.tar.gz",
	} {
		got := d.get(t, path)
		if got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s: got status %d, want 200 and %q in:\n%s", path, got.status, want, got.body)
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self'") {
			t.Errorf("%s: Content-Security-Policy is %q", path, policy)
		}
		if keep := got.header.Get("Cache-Control"); keep != "no-store" {
			t.Errorf("%s: Cache-Control is %q, want no-store", path, keep)
		}
	}
}

func TestDeckShowsOurWordBesideTheServicesOwn(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	moving := d.get(t, "/").body
	if !strings.Contains(moving, "in service: Creating") || !strings.Contains(moving, `data-state="creating"`) {
		t.Errorf("a job in motion does not show its step:\n%s", moving)
	}
	d.prove(t, job, lora.VerdictProven)
	proven := d.get(t, "/").body
	if !strings.Contains(proven, "Proven") || !strings.Contains(proven, `<code title="SageMaker's own word">InService</code>`) {
		t.Errorf("a proven adapter does not show both words:\n%s", proven)
	}
	if strings.Contains(proven, "Needs you") {
		t.Errorf("nothing is wrong, yet the deck asks for someone")
	}
}

func TestAJobThatWaitsToTryAgainSaysWhen(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	const list = "in service, again at 14:10:24, in 24 s"
	d.write(t, func(q *db.Queries) error {
		return q.RequeueJob(t.Context(), db.RequeueJobParams{RunAt: db.Millis(d.now.Add(24 * time.Second)), ID: job.ID})
	})
	page := d.get(t, "/jobs/1").body
	for _, want := range []string{"Waiting to try again at 14:10:24: in service", "Next attempt", "in 24 s", "waiting to try again</span>"} {
		if !strings.Contains(page, want) {
			t.Errorf("its page lacks %q:\n%s", want, page)
		}
	}
	if page := d.get(t, "/jobs").body; !strings.Contains(page, list) {
		t.Errorf("the list lacks %q:\n%s", list, page)
	}
	if page := d.get(t, "/playground").body; !strings.Contains(page, ">again at 14:10:24<") {
		t.Errorf("the tray does not say when:\n%s", page)
	}
	d.now = d.now.Add(24 * time.Second) // something else is in the way
	if page := d.get(t, "/jobs/1").body; !strings.Contains(page, "Waiting to try again, due now: in service") || strings.Contains(page, "Next attempt") {
		t.Errorf("its page when the time has come:\n%s", page)
	}
	if page := d.get(t, "/jobs").body; strings.Contains(page, "again at") {
		t.Errorf("the list when the time has come:\n%s", page)
	}
}

func TestDeckAsksForSomeoneWhenAnAdapterHasNoEffect(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.prove(t, d.seed(t), lora.VerdictNoEffect)
	if got := d.get(t, "/").body; !strings.Contains(got, "pirate v1 changes nothing.") || !strings.Contains(got, `aria-label="Needs you"`) {
		t.Errorf("the deck does not ask for someone:\n%s", got)
	}
}

func TestAChangedBaseMakesTheProofStale(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.prove(t, d.seed(t), lora.VerdictProven)
	d.write(t, func(q *db.Queries) error {
		base, err := q.ComponentNamed(t.Context(), db.ComponentNamedParams{PlaceID: placeID, Name: "tiny-llama-base"})
		if err != nil {
			return err
		}
		return q.PutComponent(t.Context(), db.PutComponentParams{
			PlaceID: placeID, Name: base.Name, ARN: base.ARN, Endpoint: base.Endpoint, ModelName: base.ModelName, Status: base.Status, Tags: "{}",
			Environment: base.Environment, ModelConfig: base.ModelConfig, CreatedAt: base.CreatedAt, ModifiedAt: base.ModifiedAt + 1,
		})
	})
	if got := d.get(t, "/").body; !strings.Contains(got, "In service, not proven") || !strings.Contains(got, "has changed since it was proven") {
		t.Errorf("the deck still calls it proven:\n%s", got)
	}
}

func TestAProofIsShownWithItsNumbersAndAnswers(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.prove(t, d.seed(t), lora.VerdictProven)
	got := d.get(t, "/jobs/1").body
	for _, want := range []string{"Differs from the base by 1.412 nats.", "Prose", "1.200", "too close", "0.024", "Arr, Paris!", "Compare in playground"} {
		if !strings.Contains(got, want) {
			t.Errorf("the job's page lacks %q:\n%s", want, got)
		}
	}
}

// An adapter that could not be held against its base is not said to be wrong for it.
func TestAdapterIsCalledUnfitOnlyWhenTheCheckFoundSo(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, output, title, not string }{
		{"never looked", "", "It stopped at: check", "would not work"},
		{"found unfit", `{"findings":[{"rule":"rank","title":"Rank","level":"block"}]}`, "pirate v1 would not work on tiny-llama-base", "It stopped at"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDeck(t, people.Alone("dana"))
			job, at := d.seed(t), db.Millis(d.now)
			d.write(t, func(q *db.Queries) error {
				return errors.Join(
					q.AdvanceJob(t.Context(), db.AdvanceJobParams{Step: 0, ID: job.ID}),
					q.EndStep(t.Context(), db.EndStepParams{State: "failed", Output: test.output, EndedAt: &at, JobID: job.ID, N: 0}),
					q.EndJob(t.Context(), db.EndJobParams{State: lora.JobFailed, Reason: "The reason.", EndedAt: &at, ID: job.ID}),
				)
			})
			if page := d.get(t, "/jobs/1").body; !strings.Contains(page, test.title) || strings.Contains(page, test.not) {
				t.Errorf("the page does not say %q, or says %q:\n%s", test.title, test.not, page)
			}
		})
	}
}

func TestSamplesAreOfferedOnLocalBasesOnly(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	if got := d.get(t, "/").body; !strings.Contains(got, `action="/samples/json/deploy"`) {
		t.Errorf("the sample is not offered on the local base:\n%s", got)
	}
	d.write(t, func(q *db.Queries) error {
		return q.PutPlace(t.Context(), db.PutPlaceParams{ID: placeID, Name: "us-east-1", Account: "000000000000", Region: "us-east-1", Local: 0, Bucket: "b"})
	})
	if got := d.get(t, "/").body; strings.Contains(got, "/samples/") {
		t.Error("the sample is offered on a base it was not made for")
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	for path, want := range map[string]string{
		"/nowhere": "There is no such page.", "/jobs/99": "There is no job 99.", "/jobs/x": "is not the number of a job", "/comparisons/5": "There is no comparison 5.",
		"/remove?place=p&component=c": "There is no adapter c here.", "/jobs?before=x": "is not the number of a job",
	} {
		got := d.get(t, path)
		if got.status < 400 || got.status >= 500 || !strings.Contains(got.body, want) {
			t.Errorf("%s: got status %d, want 4xx and %q in:\n%s", path, got.status, want, got.body)
		}
	}
	if got := d.post(t, "/samples/nosuch/deploy", url.Values{}); got.status != http.StatusNotFound || !strings.Contains(got.body, "There is no sample") {
		t.Errorf("an unknown sample: got %d\n%s", got.status, got.body)
	}
	if got := d.get(t, "/playground"); got.status != http.StatusOK || !strings.Contains(got.body, "No base is in service.") {
		t.Errorf("a playground without a base: got %d\n%s", got.status, got.body)
	}
}

func TestAWrongQuestionComesBackWithWhatWasTyped(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	fine := url.Values{"base": {placeID + " tiny-llama-base"}, "mode": {"chat"}, "text": {"Who was <Rembrandt>?"}, "max_tokens": {"64"}, "temperature": {"0"}, "top_p": {"1"}}
	for field, value := range map[string]string{"max_tokens": "many", "temperature": "9", "top_p": "0", "seed": "-1", "text": "  "} {
		form := url.Values{}
		for k, v := range fine {
			form[k] = v
		}
		form.Set(field, value)
		got := d.post(t, "/playground", form)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `aria-invalid="true" aria-describedby="`+field+`-error"`) {
			t.Errorf("%s=%q: got status %d, want 422 with the field marked:\n%s", field, value, got.status, got.body)
		}
		if field != "text" && !strings.Contains(got.body, "Who was &lt;Rembrandt&gt;?") {
			t.Errorf("%s=%q: what was typed is lost", field, value)
		}
	}
	if got := d.post(t, "/playground", url.Values{"text": {strings.Repeat("x", 1<<20)}}); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of 1 MiB: got status %d, want 413", got.status)
	}
}

func TestStrangersAreKeptOut(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	foreign := d.request(t, http.MethodGet, "/", nil)
	foreign.Host = "evil.example"
	if got := d.do(t, foreign); got.status != http.StatusForbidden || !strings.Contains(got.body, "--host") {
		t.Errorf("a foreign Host: got %d\n%s", got.status, got.body)
	}
	named := d.request(t, http.MethodGet, "/", nil)
	named.Host = "deck.example:443"
	if got := d.do(t, named); got.status != http.StatusOK {
		t.Errorf("an allowed Host: got %d", got.status)
	}
	cross := d.request(t, http.MethodPost, "/remove?place=p&component=c", url.Values{})
	cross.Header.Set("Origin", "https://evil.example")
	if got := d.do(t, cross); got.status != http.StatusForbidden || !strings.Contains(got.body, "nothing was done") {
		t.Errorf("a POST from another site: got %d\n%s", got.status, got.body)
	}
}

func TestPeopleSignInWithATokenThatNeverLeavesTheForm(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	token := strings.Repeat("t", 24)
	watcher := strings.Repeat("w", 24)
	if err := os.WriteFile(path, []byte("ada admin "+token+"\nwes watch "+watcher+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var d *deck
	gate, err := people.FromFile(path, []byte("key"), nowOf(&d))
	if err != nil {
		t.Fatal(err)
	}
	d = newDeck(t, gate)
	d.seed(t)
	if got := d.get(t, "/jobs/1"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/login?next=%2Fjobs%2F1" {
		t.Errorf("without a cookie: got %d to %q", got.status, got.header.Get("Location"))
	}
	if got := d.get(t, "/live?page=deck"); got.status != http.StatusUnauthorized {
		t.Errorf("a socket without a cookie: got %d, want 401", got.status)
	}
	if got := d.get(t, "/healthz"); got.status != http.StatusOK {
		t.Errorf("healthz: got %d, want 200 without a login", got.status)
	}
	wrong := d.post(t, "/login", url.Values{"token": {"wrong"}, "next": {"/jobs/1"}})
	if wrong.status != http.StatusUnauthorized || !strings.Contains(wrong.body, "No person has this token.") || strings.Contains(wrong.body, `value="wrong"`) {
		t.Errorf("a wrong token: got %d\n%s", wrong.status, wrong.body)
	}
	for next, want := range map[string]string{"/jobs/1": "/jobs/1", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "/login": "/"} {
		got := d.post(t, "/login", url.Values{"token": {token}, "next": {next}})
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("next=%q: got %d to %q, want %q", next, got.status, got.header.Get("Location"), want)
		}
	}
	cookie := func(token string) string {
		got := d.post(t, "/login", url.Values{"token": {token}})
		return strings.SplitN(got.header.Get("Set-Cookie"), ";", 2)[0]
	}
	r := d.request(t, http.MethodGet, "/jobs/1", nil)
	r.Header.Set("Cookie", cookie(token))
	if got := d.do(t, r); got.status != http.StatusOK || !strings.Contains(got.body, "Sign out") || strings.Contains(got.body, token) {
		t.Errorf("with a cookie: got %d\n%s", got.status, got.body)
	}
	r = d.request(t, http.MethodPost, "/samples/json/deploy", url.Values{})
	r.Header.Set("Cookie", cookie(watcher))
	if got := d.do(t, r); got.status != http.StatusForbidden || !strings.Contains(got.body, "role ship") {
		t.Errorf("a deploy by a watcher: got %d\n%s", got.status, got.body)
	}
}

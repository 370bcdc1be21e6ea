package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/people"
)

// hear stores what was heard of an engine a minute after the proof, and lets another minute pass.
func (d *deck) hear(t *testing.T, store func(q *db.Queries, at int64) error) {
	t.Helper()
	at := d.now.Add(time.Minute)
	d.write(t, func(q *db.Queries) error { return store(q, db.Millis(at)) })
	d.now = at.Add(time.Minute)
}

func TestAnEngineThatStartedAnewEndsTheProofOnEveryPage(t *testing.T) {
	t.Parallel()
	const base, adapter = "tiny-llama-base", "pirate-v1-tiny-llama-base"
	for name, test := range map[string]struct {
		store func(q *db.Queries, at int64) error
		says  string
		need  string // at the top of the deck; "" for none
	}{
		"it died": {func(q *db.Queries, at int64) error {
			return q.SetEngineDied(t.Context(), db.SetEngineDiedParams{At: at, PlaceID: placeID, Name: base})
		}, "Proven before the engine of its base died at 14:11:00.", "The engine of tiny-llama-base died at 14:11:00."},
		"it forgot": {func(q *db.Queries, at int64) error {
			return q.SetAdaptersForgotten(t.Context(), db.SetAdaptersForgottenParams{At: at, PlaceID: placeID, Name: base})
		}, "Proven before the engine of its base was found without its adapters at 14:11:00.", "The engine of tiny-llama-base was found without its adapters at 14:11:00."},
		"a copy did not know it": {func(q *db.Queries, at int64) error {
			return q.SetAdaptersForgotten(t.Context(), db.SetAdaptersForgottenParams{At: at, PlaceID: placeID, Name: adapter})
		}, "Proven before a copy of its base did not know it at 14:11:00.", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeck(t, people.Alone("dana"))
			d.prove(t, d.seed(t), lora.VerdictProven)
			d.hear(t, test.store)
			const again = `action="/deployments/1/prove"`
			for path, wants := range map[string][]string{
				"/":           {"In service, not proven", test.says, "See the old proof", again, test.need},
				"/adapters/1": {"In service, not proven", test.says, again},
				"/playground": {"in service, not proven. " + test.says},
				"/jobs/1":     {test.says + " This proof no longer counts.", again, "Differs from the base by 1.412 nats."},
			} {
				page := d.get(t, path).body
				for _, want := range wants {
					if !strings.Contains(page, want) {
						t.Errorf("%s lacks %q:\n%s", path, want, page)
					}
				}
			}
			if page := d.get(t, "/").body; test.need == "" && strings.Contains(page, "Needs you") {
				t.Errorf("the deck asks for somebody:\n%s", page)
			}
			var told struct{ State, Verdict, Stale string }
			p := d.program(t, "")
			p.call(t, http.MethodGet, "/api/v1/deployments/1", "", http.StatusOK, &told)
			if told.State != string(lora.StateNotProven) || told.Verdict != "proven" || told.Stale != test.says {
				t.Errorf("the API tells %+v", told)
			}
			var job struct{ Kind, Title, Step string }
			p.call(t, http.MethodPost, "/api/v1/deployments/1/prove", "", http.StatusAccepted, &job)
			if job.Kind != lora.JobProve || job.Title != "Prove pirate v1" || job.Step != lora.StepProve {
				t.Errorf("the API made %+v", job)
			}
		})
	}
}

func TestAProofThatCountsIsNotCalledOld(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	d.write(t, func(q *db.Queries) error { // before it was asked
		return q.SetEngineDied(t.Context(), db.SetEngineDiedParams{At: db.Millis(d.now.Add(-time.Second)), PlaceID: placeID, Name: "tiny-llama-base"})
	})
	d.prove(t, job, lora.VerdictProven)
	for _, path := range []string{"/", "/adapters/1", "/playground", "/jobs/1"} {
		if page := d.get(t, path).body; strings.Contains(page, "Proven before") || strings.Contains(page, "/prove") || strings.Contains(page, "died") {
			t.Errorf("%s:\n%s", path, page)
		}
	}
	if got := d.get(t, "/api/v1/deployments/1").body; !strings.Contains(got, `"state":"proven"`) || !strings.Contains(got, `"stale":""`) {
		t.Errorf("the API tells %s", got)
	}
}

func TestProvingAgainLeadsToItsJobAndFromTheOldProofToTheNew(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	d.prove(t, job, lora.VerdictProven)
	for path, status := range map[string]int{"/deployments/1/prove": http.StatusSeeOther, "/deployments/9/prove": http.StatusNotFound, "/deployments/x/prove": http.StatusNotFound} {
		got := d.post(t, path, url.Values{})
		if got.status != status || status == http.StatusSeeOther && got.header.Get("Location") != "/jobs/2" {
			t.Errorf("%s: got %d to %q\n%s", path, got.status, got.header.Get("Location"), got.body)
		}
	}
	if page := d.get(t, "/").body; !strings.Contains(page, "Proving") {
		t.Errorf("the deck does not say that it is being proven:\n%s", page)
	}
	d.write(t, func(q *db.Queries) error {
		_, err := q.PutProof(t.Context(), db.PutProofParams{
			DeploymentID: 1, JobID: 2, ComponentARN: "arn:pirate", ComponentModifiedAt: db.Millis(d.now), BaseModifiedAt: db.Millis(d.now), Digest: "c", ProbeSet: "1",
			Verdict: "proven", Reason: "Differs from the base by 1.3 nats.", Result: "{}", CreatedAt: db.Millis(d.now.Add(time.Minute)),
		})
		return err
	})
	old := d.get(t, "/jobs/1").body
	if !strings.Contains(old, "It has been proven again since.") || !strings.Contains(old, `href="/jobs/2"`) || !strings.Contains(old, "Differs from the base by 1.412 nats.") {
		t.Errorf("the old proof's page:\n%s", old)
	}
}

func TestWhatCannotBeProvenIsOfferedToBeRedeployed(t *testing.T) {
	t.Parallel()
	d := newDeck(t, guarded(t), platform(t))
	job := d.seed(t)
	d.prove(t, job, lora.VerdictProven)
	as := func(token, method, path string) answer {
		r := d.request(t, method, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		return d.do(t, r)
	}
	d.write(t, func(q *db.Queries) error {
		at := db.Millis(d.now)
		return q.EndJob(t.Context(), db.EndJobParams{State: lora.JobFailed, Reason: "The engine has forgotten it.", EndedAt: &at, ID: job.ID})
	})
	d.write(t, func(q *db.Queries) error { return q.AdvanceJob(t.Context(), db.AdvanceJobParams{Step: 5, ID: job.ID}) })
	const path = "/deployments/1/redeploy"
	if page := as(danasToken, http.MethodGet, "/jobs/1").body; !strings.Contains(page, `href="`+path+`"`) {
		t.Errorf("the job's page does not offer it:\n%s", page)
	}
	asked := as(danasToken, http.MethodGet, path)
	if asked.status != http.StatusOK || !strings.Contains(asked.body, "Redeploy pirate v1?") || !strings.Contains(asked.body, `action="`+path+`"`) {
		t.Errorf("it does not ask: %d\n%s", asked.status, asked.body)
	}
	if got := as(evesToken, http.MethodPost, path); got.status != http.StatusForbidden {
		t.Errorf("who may watch may redeploy: %d", got.status)
	}
	if got := as(danasToken, http.MethodPost, path); got.status != http.StatusNotFound { // its files are not kept
		t.Errorf("without its files: %d\n%s", got.status, got.body)
	}
	for _, wrong := range []string{"/deployments/9/redeploy", "/deployments/x/redeploy"} {
		if got := as(danasToken, http.MethodGet, wrong); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", wrong, got.status)
		}
	}
}

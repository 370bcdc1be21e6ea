package hook_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/lora"
	"loradeck/internal/sqlite"
)

func TestTheEndOfAJobIsToldSignedAndInFull(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t, status(http.StatusNoContent))
	h := b.hookWith(hook.Config{URL: r.URL + "/in", Deck: "https://deck.example"})
	b.run(h)
	job := b.end(h, ends(lora.Errorf(lora.Invalid, "Rank 128 is <too> high.")))
	request := r.next(t)
	var told map[string]any
	if err := json.Unmarshal([]byte(request.body), &told); err != nil {
		t.Fatal(err)
	}
	at := func(millis int64) string { return db.Time(millis).UTC().Format(time.RFC3339Nano) }
	want := map[string]any{"type": "job.failed", "timestamp": at(*job.EndedAt), "data": map[string]any{
		"id": 1.0, "kind": "deploy", "title": "Deploy pirate v1", "state": "failed", "step": "prove", "reason": "Rank 128 is <too> high.", "verdict": "", "verdict_reason": "",
		"adapter": "pirate", "base": "tiny-llama-base", "place": "local", "component": "pirate-v1-tiny-llama-base",
		"created_at": at(job.CreatedAt), "started_at": at(*job.StartedAt), "ended_at": at(*job.EndedAt), "page": "https://deck.example/jobs/1",
	}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if kind := request.header.Get("Content-Type"); kind != "application/json" || request.timestamp != fmt.Sprint(b.clock().Unix()) {
		t.Errorf("sent as %q at %s", kind, request.timestamp)
	}
	if d := b.delivery(job.ID, "it is sent", tried(1)); d.State != hook.Sent || d.Answer != "answered 204" || d.ID != request.id || d.EndedAt == nil || *d.EndedAt != db.Millis(b.clock()) {
		t.Errorf("stored as %+v", d)
	}
}

// The values are those of the specification's own tests (libraries/go/webhook_test.go there).
func TestSignsAsTheSpecificationsExample(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t, status(http.StatusOK))
	h := b.hook(r.URL)
	job := b.end(h, ends(nil))
	b.now = time.Unix(1614265330, 0) // before the job's own event is due
	b.write(func(q *db.Queries) error {
		return q.AddDelivery(t.Context(), db.AddDeliveryParams{
			ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", JobID: job.ID, Event: "test", Body: `{"test": 2432232314}`, NextAt: db.Millis(b.now), CreatedAt: db.Millis(b.now),
		})
	})
	b.run(h)
	if got := r.next(t).header.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signed %q", got)
	}
}

// proves gives a step that stores a proof with that verdict and then ends as told.
func (b *bench) proves(verdict lora.Verdict, failure error) func(context.Context, *journal.Run) error {
	b.t.Helper()
	var deployment int64
	b.write(func(q *db.Queries) error {
		ctx := b.t.Context()
		a, err := q.PutAdapter(ctx, db.PutAdapterParams{Name: "pirate"})
		if err != nil {
			return err
		}
		v, err := q.AddVersion(ctx, db.AddVersionParams{AdapterID: a.ID, Targets: "[]", Prompts: "[]"})
		if err != nil {
			return err
		}
		d, err := q.AddDeployment(ctx, db.AddDeploymentParams{VersionID: v.ID, PlaceID: "p"})
		deployment = d.ID
		return err
	})
	return func(_ context.Context, run *journal.Run) error {
		run.OnCommit(func(ctx context.Context, q *db.Queries) error {
			_, err := q.PutProof(ctx, db.PutProofParams{DeploymentID: deployment, JobID: run.Job.ID, Verdict: string(verdict), Reason: "So it is.", Result: "{}", CreatedAt: 1})
			return err
		})
		return failure
	}
}

// told lists the job's events as "type verdict".
func (b *bench) told(job int64) []string {
	b.t.Helper()
	rows, err := b.db.Read().DeliveriesOfJob(context.Background(), job)
	if err != nil {
		b.t.Fatal(err)
	}
	var told []string
	for _, row := range rows {
		var event hook.Event
		if err := json.Unmarshal([]byte(row.Body), &event); err != nil || event.Type != row.Event {
			b.t.Errorf("event %s is %q (%v)", row.Event, row.Body, err)
		}
		told = append(told, event.Type+" "+event.Job.Verdict)
	}
	return told
}

func TestAProofThatFindsAnythingButProvenIsToldBesideItsJob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		verdict lora.Verdict
		failure error
		want    []string
	}{
		{lora.VerdictProven, nil, []string{"job.done proven"}},
		{lora.VerdictNoEffect, nil, []string{"job.done no effect", "proof.failed no effect"}},
		{lora.VerdictUnclear, nil, []string{"job.done unclear", "proof.failed unclear"}},
		{lora.VerdictFailed, lora.Errorf(lora.Conflict, "Empty."), []string{"job.failed failed", "proof.failed failed"}},
	}
	for _, test := range tests {
		t.Run(string(test.verdict), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			job := b.end(b.hook("http://127.0.0.1:1"), b.proves(test.verdict, test.failure))
			if diff := cmp.Diff(test.want, b.told(job.ID)); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProofFromBeforeTheJobWasTriedAgainIsNotToldAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.hook("http://127.0.0.1:1")
	job := b.end(h, b.proves(lora.VerdictFailed, lora.Errorf(lora.Conflict, "Empty.")))
	file, err := sqlite.Open(t.Context(), b.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	err = file.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "UPDATE job SET retried_at = 2; DELETE FROM delivery")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.write(func(q *db.Queries) error { return h.Ended(t.Context(), q, job) })
	if diff := cmp.Diff([]string{"job.failed "}, b.told(job.ID)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoAddressForEventsIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://ci.example/hooks/x", "https://10.0.0.1:8443/", "http://127.0.0.1:9000/in", "http://[::1]:9000", "http://localhost/in"} {
		if err := hook.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "hush", "ftp://ci.example/hush", "https:///hush", "https://ci.example:port/hush", "http://ci.example/hush", "http://10.0.0.1/hush",
		"http://localhost.example/hush", "https://me:hush@ci.example/", "https://%zz/hush",
	} {
		err := hook.CheckURL(bad)
		if lora.KindOf(err) != lora.Invalid || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestSecretsAreReadFromFilesOfTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		mode       os.FileMode
		want       string // of the sentence; "" when it is taken
	}{
		{"marked", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o600, ""},
		{"raw", "just a long text of thirty bytes\n", 0o400, ""},
		{"short", "too short a text", 0o600, "16 bytes"},
		{"short marked", "whsec_c2hvcnQ=", 0o600, "5 bytes"},
		{"no base64", "whsec_what is this, and why is it so long?", 0o600, "base64"},
		{"open", secretText, 0o640, "chmod 600"},
		{"empty", "", 0o600, "0 bytes"},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		secret, err := hook.ReadSecret(path)
		if test.want == "" {
			if err != nil || !secret.Given() {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), test.want) || test.text != "" && strings.Contains(err.Error(), strings.TrimSpace(test.text)) {
			t.Errorf("%s: got %v, want a sentence with %q and without the text", test.name, err, test.want)
		}
	}
	if _, err := hook.ReadSecret(filepath.Join(t.TempDir(), "none")); lora.KindOf(err) != lora.Invalid {
		t.Errorf("no file: got %v", err)
	}
}

func TestNoSecretAndNoPathIsLoggedOrStored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := newReceiver(t, status(http.StatusInternalServerError), status(http.StatusGone))
	h := b.hook(r.URL + "/hush-path?hush=query")
	stop := b.run(h)
	refused := b.end(h, ends(nil))
	b.delivery(refused.ID, "it failed", tried(1))
	b.pass(time.Minute)
	b.delivery(refused.ID, "it is given up", tried(2))
	r.Close()
	unheard := b.delivery(b.end(h, ends(nil)).ID, "nobody answered", tried(1))
	stop()

	secret, err := hook.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	all := b.log.String() + unheard.Answer + unheard.Body + fmt.Sprintf("%v %+v %#v %s %x %d", secret, secret, secret, secret, &secret, struct{ private hook.Secret }{secret})
	for _, hush := range []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "31f290f6bf06298a", "49 242 144", "hush", "never told"} {
		if strings.Contains(all, hush) {
			t.Errorf("%q stands in:\n%s", hush, all)
		}
	}
	for _, said := range []string{"webhook not taken", "webhook given up", "no answer: "} {
		if !strings.Contains(all, said) {
			t.Errorf("%q does not stand in:\n%s", said, all)
		}
	}
}

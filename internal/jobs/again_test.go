package jobs_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"loradeck/internal/cloud"
	"loradeck/internal/lora"
)

// died tells of an engine's death that nothing followed, as when the container has been replaced and knows its adapters again.
func (h *house) died() {
	h.t.Helper()
	h.watch.Heard(h.t.Context(), base, base, &cloud.ModelError{Status: 500, Message: `{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause."}}`})
}

func TestWhatIsProvenAgainKeepsTheProofBefore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipProven(pirate())
	first, err := h.db.Read().NewestProof(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	h.died()
	if got := h.stale(pirateComponent); got != lora.StaleDied {
		t.Fatalf("%q, want %q", got, lora.StaleDied)
	}
	job, err := h.jobs.Prove(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone || job.Title != "Prove pirate v1" {
		t.Fatalf("%s: %s: %s", job.Title, job.State, job.Reason)
	}
	newest, err := h.db.Read().NewestProof(t.Context(), 1)
	if err != nil || newest.JobID != job.ID || newest.Verdict != string(lora.VerdictProven) {
		t.Errorf("the newest proof is %+v, %v", newest, err)
	}
	if got := h.stale(pirateComponent); got != lora.StaleNot {
		t.Errorf("proven again, it is stale: %s", got)
	}
	if kept, err := h.db.Read().ProofOfJob(t.Context(), first.JobID); err != nil || kept != first {
		t.Errorf("the proof before became %+v, %v", kept, err)
	}
}

func TestProvingAgainWhatTheContainerForgotSaysWhatToDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipProven(pirate())
	h.crash()
	job, err := h.jobs.Prove(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobFailed || !strings.Contains(job.Reason, "remove the adapter and deploy it again") {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	if got := h.stale(pirateComponent); got != lora.StaleForgot {
		t.Errorf("%q, want %q", got, lora.StaleForgot)
	}
	if job, err = h.jobs.Redeploy(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone || job.Title != "Deploy pirate v1" {
		t.Fatalf("%s: %s: %s", job.Title, job.State, job.Reason)
	}
	h.look()
	if got := h.stale(pirateComponent); got != lora.StaleNot {
		t.Errorf("deployed again, its proof is stale: %s", got)
	}
	if err := h.ask(pirateComponent); err != nil {
		t.Errorf("deployed again, it answers %v", err)
	}
	if _, err := h.jobs.Redeploy(t.Context(), 1); lora.KindOf(err) != lora.Conflict {
		t.Errorf("a deployment that has ended: %v", err)
	}
}

func TestNothingIsRemovedThatCouldNotComeBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipProven(pirate())
	version, err := h.db.Read().Version(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, kind lora.Kind) {
		t.Helper()
		if _, err := h.jobs.Redeploy(t.Context(), 1); lora.KindOf(err) != kind {
			t.Errorf("%s: %v, want %s", what, err, kind)
		}
		if c, err := h.place.Component(t.Context(), pirateComponent); err != nil || c.Status != lora.StatusInService {
			t.Errorf("%s: the component is %s, %v", what, c.Status, err)
		}
		if rows := h.deployments(); len(rows) != 1 || rows[0].JobID != 1 {
			t.Errorf("%s: deployments %+v", what, rows)
		}
	}
	h.scale(0)
	h.look()
	refused("without a copy of the base", lora.Conflict)
	h.scale(1)
	h.look()
	if err := h.spool.Drop(version.Digest); err != nil {
		t.Fatal(err)
	}
	refused("without its files", lora.NotFound)
	if _, err := h.jobs.Redeploy(t.Context(), 99); lora.KindOf(err) != lora.NotFound {
		t.Errorf("no such deployment: %v", err)
	}
}

func TestProvingAgainIsAskedOnceAndOnlyOfWhatIsInService(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipProven(pirate())
	if _, err := h.jobs.Prove(t.Context(), 99); lora.KindOf(err) != lora.NotFound {
		t.Errorf("no such deployment: %v", err)
	}
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.holding(func(r *http.Request, _ []byte) {
		if strings.HasSuffix(r.URL.Path, "/invocations") {
			once.Do(func() {
				close(begun)
				<-release
			})
		}
	})
	job, err := h.jobs.Prove(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if again, err := h.jobs.Prove(t.Context(), 1); err != nil || again.ID != job.ID {
		t.Errorf("asked twice: job %d, %v; want %d", again.ID, err, job.ID)
	}
	if _, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base); lora.KindOf(err) != lora.Conflict {
		t.Errorf("shipped over a proof: %v", err)
	}
	if err := h.jobs.Cancel(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	close(release)
	if job = h.ended(job.ID); job.State != lora.JobCancelled {
		t.Errorf("cancelled, it is %s: %s", job.State, job.Reason)
	}
	if c, err := h.place.Component(t.Context(), pirateComponent); err != nil || c.Status != lora.StatusInService {
		t.Errorf("the component after the cancel: %s, %v", c.Status, err)
	}
	if got := h.stale(pirateComponent); got != lora.StaleNot {
		t.Errorf("a cancel ended its proof: %s", got)
	}

	h.scale(0)
	h.look()
	if _, err := h.jobs.Prove(t.Context(), 1); lora.KindOf(err) != lora.Conflict || !strings.Contains(lora.Message(err), "Scale it up") {
		t.Errorf("without a copy: %v", err)
	}
	h.scale(1)

	removal, err := h.jobs.Remove(t.Context(), h.id(), pirateComponent)
	if err != nil {
		t.Fatal(err)
	}
	h.ended(removal.ID)
	if _, err := h.jobs.Prove(t.Context(), 1); lora.KindOf(err) != lora.Conflict {
		t.Errorf("what was removed: %v", err)
	}
}

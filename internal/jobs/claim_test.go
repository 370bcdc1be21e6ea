package jobs_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"loradeck/internal/lora"
)

// heldAt makes the platform wait with its answer to the first request that is meant, until the returned function is called.
func (h *house) heldAt(meant func(r *http.Request, body []byte) bool) (begun <-chan struct{}, release func()) {
	reached, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.holding(func(r *http.Request, body []byte) {
		if meant(r, body) {
			once.Do(func() {
				close(reached)
				<-open
			})
		}
	})
	release = sync.OnceFunc(func() { close(open) })
	h.t.Cleanup(release)
	return reached, release
}

func isDelete(r *http.Request, _ []byte) bool { return operation(r) == "DeleteInferenceComponent" }

func TestADeploymentQueuesBehindTheRemovalOfItsName(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	first, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	h.ended(first.ID)
	h.look()
	begun, release := h.heldAt(isDelete)
	removal, err := h.jobs.Remove(ctx, h.id(), "pirate-v1-tiny-llama-base")
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	second, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.jobs.Ship(ctx, pirate(), h.id(), base); lora.KindOf(err) != lora.Conflict {
		t.Errorf("queued twice: %v", err)
	}
	active, err := h.db.Read().ActiveJobs(ctx)
	if err != nil || len(active) != 2 || active[1].ID != second.ID || active[1].Ahead != 1 || active[1].State != lora.JobQueued {
		t.Errorf("at work: %+v, %v", active, err)
	}
	release()
	if removal = h.ended(removal.ID); removal.State != lora.JobDone {
		t.Errorf("removal: %s, %s", removal.State, removal.Reason)
	}
	if second = h.ended(second.ID); second.State != lora.JobDone {
		t.Errorf("deployed again: %s, %s", second.State, second.Reason)
	}
	if rows := h.deployments(); len(rows) != 1 || rows[0].JobID != second.ID || rows[0].Verdict != string(lora.VerdictProven) {
		t.Errorf("deployments: %+v", rows)
	}
}

func TestADeploymentQueuesBehindTheCancellingOfItsName(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	begun, release := h.heldAt(callOf()[lora.StepInService])
	first, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := h.jobs.Cancel(ctx, first.ID); err != nil {
		t.Fatal(err)
	}
	deleting, releaseDelete := h.heldAt(isDelete)
	release()
	<-deleting
	second, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	releaseDelete()
	if first = h.ended(first.ID); first.State != lora.JobCancelled {
		t.Errorf("the first: %s, %s", first.State, first.Reason)
	}
	if second = h.ended(second.ID); second.State != lora.JobDone {
		t.Errorf("the second: %s, %s", second.State, second.Reason)
	}
}

func TestANameThatSomebodyElseTookSinceTheLastLookIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	ours, err := h.place.Component(ctx, "pirate-v1-tiny-llama-base")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.place.CreateComponent(ctx, lora.ComponentSpec{Name: "theirs", Endpoint: ours.Endpoint, Base: base, ArtifactURL: ours.ArtifactURL}); err != nil {
		t.Fatal(err)
	}
	source := pirate()
	source.Component = "theirs"
	if _, err := h.jobs.Ship(ctx, source, h.id(), base); lora.KindOf(err) != lora.Conflict {
		t.Errorf("a name taken elsewhere: %v", err)
	}
	// The place cannot be asked: the name is then judged by the create step.
	h.losing(func(r *http.Request) bool { return operation(r) == "DescribeInferenceComponent" })
	if job, err = h.jobs.Ship(ctx, source, h.id(), base); err != nil {
		t.Fatal(err)
	}
	h.losing(nil)
	if job = h.ended(job.ID); job.State != lora.JobFailed || job.Step != 3 {
		t.Errorf("%s at step %d: %s", job.State, job.Step, job.Reason)
	}
	if theirs, err := h.place.Component(ctx, "theirs"); err != nil || theirs.Status == lora.StatusDeleting {
		t.Errorf("theirs: %+v, %v", theirs, err)
	}
}

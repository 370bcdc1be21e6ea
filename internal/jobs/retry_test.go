package jobs_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"loradeck/internal/lora"
)

func TestARetryReplacesTheComponentThatFailed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	var mended atomic.Bool
	h.rewording(func(r *http.Request, body, answer []byte) []byte {
		if isDelete(r, body) {
			mended.Store(true) // what is created after it is another
		}
		if !mended.Load() && describes(r, body, "pirate-v1") {
			return bytes.Replace(answer, []byte(`"InService"`), []byte(`"Failed","FailureReason":"No room on the accelerator."`), 1)
		}
		return answer
	})
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobFailed || !strings.Contains(job.Reason, "No room on the accelerator") {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	before, err := h.place.Component(ctx, "pirate-v1-tiny-llama-base")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.jobs.Retry(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("tried again: %s, %s", job.State, job.Reason)
	}
	after, err := h.place.Component(ctx, before.Name)
	if err != nil || !after.Created.After(before.Created) {
		t.Errorf("the failed component was not replaced: %v, %v", after, err)
	}
	for _, call := range h.calls(job.ID) {
		if call.Operation == "UploadPart" && call.Times != 1 {
			t.Errorf("what was sent before was sent again: %+v", call)
		}
	}
	if err := h.jobs.Retry(ctx, job.ID); lora.KindOf(err) != lora.Conflict {
		t.Errorf("trying again what is done: %v", err)
	}
}

func TestWhatWasDeployedAnewIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	config := []byte(`{"peft_type":"LORA","r":64,"lora_alpha":16,"target_modules":["q_proj"],"bias":"none"}`)
	source := changed(t, "too-high", map[string][]byte{"adapter_config.json": config})
	var ids []int64
	for range 2 { // the second ends the deployment of the first
		job, err := h.jobs.Ship(ctx, source, h.id(), base)
		if err != nil {
			t.Fatal(err)
		}
		if job = h.ended(job.ID); job.State != lora.JobFailed {
			t.Fatalf("%s: %s", job.State, job.Reason)
		}
		ids = append(ids, job.ID)
	}
	if err := h.jobs.Retry(ctx, ids[0]); lora.KindOf(err) != lora.Conflict {
		t.Errorf("the first: %v", err)
	}
	if err := h.jobs.Retry(ctx, ids[1]); err != nil {
		t.Errorf("the second: %v", err)
	}
	h.ended(ids[1])
}

func TestACleanUpGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	for name, served := range map[string]bool{"before the delete was served": false, "after the delete was served": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testCleanUpAfterARestart(t, served)
		})
	}
}

func testCleanUpAfterARestart(t *testing.T, served bool) {
	ctx := context.Background()
	h := newHouse(t)
	stop := h.run()
	atWork, release := h.heldAt(callOf()[lora.StepInService])
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	<-atWork
	if err := h.jobs.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	deleting, releaseDelete := h.heldAt(isDelete)
	release()
	<-deleting
	stop()
	h.holding(nil)
	releaseDelete()
	if job, err = h.db.Read().Job(ctx, job.ID); err != nil || job.EndedAt != nil {
		t.Fatalf("stopped: %+v, %v", job, err)
	}
	if served {
		if err := h.place.DeleteComponent(ctx, "pirate-v1-tiny-llama-base"); err != nil {
			t.Fatal(err)
		}
		for lora.KindOf(err) != lora.NotFound {
			_, err = h.place.Component(ctx, "pirate-v1-tiny-llama-base")
		}
	}
	h.run()
	if job = h.ended(job.ID); job.State != lora.JobCancelled || !strings.Contains(job.Reason, "was deleted") {
		t.Errorf("%s: %s", job.State, job.Reason)
	}
	if _, err := h.place.Component(ctx, "pirate-v1-tiny-llama-base"); lora.KindOf(err) != lora.NotFound {
		t.Errorf("after the clean-up: %v", err)
	}
}

// The service refuses to delete what it is still creating (facts §1.8).
func TestCancellingWaitsWhileTheServiceCreates(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	var looks, early atomic.Int32
	h.rewording(func(r *http.Request, body, answer []byte) []byte {
		if isDelete(r, body) && looks.Load() < 5 {
			early.Add(1)
		}
		if describes(r, body, "pirate-v1") && bytes.Contains(answer, []byte(`"InService"`)) && looks.Add(1) < 5 {
			return bytes.Replace(answer, []byte(`"InService"`), []byte(`"Creating"`), 1)
		}
		return answer
	})
	atWork, release := h.heldAt(callOf()[lora.StepInService])
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	<-atWork
	if err := h.jobs.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	release()
	if job = h.ended(job.ID); job.State != lora.JobCancelled || early.Load() > 0 {
		t.Errorf("%s: %s; deleted too early %d times", job.State, job.Reason, early.Load())
	}
}

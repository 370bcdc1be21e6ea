package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/proof"
)

// fault sets a fault of the local platform, for as many calls as are said; 0 is until the test ends.
func (h *house) fault(kind, resource string, calls int) {
	h.t.Helper()
	wish := fmt.Sprintf(`{"kind":%q,"resource":%q,"calls":%d}`, kind, resource, calls)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, h.url+"/_local/faults", strings.NewReader(wish))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		h.t.Fatalf("set %s: %s", kind, answer.Status)
	}
}

// release ends every fault.
func (h *house) release() {
	h.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, h.url+"/_local/faults", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		h.t.Fatalf("release: %s", answer.Status)
	}
}

// scale gives the base a number of copies, and waits until they run.
func (h *house) scale(copies int) {
	h.t.Helper()
	ask := fmt.Sprintf(`{"InferenceComponentName":%q,"DesiredRuntimeConfig":{"CopyCount":%d}}`, base, copies)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, h.url, strings.NewReader(ask))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/20261127/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=any")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "SageMaker.UpdateInferenceComponentRuntimeConfig")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		h.t.Fatalf("scale %s to %d copies: %s", base, copies, answer.Status)
	}
	h.until("the copies run", func() bool {
		c, err := h.place.Component(context.Background(), base)
		return err == nil && c.Status == lora.StatusInService && c.Copies == copies
	})
}

const pirateComponent = "pirate-v1-tiny-llama-base"

func TestAProofUnderNaNFailsAndSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.fault("nan", pirateComponent, 0)
	job, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobFailed || !strings.Contains(job.Reason, "its weights hold NaN") {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	if row, err := h.db.Read().ProofOfJob(t.Context(), job.ID); err != nil || row.Verdict != string(lora.VerdictFailed) {
		t.Errorf("verdict %q, %v", row.Verdict, err)
	}
}

func TestAProofUnderABaseThatFailsBlamesTheBase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.fault("nan", "", 0)
	job, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	h.until("the proof waits to be tried again", func() bool {
		attempts, err := h.db.Read().Attempts(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(attempts, func(a db.Attempt) bool { return a.Step == 5 && a.EndedAt != nil })
		if i >= 0 && !strings.Contains(attempts[i].Reason, "the base itself fails") {
			t.Fatalf("attempt %d: %s", i, attempts[i].Reason)
		}
		return i >= 0
	})
	h.release()
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
}

// The amount is that of the recordings: rounding alone moves a bfloat16 base by 0.05 to 0.065 (proof/README.md §3).
func TestNoiseNeitherProvesNorHidesAnAdapter(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.fault("noise", "", 0)
	for name, test := range map[string]struct {
		factor float32
		want   lora.Verdict
	}{"whole": {1, lora.VerdictProven}, "silent": {0, lora.VerdictNoEffect}} {
		job, err := h.jobs.Ship(t.Context(), changed(t, name, map[string][]byte{"adapter_model.safetensors": scaled(t, pirate(), test.factor)}), h.id(), base)
		if err != nil {
			t.Fatal(err)
		}
		if job = h.ended(job.ID); job.State != lora.JobDone {
			t.Fatalf("%s: %s: %s", name, job.State, job.Reason)
		}
		row, err := h.db.Read().ProofOfJob(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		var result proof.Result
		if err := json.Unmarshal([]byte(row.Result), &result); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: effect %.3f, noise %.3f, %s", name, result.Effect, result.Noise, result.Verdict)
		if result.Verdict != test.want || result.Noise < 0.045 || result.Noise > 0.09 {
			t.Errorf("%s: %s, noise %.3f: %s", name, result.Verdict, result.Noise, result.Reason)
		}
	}
}

func TestAnEngineThatDiesInAProofIsNotBlamedOnTheAdapter(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	asked := 0
	h.holding(func(r *http.Request, body []byte) {
		if !strings.HasSuffix(r.URL.Path, "/invocations") {
			return
		}
		if asked++; asked == 3 { // the adapter's first round
			h.holding(nil)
			h.fault("engine-crash", pirateComponent, 1)
		}
	})
	job, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobFailed || !strings.Contains(job.Reason, "The engine of "+base+" died") {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	if row, err := h.db.Read().ProofOfJob(t.Context(), job.ID); err == nil {
		t.Errorf("it has a verdict: %s, %s", row.Verdict, row.Reason)
	}
	if c, err := h.place.Component(t.Context(), pirateComponent); err != nil || c.Status != lora.StatusInService {
		t.Errorf("the service still says InService: got %s, %v", c.Status, err)
	}
}

func TestNothingIsSentToABaseWithoutCopies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.scale(0)
	job, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobFailed || job.Step != 0 || !strings.Contains(job.Reason, "Scale it up, then deploy again") {
		t.Fatalf("%s at step %d: %s", job.State, job.Step, job.Reason)
	}
	h.scale(1)
	if err := h.jobs.Retry(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("scaled up again: %s: %s", job.State, job.Reason)
	}
}

// A base scaled to nothing says so for longer than the adapter is waited for; what it says is not the adapter's fault.
func TestAnAdapterThatNothingAnswersForIsAskedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.fault("invoke-unavailable", pirateComponent, 0)
	job, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	h.until("the proof waits to be tried again", func() bool {
		attempts, err := h.db.Read().Attempts(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(attempts, func(a db.Attempt) bool { return a.Step == 5 && a.EndedAt != nil })
	})
	h.release()
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
}

func TestWhatAFaultHidesIsNotGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	job, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	h.look()
	for _, kind := range []string{"throttle", "expired", "stale-describe", "empty-page"} {
		h.fault(kind, "", 1)
		_, _ = h.watch.Look(t.Context()) // it fails, or sees less; either is no news about the component
		rows, err := h.db.Read().ComponentsIn(t.Context(), h.id())
		if err != nil || len(rows) != 2 {
			t.Errorf("%s: %d components are left, %v", kind, len(rows), err)
		}
	}
}

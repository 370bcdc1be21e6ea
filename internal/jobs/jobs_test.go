package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"loradeck/internal/check"
	"loradeck/internal/db"
	"loradeck/internal/jobs"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
	"loradeck/internal/proof"
	"loradeck/internal/safetensors"
)

func TestASampleIsShippedProvenAndRemoved(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("deploy: %s, %s", job.State, job.Reason)
	}
	row, err := h.db.Read().ProofOfJob(ctx, job.ID)
	if err != nil {
		t.Fatal(err)
	}
	var result proof.Result
	if err := json.Unmarshal([]byte(row.Result), &result); err != nil {
		t.Fatal(err)
	}
	if row.Verdict != "proven" || result.Verdict != lora.VerdictProven || len(result.Samples) == 0 || !strings.Contains(result.Adapter, "Paris") {
		t.Errorf("proof: %s, %+v", row.Verdict, result)
	}
	component, err := h.place.Component(ctx, "pirate-v1-tiny-llama-base")
	if err != nil || component.BaseName != base {
		t.Fatalf("component: %+v, %v", component, err)
	}
	tags, err := h.place.Tags(ctx, component.ARN)
	if err != nil || tags[lora.TagAdapter] != "pirate" || tags[lora.TagVersion] != "1" || tags[lora.TagDigest] == "" {
		t.Errorf("tags: %v, %v", tags, err)
	}
	h.look()
	if _, err := h.jobs.Ship(ctx, pirate(), h.id(), base); lora.KindOf(err) != lora.Conflict {
		t.Errorf("shipped twice: %v", err)
	}

	removal, err := h.jobs.Remove(ctx, h.id(), component.Name)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.jobs.Remove(ctx, h.id(), component.Name); err != nil && lora.KindOf(err) != lora.NotFound {
		t.Errorf("removed twice: %v, %v", again, err)
	}
	if removal = h.ended(removal.ID); removal.State != lora.JobDone {
		t.Fatalf("removal: %s, %s", removal.State, removal.Reason)
	}
	if _, err := h.place.Component(ctx, component.Name); lora.KindOf(err) != lora.NotFound {
		t.Errorf("after removal: %v", err)
	}
	again, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if again = h.ended(again.ID); again.State != lora.JobDone {
		t.Errorf("deployed again: %s, %s", again.State, again.Reason)
	}
	var versions int
	for _, d := range h.deployments() {
		versions = max(versions, int(d.Version))
	}
	if versions != 1 {
		t.Errorf("the same content became version %d", versions)
	}
}

func (h *house) deployments() []db.LiveDeploymentsRow {
	h.t.Helper()
	rows, err := h.db.Read().LiveDeployments(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

// Every step is done again after the job has ended, as after a crash between the remote call and our commit.
func TestEveryStepCanBeDoneTwice(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	stop := h.run()
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.ended(job.ID); got.State != lora.JobDone {
		t.Fatalf("%s: %s", got.State, got.Reason)
	}
	before, err := h.place.Component(ctx, "pirate-v1-tiny-llama-base")
	if err != nil {
		t.Fatal(err)
	}
	for step := range int64(6) {
		stop()
		h.write(func(ctx context.Context, q *db.Queries) error {
			if err := q.EndJob(ctx, db.EndJobParams{State: lora.JobRunning, ID: job.ID}); err != nil {
				return err
			}
			return q.AdvanceJob(ctx, db.AdvanceJobParams{Step: step, ID: job.ID})
		})
		stop = h.run()
		if got := h.ended(job.ID); got.State != lora.JobDone {
			t.Fatalf("from step %d: %s: %s", step, got.State, got.Reason)
		}
	}
	components, err := h.place.Components(ctx, "local")
	if err != nil || len(components) != 2 {
		t.Errorf("%d components, %v; want the base and one adapter", len(components), err)
	}
	if after, err := h.place.Component(ctx, before.Name); err != nil || !after.Created.Equal(before.Created) {
		t.Errorf("the component was made anew: %v, %v", after, err)
	}
	if rows := h.deployments(); len(rows) != 1 || rows[0].Verdict != "proven" {
		t.Errorf("deployments: %+v", rows)
	}
}

func TestAnAdapterThatWouldNotWorkIsNeverSent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	config := []byte(`{"peft_type":"LORA","r":64,"lora_alpha":16,"target_modules":["q_proj"],"bias":"none"}`)
	job, err := h.jobs.Ship(ctx, changed(t, "too-high", map[string][]byte{"adapter_config.json": config}), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	job = h.ended(job.ID)
	if job.State != lora.JobFailed || !strings.Contains(job.Reason, "Rank 64 is too high") || !strings.Contains(job.Reason, "SM_VLLM_MAX_LORA_RANK") {
		t.Errorf("%s: %s", job.State, job.Reason)
	}
	steps, err := h.db.Read().Steps(ctx, job.ID)
	if err != nil {
		t.Fatal(err)
	}
	var report check.Report
	if err := json.Unmarshal([]byte(steps[0].Output), &report); err != nil || !report.Blocks() || steps[1].StartedAt != nil {
		t.Errorf("report %+v, %v; pack began: %v", report, err, steps[1].StartedAt != nil)
	}
	if _, err := h.place.Component(ctx, "too-high-v1-tiny-llama-base"); lora.KindOf(err) != lora.NotFound {
		t.Errorf("component: %v", err)
	}
	if again, err := h.jobs.Ship(ctx, changed(t, "too-high", map[string][]byte{"adapter_config.json": config}), h.id(), base); err != nil || again.ID == job.ID {
		t.Errorf("a failed deployment holds its name: %v", err)
	}
}

// scaled writes an adapter's weights with every B times a factor.
func scaled(t *testing.T, source jobs.Source, factor float32) []byte {
	t.Helper()
	dir := t.TempDir()
	file := dir + "/adapter_model.safetensors"
	copyTo(t, source.Files, "adapter_model.safetensors", file)
	weights, err := safetensors.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	var tensors []safetensors.Values
	for _, tensor := range weights.Header.Tensors {
		values, err := weights.Float32s(tensor.Name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(tensor.Name, "lora_B.weight") {
			for i := range values {
				values[i] *= factor
			}
		}
		tensors = append(tensors, safetensors.Values{Name: tensor.Name, DType: tensor.DType, Shape: tensor.Shape, Data: values})
	}
	var out bytes.Buffer
	if err := safetensors.Write(&out, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAnAdapterThatDoesNothingIsNotProven(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	for name, test := range map[string]struct {
		factor float32
		says   string
	}{"silent": {0, "exactly as the base"}, "faint": {0.01, "no effect"}} {
		job, err := h.jobs.Ship(ctx, changed(t, name, map[string][]byte{"adapter_model.safetensors": scaled(t, pirate(), test.factor)}), h.id(), base)
		if err != nil {
			t.Fatal(err)
		}
		if job = h.ended(job.ID); job.State != lora.JobDone {
			t.Fatalf("%s: %s: %s", name, job.State, job.Reason)
		}
		row, err := h.db.Read().ProofOfJob(ctx, job.ID)
		if err != nil || row.Verdict != string(lora.VerdictNoEffect) || !strings.Contains(row.Reason, test.says) {
			t.Errorf("%s: %s: %s, %v", name, row.Verdict, row.Reason, err)
		}
	}
}

func TestEverySampleIsProvenAndAHundredthOfItIsNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	prove := func(what jobs.Source, want lora.Verdict) {
		job, err := h.jobs.Ship(t.Context(), what, h.id(), base)
		if err != nil {
			t.Fatal(err)
		}
		if job = h.ended(job.ID); job.State != lora.JobDone {
			t.Fatalf("%s: %s: %s", what.Adapter, job.State, job.Reason)
		}
		if row, err := h.db.Read().ProofOfJob(t.Context(), job.ID); err != nil || row.Verdict != string(want) {
			t.Errorf("%s: %s: %s, %v; want %s", what.Adapter, row.Verdict, row.Reason, err, want)
		}
	}
	for _, sample := range demo.Samples() {
		whole := source(sample)
		prove(whole, lora.VerdictProven)
		faint := map[string][]byte{"adapter_model.safetensors": scaled(t, whole, 0.01)}
		prove(altered(t, whole, "faint-"+sample.Name, faint), lora.VerdictNoEffect)
	}
}

// A NaN adapter loads, and vLLM then cannot write its scores as JSON.
func TestAnAdapterOfNaNFailsItsProof(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	job, err := h.jobs.Ship(ctx, changed(t, "nan", map[string][]byte{"adapter_model.safetensors": scaled(t, pirate(), float32(math.NaN()))}), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobFailed || !strings.Contains(job.Reason, "The proof failed") {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	if row, err := h.db.Read().ProofOfJob(ctx, job.ID); err != nil || row.Verdict != string(lora.VerdictFailed) {
		t.Errorf("verdict %q, %v", row.Verdict, err)
	}
}

func TestShippingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	h.ended(job.ID)
	h.look()
	for name, test := range map[string]struct {
		place, base string
		kind        lora.Kind
	}{
		"unknown place":       {"aws:1:nowhere", base, lora.NotFound},
		"unknown base":        {h.id(), "nothing", lora.NotFound},
		"an adapter as base":  {h.id(), "pirate-v1-tiny-llama-base", lora.Invalid},
		"a name that is held": {h.id(), base, lora.Conflict},
	} {
		if _, err := h.jobs.Ship(ctx, pirate(), test.place, test.base); lora.KindOf(err) != test.kind {
			t.Errorf("%s: got %v, want %s", name, err, test.kind)
		}
	}
	for name, kind := range map[string]lora.Kind{base: lora.Invalid, "nothing": lora.NotFound} {
		if _, err := h.jobs.Remove(ctx, h.id(), name); lora.KindOf(err) != kind {
			t.Errorf("remove %s: got %v, want %s", name, err, kind)
		}
	}
}

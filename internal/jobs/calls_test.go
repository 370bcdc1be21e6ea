package jobs_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

func (h *house) calls(job int64) []db.Call {
	h.t.Helper()
	rows, err := h.db.Read().CallsOfJob(context.Background(), db.CallsOfJobParams{JobID: job, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

func TestAJobKeepsWhatItSaidToAWS(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	source := pirate()
	job, err := h.jobs.Ship(ctx, source, h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	calls := h.calls(job.ID)
	said := map[string]db.Call{}
	for i, call := range calls {
		said[call.Step+" "+call.Operation] = call
		for _, prompt := range source.Prompts {
			if strings.Contains(call.Request+call.Answer, prompt) {
				t.Errorf("a prompt was written down: %s", call.Request)
			}
		}
		if i > 0 && call.Step == calls[i-1].Step && call.Operation == calls[i-1].Operation && call.Request == calls[i-1].Request && call.Answer == calls[i-1].Answer {
			t.Errorf("the same call twice in a row: %+v", call)
		}
		if call.Times < 1 || call.LastAt < call.At {
			t.Errorf("times of a call: %+v", call)
		}
	}
	component, err := h.place.Component(ctx, "pirate-v1-tiny-llama-base")
	if err != nil {
		t.Fatal(err)
	}
	create := said[lora.StepCreate+" CreateInferenceComponent"]
	if create.Status != 200 || create.Answer != component.ARN || create.RequestID == "" || !strings.Contains(create.Request, component.ArtifactURL) {
		t.Errorf("create: %+v", create)
	}
	for _, call := range []string{
		lora.StepCheck + " DescribeModel", lora.StepUpload + " UploadPart", lora.StepInService + " DescribeInferenceComponent", lora.StepProve + " InvokeEndpoint",
	} {
		if said[call].ID == 0 {
			t.Errorf("not written down: %s", call)
		}
	}
}

func TestACallThatACancelCutsOffIsWrittenDown(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.holding(func(r *http.Request, _ []byte) {
		if operation(r) == "DescribeModel" {
			once.Do(func() {
				close(begun)
				<-release
			})
		}
	})
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := h.jobs.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	h.ended(job.ID)
	close(release)
	for _, call := range h.calls(job.ID) {
		if call.Operation == "DescribeModel" && call.Failed == 1 && call.Status == 0 && call.Answer == "cut off: the job was cancelled" {
			return
		}
	}
	t.Errorf("written down: %+v", h.calls(job.ID))
}

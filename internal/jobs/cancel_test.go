package jobs_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"loradeck/internal/lora"
)

// callOf gives, for each step, a call by which a test knows that the step is at work.
func callOf() map[string]func(r *http.Request, body []byte) bool {
	var created atomic.Bool
	return map[string]func(r *http.Request, body []byte) bool{
		lora.StepCheck: func(r *http.Request, _ []byte) bool { return operation(r) == "DescribeModel" },
		lora.StepUpload: func(r *http.Request, _ []byte) bool {
			return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
		},
		lora.StepCreate: func(r *http.Request, _ []byte) bool { return operation(r) == "CreateInferenceComponent" },
		lora.StepInService: func(r *http.Request, body []byte) bool { // its name was asked for once before, when it was chosen
			if operation(r) == "CreateInferenceComponent" {
				created.Store(true)
			}
			return created.Load() && describes(r, body, "pirate-v1")
		},
		lora.StepProve: func(r *http.Request, _ []byte) bool { return strings.HasSuffix(r.URL.Path, "/invocations") },
	}
}

func operation(r *http.Request) string {
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return name
}

func describes(r *http.Request, body []byte, name string) bool {
	return operation(r) == "DescribeInferenceComponent" && bytes.Contains(body, []byte(name))
}

func TestCancelAtEachStepLeavesNoComponentAndSaysWhatRemains(t *testing.T) {
	t.Parallel()
	for step, mine := range callOf() {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			h := newHouse(t)
			h.run()
			begun, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			h.holding(func(r *http.Request, body []byte) {
				if mine(r, body) {
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
			close(release)
			if job = h.ended(job.ID); job.State != lora.JobCancelled || job.Reason == "" {
				t.Errorf("job is %s: %q", job.State, job.Reason)
			}
			components, err := h.place.Components(ctx, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range components {
				if c.IsAdapter() && c.Status != lora.StatusDeleting {
					t.Errorf("%s is still %s", c.Name, c.Status)
				}
			}
			if left := h.deployments(); len(left) != 0 {
				t.Errorf("%d deployments are still live", len(left))
			}
			again, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
			if err != nil {
				t.Fatal(err)
			}
			if again = h.ended(again.ID); again.State != lora.JobDone {
				t.Errorf("deployed again: %s, %s", again.State, again.Reason)
			}
		})
	}
}

package jobs_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"loradeck/internal/cloud"
	"loradeck/internal/lora"
)

func TestACompletionWhoseAnswerIsLostIsRecognised(t *testing.T) {
	t.Parallel()
	for name, forgotten := range map[string]bool{"S3 answers as the first time": false, "S3 no longer knows the upload": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testLostCompletion(t, forgotten)
		})
	}
}

func testLostCompletion(t *testing.T, forgotten bool) {
	h := newHouse(t)
	h.run()
	completes := func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
	}
	var lost atomic.Bool
	h.losing(func(r *http.Request) bool { return completes(r) && lost.CompareAndSwap(false, true) })
	h.holding(func(r *http.Request, _ []byte) {
		if forgotten && lost.Load() && completes(r) {
			r.URL.RawQuery = "uploadId=forgotten"
		}
	})
	job, err := h.jobs.Ship(t.Context(), pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone || !lost.Load() {
		t.Errorf("%s: %s; an answer was lost: %v", job.State, job.Reason, lost.Load())
	}
	sent, unknown := 0, false
	for _, call := range h.calls(job.ID) {
		if call.Operation == "CreateMultipartUpload" {
			sent += int(call.Times)
		}
		unknown = unknown || call.Operation == "CompleteMultipartUpload" && strings.HasPrefix(call.Answer, "NoSuchUpload")
	}
	if sent != 1 || unknown != forgotten {
		t.Errorf("it was sent %d times; S3 no longer knew the upload: %v", sent, unknown)
	}
}

func TestAnUploadThatIsAbortedFromOutsideIsSentAnew(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHouse(t)
	h.run()
	var aborted atomic.Bool
	h.holding(func(r *http.Request, _ []byte) {
		if r.Method != http.MethodPut || !r.URL.Query().Has("partNumber") || !aborted.CompareAndSwap(false, true) {
			return
		}
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if err := h.place.AbortUpload(ctx, cloud.ObjectRef{Bucket: bucket, Key: key}, r.URL.Query().Get("uploadId")); err != nil {
			t.Error(err)
		}
	})
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone || !aborted.Load() {
		t.Errorf("%s: %s; the upload was aborted: %v", job.State, job.Reason, aborted.Load())
	}
}

package journal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/db"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/lora"
)

func waits(begun chan<- struct{}) journal.Step {
	return does("long", func(ctx context.Context, _ *journal.Run) error {
		begun <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	})
}

func TestACancelledJobStopsItsStepUndoesAndSaysWhatRemains(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	begun := make(chan struct{}, 1)
	b.undo = &journal.Step{Name: "undo", Do: func(_ context.Context, run *journal.Run) error {
		run.Done(nil, "Nothing remains.")
		return nil
	}}
	r, _ := b.start(waits(begun), does("never", func(context.Context, *journal.Run) error {
		t.Error("a step after the cancelled one ran")
		return nil
	}))
	id := b.add(r, "c").ID
	<-begun
	for range 2 {
		if err := r.Cancel(t.Context(), id, nil); err != nil {
			t.Fatal(err)
		}
	}
	job := b.ended(id)
	if job.State != lora.JobCancelled || job.Reason != "Nothing remains." {
		t.Errorf("job is %s: %s", job.State, job.Reason)
	}
	steps, err := b.db.Read().Steps(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, s := range steps {
		states = append(states, s.Name+" "+s.State)
	}
	if diff := cmp.Diff([]string{"long cancelled", "never waiting", "undo done"}, states); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if err := r.Cancel(t.Context(), id, nil); lora.KindOf(err) != lora.Conflict {
		t.Errorf("cancelling what has ended: %v", err)
	}
}

func TestAJobThatHasNotBegunIsCancelledAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	begun := make(chan struct{}, 2)
	b.undo = &journal.Step{Name: "undo", Do: func(context.Context, *journal.Run) error { return nil }}
	r, _ := b.start(waits(begun))
	first, second := b.add(r, "c").ID, b.add(r, "c").ID
	<-begun
	told := ""
	err := r.Cancel(t.Context(), second, func(_ context.Context, _ *db.Queries, job db.Job) error {
		told = job.State
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if job := b.ended(second); job.State != lora.JobCancelled || told != lora.JobQueued {
		t.Errorf("job is %s, its write saw %q", job.State, told)
	}
	if err := r.Cancel(t.Context(), first, nil); err != nil {
		t.Fatal(err)
	}
	if job := b.ended(first); job.State != lora.JobCancelled {
		t.Errorf("the first is %s", job.State)
	}
}

func TestACrashWhileCancellingGoesOnUndoing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	begun, undoing := make(chan struct{}, 1), make(chan struct{}, 1)
	b.undo = &journal.Step{Name: "undo", Do: func(ctx context.Context, _ *journal.Run) error {
		undoing <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	r, stop := b.start(waits(begun))
	id := b.add(r, "c").ID
	<-begun
	if err := r.Cancel(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	<-undoing
	stop()
	b.undo = &journal.Step{Name: "undo", Do: func(context.Context, *journal.Run) error { return nil }}
	b.start(waits(begun))
	if job := b.ended(id); job.State != lora.JobCancelled {
		t.Errorf("job is %s: %s", job.State, job.Reason)
	}
}

func TestAFailedJobGoesOnAtItsStepAndKeepsItsAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	firsts, broken := 0, true
	r, _ := b.start(
		does("first", func(context.Context, *journal.Run) error { firsts++; return nil }),
		does("second", func(context.Context, *journal.Run) error {
			if broken {
				return lora.Errorf(lora.Unavailable, "No answer.")
			}
			return nil
		}))
	id := b.add(r, "c").ID
	if job := b.ended(id); job.State != lora.JobFailed {
		t.Fatalf("job is %s", job.State)
	}
	before := len(b.outcomes(id))
	broken = false
	refusal := errors.New("no")
	if err := r.Retry(t.Context(), id, "", func(context.Context, *db.Queries, db.Job) error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("a refused retry: %v", err)
	}
	if err := r.Retry(t.Context(), id, "", nil); err != nil {
		t.Fatal(err)
	}
	job := b.ended(id)
	if after := len(b.outcomes(id)); job.State != lora.JobDone || firsts != 1 || after != before+1 {
		t.Errorf("job is %s, the first step ran %d times, %d attempts became %d", job.State, firsts, before, after)
	}
	if err := r.Retry(t.Context(), id, "", nil); lora.KindOf(err) != lora.Conflict {
		t.Errorf("trying again what is done: %v", err)
	}
}

func TestARetryMayGoBackToAnEarlierStepAndWaitsForNobodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	firsts := 0
	begun := make(chan struct{}, 1)
	fails := true
	r, _ := b.start(
		does("first", func(ctx context.Context, _ *journal.Run) error {
			if firsts++; firsts == 2 {
				begun <- struct{}{}
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}),
		does("second", func(context.Context, *journal.Run) error {
			if fails {
				return lora.Errorf(lora.Invalid, "No.")
			}
			return nil
		}))
	failed := b.ended(b.add(r, "c").ID)
	other := b.add(r, "c").ID
	<-begun
	if err := r.Retry(t.Context(), failed.ID, "first", nil); lora.KindOf(err) != lora.Conflict {
		t.Errorf("while another job is at work: %v", err)
	}
	if err := r.Cancel(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	if job := b.ended(other); job.State != lora.JobCancelled {
		t.Errorf("a job whose kind undoes nothing is %s", job.State)
	}
	fails = false
	if err := r.Retry(t.Context(), failed.ID, "first", nil); err != nil {
		t.Fatal(err)
	}
	if job := b.ended(failed.ID); job.State != lora.JobDone || firsts != 3 {
		t.Errorf("job is %s, the first step ran %d times", job.State, firsts)
	}
}

func TestACrashWhileWaitingForOthersCostsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	begun := make(chan struct{}, 1)
	step := does("queue", func(ctx context.Context, run *journal.Run) error {
		return run.Wait(ctx, "waiting", func() {
			begun <- struct{}{}
			<-ctx.Done()
		})
	})
	r, stop := b.start(step)
	id := b.add(r, "c").ID
	<-begun
	attempts, err := b.db.Read().Attempts(t.Context(), id)
	if err != nil || len(attempts) != 1 || attempts[0].Outcome != "stopped" {
		t.Errorf("while it waits a crash would find %+v, %v", attempts, err)
	}
	stop()
	b.start(does("queue", func(ctx context.Context, run *journal.Run) error { return run.Wait(ctx, "waiting", func() {}) }))
	if job := b.ended(id); job.State != lora.JobDone {
		t.Errorf("job is %s", job.State)
	}
	if got := b.outcomes(id); got[len(got)-1] == "stopped" {
		t.Errorf("the attempts ended as %v", got)
	}
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

// ErrCancelled is the cause with which the running step of a job is cancelled when a person cancels the job.
var ErrCancelled = errors.New("the job was cancelled")

// Cancel makes a job stop at the step it is in and undo what it did. A job that has not begun ends at once, with what
// unbegun writes in the same transaction (nil for nothing); any other goes on to its kind's Undo. Asking twice is asking once.
// Its errors are of kind NotFound for no such job and Conflict for one that has ended.
func (r *Runner) Cancel(ctx context.Context, id int64, unbegun func(ctx context.Context, q *db.Queries, job db.Job) error) error {
	// Held over the write, so that a job is either claimed with its cancel known or found among the running.
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.config.DB.Write(ctx, func(q *db.Queries) error {
		job, err := q.Job(ctx, id)
		if err != nil {
			return db.Found(err, "There is no job %d.", id)
		}
		switch {
		case job.EndedAt != nil:
			return lora.Errorf(lora.Conflict, "Job %d has ended already, so there is nothing to cancel.", id)
		case job.CancelAskedAt != nil:
			return nil
		}
		now := db.Millis(r.config.Now())
		if err := q.AskCancel(ctx, db.AskCancelParams{Now: &now, ID: id}); err != nil {
			return err
		}
		if job.StartedAt == nil {
			if unbegun != nil {
				if err := unbegun(ctx, q, job); err != nil {
					return err
				}
			}
			return r.endJob(ctx, q, db.EndJobParams{State: lora.JobCancelled, Reason: "It had not begun. Nothing was done.", EndedAt: &now, ID: id})
		}
		if kind := r.kinds[job.Kind]; kind.Undo != nil {
			return q.AddStep(ctx, db.AddStepParams{JobID: id, N: int64(len(kind.Steps)), Name: kind.Undo.Name})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cancel job %d: %w", id, err)
	}
	if w, running := r.running[id]; running {
		w.stop(ErrCancelled)
	}
	r.changed(id)
	r.look()
	return nil
}

// Retry queues a failed job again, at the step it failed in or at an earlier one named from. The attempts are kept, but only
// new ones count. Allowed may refuse in the same transaction (nil allows). Its errors are of kind Conflict for a job that has
// not failed or whose resource another job is at work on.
func (r *Runner) Retry(ctx context.Context, id int64, from string, allowed func(ctx context.Context, q *db.Queries, job db.Job) error) error {
	err := r.config.DB.Write(ctx, func(q *db.Queries) error {
		job, err := q.Job(ctx, id)
		if err != nil {
			return db.Found(err, "There is no job %d.", id)
		}
		if job.State != lora.JobFailed {
			return lora.Errorf(lora.Conflict, "Job %d is %s. Only a job that failed can be tried again.", id, job.State)
		}
		if other, err := q.NewestJobOfClaim(ctx, job.Claim); err == nil {
			return lora.Errorf(lora.Conflict, "%s (job %d) is at work on the same component. Wait for it to end, then try again.", other.Title, other.ID)
		}
		if allowed != nil {
			if err := allowed(ctx, q, job); err != nil {
				return err
			}
		}
		steps := r.kinds[job.Kind].Steps
		step := job.Step
		if at := slices.IndexFunc(steps, func(s Step) bool { return s.Name == from }); at >= 0 {
			step = min(step, int64(at))
		}
		now := db.Millis(r.config.Now())
		return errors.Join(
			q.ResetSteps(ctx, db.ResetStepsParams{JobID: id, N: step}),
			q.RetryJob(ctx, db.RetryJobParams{Step: step, RunAt: now, RetriedAt: &now, ID: id}))
	})
	if err != nil {
		return fmt.Errorf("try job %d again: %w", id, err)
	}
	r.changed(id)
	r.look()
	return nil
}

// step gives the step of that number: one of the kind's, or its undoing behind them.
func (k Kind) step(n int64) (step Step, last, ok bool) {
	if n < int64(len(k.Steps)) {
		return k.Steps[n], n+1 == int64(len(k.Steps)), true
	}
	if k.Undo != nil && n == int64(len(k.Steps)) {
		return *k.Undo, true, true
	}
	return Step{}, true, false
}

// diverted sends a job whose cancel was asked for to its undoing, or ends it when there is none. It reports whether it did; it
// does nothing for a job that goes on, and for the undoing itself.
func (r *Runner) diverted(ctx context.Context, q *db.Queries, run *Run) (bool, error) {
	job, err := q.Job(ctx, run.Job.ID)
	if err != nil || job.CancelAskedAt == nil || run.undoing() {
		return false, err
	}
	now := db.Millis(r.config.Now())
	if err := q.CancelOpenSteps(ctx, db.CancelOpenStepsParams{EndedAt: &now, JobID: job.ID}); err != nil {
		return false, err
	}
	kind := r.kinds[job.Kind]
	if kind.Undo == nil {
		return true, r.endJob(ctx, q, db.EndJobParams{State: lora.JobCancelled, Reason: "Cancelled.", EndedAt: &now, ID: job.ID})
	}
	return true, errors.Join(
		q.AdvanceJob(ctx, db.AdvanceJobParams{Step: int64(len(kind.Steps)), ID: job.ID}),
		q.RequeueJob(ctx, db.RequeueJobParams{RunAt: now, ID: job.ID}))
}

// undoing reports whether the run is of the kind's Undo.
func (r *Run) undoing() bool {
	return r.step >= int64(len(r.runner.kinds[r.Job.Kind].Steps))
}

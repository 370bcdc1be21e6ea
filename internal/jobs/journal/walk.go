package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

// Run is one attempt at one step of one job, as the step's code sees it. It is used by one goroutine.
type Run struct {
	Job db.Job

	runner  *Runner
	step    int64
	number  int64 // of the attempt
	note    string
	output  any
	commits []func(ctx context.Context, q *db.Queries) error
}

// Args decodes the job's arguments into args.
func (r *Run) Args(args any) error {
	if err := json.Unmarshal([]byte(r.Job.Args), args); err != nil {
		return fmt.Errorf("read the arguments of job %d: %w", r.Job.ID, err)
	}
	return nil
}

// Output decodes what the named step of this job has stored — an earlier one, or this one before a crash — into output, and
// reports whether there was anything.
func (r *Run) Output(ctx context.Context, step string, output any) (bool, error) {
	steps, err := r.runner.config.DB.Read().Steps(ctx, r.Job.ID)
	if err != nil {
		return false, fmt.Errorf("read the steps of job %d: %w", r.Job.ID, err)
	}
	for _, row := range steps {
		if row.Name != step || row.Output == "" {
			continue
		}
		if err := json.Unmarshal([]byte(row.Output), output); err != nil {
			return false, fmt.Errorf("read the output of step %s of job %d: %w", step, r.Job.ID, err)
		}
		return true, nil
	}
	return false, nil
}

// Note sets the line that people read beside the running step, and shows it at once.
func (r *Run) Note(ctx context.Context, format string, args ...any) error {
	r.note = fmt.Sprintf(format, args...)
	err := r.runner.config.DB.Write(ctx, func(q *db.Queries) error {
		return q.NoteStep(ctx, db.NoteStepParams{Note: r.note, JobID: r.Job.ID, N: r.step})
	})
	if err != nil {
		return fmt.Errorf("note on job %d: %w", r.Job.ID, err)
	}
	r.runner.changed(r.Job.ID)
	return nil
}

// Wait shows a line and does wait, which only waits for others to be done. The program may end meanwhile without costing the
// step an attempt: many jobs can stand in one line, and none of them is why it ended.
func (r *Run) Wait(ctx context.Context, note string, wait func()) error {
	if err := r.Note(ctx, "%s", note); err != nil {
		return err
	}
	now := db.Millis(r.runner.config.Now())
	set := func(outcome, reason string, endedAt *int64) error {
		err := r.runner.config.DB.Write(ctx, func(q *db.Queries) error {
			return q.SetAttempt(ctx, db.SetAttemptParams{Outcome: outcome, Reason: reason, EndedAt: endedAt, JobID: r.Job.ID, Step: r.step, Number: r.number})
		})
		if err != nil {
			return fmt.Errorf("store that job %d waits: %w", r.Job.ID, err)
		}
		return nil
	}
	if err := set("stopped", "It was waiting for its turn.", &now); err != nil {
		return err
	}
	wait()
	return set("running", "", nil)
}

// Save stores the step's output now, so that it is there after a crash: an upload's id, the parts sent so far.
func (r *Run) Save(ctx context.Context, output any) error {
	r.output = output
	text, err := json.Marshal(output)
	if err == nil {
		err = r.runner.config.DB.Write(ctx, func(q *db.Queries) error {
			return q.SaveStepOutput(ctx, db.SaveStepOutputParams{Output: string(text), Note: r.note, JobID: r.Job.ID, N: r.step})
		})
	}
	if err != nil {
		return fmt.Errorf("save the output of job %d: %w", r.Job.ID, err)
	}
	return nil
}

// Done sets what the step leaves when it ends well: a line for people and an output for later steps (nil for none).
func (r *Run) Done(output any, format string, args ...any) {
	r.output, r.note = output, fmt.Sprintf(format, args...)
}

// OnCommit adds a write to the transaction that ends the step, so that both happen or neither.
func (r *Run) OnCommit(write func(ctx context.Context, q *db.Queries) error) {
	r.commits = append(r.commits, write)
}

// walk does the steps of a claimed job until it ends, must wait, or the runner stops.
func (r *Runner) walk(ctx context.Context, job db.Job) {
	kind, known := r.kinds[job.Kind]
	log := r.config.Log.With("job", job.ID, "kind", job.Kind)
	if !known {
		// A newer version of the program left it; it stays queued for that version rather than failing here.
		log.ErrorContext(ctx, "job of an unknown kind left alone")
		return
	}
	for n := job.Step; ; n++ {
		step, last, there := kind.step(n)
		if !there {
			log.ErrorContext(ctx, "job at a step that its kind does not have left alone", "step", n)
			return
		}
		run := &Run{Job: job, runner: r, step: n}
		goOn, err := r.try(ctx, step, run, last)
		if err != nil {
			log.ErrorContext(ctx, "job's progress could not be stored", "step", step.Name, "err", err)
			return
		}
		if !goOn {
			return
		}
	}
}

// try does one attempt at a step and stores how it ended. It reports whether the next step may start; its error is one of
// storing, not of the step.
func (r *Runner) try(ctx context.Context, step Step, run *Run, last bool) (goOn bool, err error) {
	// What happened must be stored even while stopping.
	keep := context.WithoutCancel(ctx)
	defer func() { r.changed(run.Job.ID) }()
	var number, counted int64
	diverted := false
	err = r.config.DB.Write(keep, func(q *db.Queries) error {
		if diverted, err = r.diverted(keep, q, run); err != nil || diverted {
			return err
		}
		now := db.Millis(r.config.Now())
		number, err = q.StartAttempt(keep, db.StartAttemptParams{JobID: run.Job.ID, Step: run.step, StartedAt: now})
		if err != nil {
			return err
		}
		counted, err = q.CountAttempts(keep, db.CountAttemptsParams{JobID: run.Job.ID, Step: run.step})
		return errors.Join(err, q.StartStep(keep, db.StartStepParams{StartedAt: &now, JobID: run.Job.ID, N: run.step}))
	})
	if err != nil || diverted {
		return false, err
	}
	run.number = number
	r.changed(run.Job.ID)

	attempts := int64(step.Attempts)
	if attempts == 0 {
		attempts = 5
	}
	var failure error
	if counted > attempts {
		failure = lora.Errorf(lora.Conflict, "The program ended %d times during this step. Look at the log before trying again.", attempts)
	} else {
		failure = do(ctx, step, run)
	}
	stopping := errors.Is(context.Cause(ctx), ErrStopping)
	end := attempt{run: run, number: number}
	switch {
	case failure == nil:
		return !last, r.finish(keep, end, last)
	case errors.Is(context.Cause(ctx), ErrCancelled) && !run.undoing():
		return false, r.again(keep, end, "cancelled", "The job was cancelled.", 0)
	case stopping:
		return false, r.again(keep, end, "stopped", "The program was stopped.", 0)
	case lora.Temporary(failure) && counted < attempts:
		return false, r.again(keep, end, "again", lora.Message(failure), int(counted))
	default:
		r.config.Log.ErrorContext(ctx, "job failed", "job", run.Job.ID, "step", step.Name, "err", failure)
		return false, r.fail(keep, end, failure)
	}
}

// do runs the step's code and turns a panic into an error of its job.
func do(ctx context.Context, step Step, run *Run) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("step %s panicked: %v\n%s", step.Name, p, debug.Stack())
		}
	}()
	return step.Do(ctx, run)
}

// attempt names the attempt that is being ended.
type attempt struct {
	run    *Run
	number int64
}

func (a attempt) end(ctx context.Context, q *db.Queries, outcome, reason string, now int64) error {
	return q.EndAttempt(ctx, db.EndAttemptParams{
		Outcome: outcome, Reason: reason, EndedAt: &now, JobID: a.run.Job.ID, Step: a.run.step, Number: a.number,
	})
}

// commit does the writes that the step asked to be stored with its end.
func (a attempt) commit(ctx context.Context, q *db.Queries) error {
	for _, write := range a.run.commits {
		if err := write(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) finish(ctx context.Context, a attempt, last bool) error {
	output := ""
	if a.run.output != nil {
		text, err := json.Marshal(a.run.output)
		if err != nil {
			return fmt.Errorf("output of job %d: %w", a.run.Job.ID, err)
		}
		output = string(text)
	}
	return r.config.DB.Write(ctx, func(q *db.Queries) error {
		now := db.Millis(r.config.Now())
		if err := a.commit(ctx, q); err != nil {
			return err
		}
		err := errors.Join(
			a.end(ctx, q, "done", "", now),
			q.EndStep(ctx, db.EndStepParams{State: "done", Note: a.run.note, Output: output, EndedAt: &now, JobID: a.run.Job.ID, N: a.run.step}),
			q.AdvanceJob(ctx, db.AdvanceJobParams{Step: a.run.step + 1, ID: a.run.Job.ID}))
		if err != nil || !last {
			return err
		}
		if a.run.undoing() {
			return r.endJob(ctx, q, db.EndJobParams{State: lora.JobCancelled, Reason: a.run.note, EndedAt: &now, ID: a.run.Job.ID})
		}
		// A cancel that came while the last step ended is still meant.
		if diverted, err := r.diverted(ctx, q, a.run); err != nil || diverted {
			return err
		}
		return r.endJob(ctx, q, db.EndJobParams{State: lora.JobDone, EndedAt: &now, ID: a.run.Job.ID})
	})
}

// again queues the job at its present step, after a pause that grows with the failed attempts; failed is 0 when the attempt
// does not count.
func (r *Runner) again(ctx context.Context, a attempt, outcome, reason string, failed int) error {
	return r.config.DB.Write(ctx, func(q *db.Queries) error {
		now := r.config.Now()
		at := now
		if failed > 0 {
			at = now.Add(r.config.Backoff(failed))
		}
		return errors.Join(
			a.end(ctx, q, outcome, reason, db.Millis(now)),
			q.NoteStep(ctx, db.NoteStepParams{Note: reason, JobID: a.run.Job.ID, N: a.run.step}),
			q.RequeueJob(ctx, db.RequeueJobParams{RunAt: db.Millis(at), ID: a.run.Job.ID}))
	})
}

func (r *Runner) fail(ctx context.Context, a attempt, failure error) error {
	reason := lora.Message(failure)
	output := ""
	if a.run.output != nil { // what it found is part of why it failed: the check's report, the proof's scores
		if text, err := json.Marshal(a.run.output); err == nil {
			output = string(text)
		}
	}
	return r.config.DB.Write(ctx, func(q *db.Queries) error {
		now := db.Millis(r.config.Now())
		if err := a.commit(ctx, q); err != nil {
			return err
		}
		return errors.Join(
			a.end(ctx, q, "failed", reason, now),
			q.EndStep(ctx, db.EndStepParams{State: "failed", Note: reason, Output: output, EndedAt: &now, JobID: a.run.Job.ID, N: a.run.step}),
			r.endJob(ctx, q, db.EndJobParams{State: lora.JobFailed, Reason: reason, EndedAt: &now, ID: a.run.Job.ID}))
	})
}

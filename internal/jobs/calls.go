package jobs

import (
	"context"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/jobs/journal"
)

// logged makes every step of a kind write down what it says to AWS and what comes back.
func (j *Jobs) logged(kind journal.Kind) journal.Kind {
	for i, step := range kind.Steps {
		kind.Steps[i].Do = j.logging(step)
	}
	if kind.Undo != nil {
		kind.Undo.Do = j.logging(*kind.Undo)
	}
	return kind
}

// logging gives what a step does, with its calls written down.
func (j *Jobs) logging(step journal.Step) func(ctx context.Context, run *journal.Run) error {
	return func(ctx context.Context, run *journal.Run) error {
		// The call that a cancel or a stop cuts off is written down too.
		keep := context.WithoutCancel(ctx)
		return step.Do(cloud.WithTrace(ctx, func(call cloud.Call) {
			if err := j.writeCall(keep, run.Job.ID, step.Name, call); err != nil {
				// The log serves people; no step fails for it.
				j.config.Log.WarnContext(keep, "a call could not be written down", "job", run.Job.ID, "step", step.Name, "operation", call.Operation, "err", err)
			}
		}), run)
	}
}

// writeCall stores a call. A step that waits asks the same again and again: the same call with the same answer is one row.
func (j *Jobs) writeCall(ctx context.Context, job int64, step string, call cloud.Call) error {
	took, at, status := call.Took.Microseconds(), db.Millis(call.At), int64(call.Status)
	return j.config.DB.Write(ctx, func(q *db.Queries) error {
		same, err := q.RepeatCall(ctx, db.RepeatCallParams{
			At: at, TookMicros: took, RequestID: call.RequestID, JobID: job, Step: step, Service: call.Service, Operation: call.Operation,
			Request: call.Request, Answer: call.Answer, Status: status,
		})
		if err != nil || same > 0 {
			return err
		}
		var failed int64
		if call.Failed {
			failed = 1
		}
		return q.AddCall(ctx, db.AddCallParams{
			JobID: job, Step: step, Service: call.Service, Operation: call.Operation, Request: call.Request, Answer: call.Answer,
			Status: status, Failed: failed, RequestID: call.RequestID, TookMicros: took, At: at,
		})
	})
}

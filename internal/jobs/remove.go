package jobs

import (
	"context"
	"fmt"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/lora"
)

// removeArgs are the arguments of a remove job.
type removeArgs struct {
	Component  string `json:"component"`
	ARN        string `json:"arn"`                  // "" when it has not been seen
	Deployment int64  `json:"deployment,omitempty"` // 0 for a component that was not shipped from here
}

func (j *Jobs) removeKind() journal.Kind {
	return journal.Kind{Name: lora.JobRemove, Steps: []journal.Step{
		{Name: lora.StepDelete, Attempts: 20, Do: j.delete},
		{Name: lora.StepGone, Do: j.gone},
	}, Undo: &journal.Step{Name: lora.StepUndo, Attempts: undoAttempts, Do: j.undoRemove}}
}

// removal is what both steps start from.
func (j *Jobs) removal(run *journal.Run) (args removeArgs, place *cloud.Place, err error) {
	if err := run.Args(&args); err != nil {
		return args, nil, err
	}
	place, err = j.place(run.Job.PlaceID)
	return args, place, err
}

// delete asks the service to delete the component. One that is not there, or is being deleted, is what was wanted.
func (j *Jobs) delete(ctx context.Context, run *journal.Run) error {
	args, place, err := j.removal(run)
	if err != nil {
		return err
	}
	component, err := place.Component(ctx, args.Component)
	switch {
	case lora.KindOf(err) == lora.NotFound:
		run.Done(nil, "gone already")
		return nil
	case err != nil:
		return fmt.Errorf("describe %s: %w", args.Component, err)
	case component.Status == lora.StatusDeleting:
		run.Done(nil, "being deleted already")
		return nil
	case component.Status == lora.StatusCreating || component.Status == lora.StatusUpdating:
		// SageMaker refuses a delete before the component has settled (facts §1.8).
		return lora.Errorf(lora.Unavailable, "%s is %s; the service deletes it only once that has ended. Waiting.", args.Component, component.Status)
	}
	if err := place.DeleteComponent(ctx, args.Component); err != nil && lora.KindOf(err) != lora.NotFound {
		return fmt.Errorf("delete %s: %w", args.Component, err)
	}
	j.config.Moved(run.Job.PlaceID)
	run.Done(nil, "accepted")
	return nil
}

// gone waits until the service no longer knows the component. Only its own "could not find" counts: a failed or throttled
// look is never read as gone.
func (j *Jobs) gone(ctx context.Context, run *journal.Run) error {
	args, place, err := j.removal(run)
	if err != nil {
		return err
	}
	for begun := time.Now(); ; {
		component, err := place.Component(ctx, args.Component)
		if lora.KindOf(err) == lora.NotFound {
			break
		}
		if err != nil {
			return fmt.Errorf("describe %s: %w", args.Component, err)
		}
		if component.Status == lora.StatusFailed {
			return lora.Errorf(lora.Conflict, "Deleting %s failed: %s Try to remove it again.", args.Component, ended(component.FailureReason))
		}
		if time.Since(begun) > settleLimit {
			return lora.Errorf(lora.Conflict, "%s is still %s after %s. Look at the endpoint's logs.", args.Component, component.Status, settleLimit)
		}
		if err := j.pause(ctx, place); err != nil {
			return err
		}
	}
	j.config.Moved(run.Job.PlaceID)
	run.OnCommit(func(ctx context.Context, q *db.Queries) error {
		return forgetComponent(ctx, q, run.Job.PlaceID, args.Component, args.Deployment, true)
	})
	run.Done(nil, "the service no longer knows it; its artifact stays in S3")
	return nil
}

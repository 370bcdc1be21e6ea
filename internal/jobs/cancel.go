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

// undoAttempts is how often cleaning up is tried: it should not be given up while a service is merely slow.
const undoAttempts = 50

// Cancel stops a job and takes back what it did: an upload in parts is aborted, a component it made is deleted as soon as the
// service allows it. Its errors are of kind NotFound for no such job and Conflict when it has ended or can no longer be taken
// back.
func (j *Jobs) Cancel(ctx context.Context, id int64) error {
	job, err := j.config.DB.Read().Job(ctx, id)
	if err != nil {
		return db.Found(err, "There is no job %d. It may belong to another data folder.", id)
	}
	if job.Kind == lora.JobRemove && job.Step > 0 && job.EndedAt == nil {
		return lora.Errorf(lora.Conflict, "The service has accepted the delete, which cannot be taken back. Wait for it to end, then deploy the adapter again.")
	}
	return j.journal.Cancel(ctx, id, func(ctx context.Context, q *db.Queries, job db.Job) error {
		if job.Kind != lora.JobDeploy || job.DeploymentID == nil {
			return nil
		}
		now := db.Millis(time.Now())
		return q.EndDeployment(ctx, db.EndDeploymentParams{EndedAt: &now, ID: *job.DeploymentID})
	})
}

// Retry goes on with a failed job at the step it failed in. A component that the service itself reports as Failed is of no use
// any more, so that deployment goes on where it is created, which deletes it first. Its errors are of kind Conflict when the
// job has not failed, its deployment is over, or another job is at work on the component.
func (j *Jobs) Retry(ctx context.Context, id int64) error {
	job, err := j.config.DB.Read().Job(ctx, id)
	if err != nil {
		return db.Found(err, "There is no job %d. It may belong to another data folder.", id)
	}
	from := ""
	if job.Kind == lora.JobDeploy {
		if from, err = j.retryFrom(ctx, job); err != nil {
			return err
		}
	}
	return j.journal.Retry(ctx, id, from, func(ctx context.Context, q *db.Queries, job db.Job) error {
		if job.DeploymentID == nil {
			return nil
		}
		deployment, err := q.Deployment(ctx, *job.DeploymentID)
		if err != nil {
			return fmt.Errorf("read the deployment of job %d: %w", id, err)
		}
		if deployment.EndedAt != nil {
			return lora.Errorf(lora.Conflict, "%s has been removed or deployed anew since. Deploy the adapter again instead.", deployment.ComponentName)
		}
		return nil
	})
}

// retryFrom names an earlier step to go on from, or none.
func (j *Jobs) retryFrom(ctx context.Context, job db.Job) (string, error) {
	steps, err := j.config.DB.Read().Steps(ctx, job.ID)
	if err != nil {
		return "", fmt.Errorf("read the steps of job %d: %w", job.ID, err)
	}
	if int(job.Step) >= len(steps) || steps[job.Step].Name != lora.StepInService {
		return "", nil
	}
	place, err := j.place(job.PlaceID)
	if err != nil {
		return "", err
	}
	deployment, err := j.config.DB.Read().Deployment(ctx, *job.DeploymentID)
	if err != nil {
		return "", fmt.Errorf("read the deployment of job %d: %w", job.ID, err)
	}
	component, err := place.Component(ctx, deployment.ComponentName)
	if lora.KindOf(err) == lora.NotFound || err == nil && component.Status == lora.StatusFailed {
		return lora.StepCreate, nil
	}
	if err != nil {
		return "", fmt.Errorf("describe %s: %w", deployment.ComponentName, err)
	}
	return "", nil
}

// undoDeploy takes back what a cancelled deployment did and says what remains.
func (j *Jobs) undoDeploy(ctx context.Context, run *journal.Run) error {
	d, err := j.deploy(ctx, run)
	if err != nil {
		return err
	}
	remains, err := j.abortUpload(ctx, run, d)
	if err != nil {
		return err
	}
	deleted, err := j.takeBack(ctx, run, d)
	if err != nil {
		return err
	}
	j.config.Moved(run.Job.PlaceID)
	run.OnCommit(func(ctx context.Context, q *db.Queries) error {
		return forgetComponent(ctx, q, run.Job.PlaceID, d.Component, d.Deployment, deleted)
	})
	what := "Nothing was created."
	if deleted {
		what = "The component " + d.Component + " was deleted."
	}
	run.Done(nil, "%s %s", what, remains)
	return nil
}

// abortUpload ends an upload that a cancel cut off, so that its parts cost nothing, and says what stays in S3.
func (j *Jobs) abortUpload(ctx context.Context, run *journal.Run, d deploy) (remains string, err error) {
	begun, err := j.reached(ctx, run, lora.StepUpload)
	if err != nil {
		return "", err
	}
	if !begun {
		return "Nothing was sent to S3.", nil
	}
	at, _, err := j.artifact(ctx, run, d)
	if err != nil {
		return "", err
	}
	ids, err := d.place.OpenUploads(ctx, at)
	if err != nil && lora.KindOf(err) != lora.NotFound { // without the bucket nothing was sent
		return "", fmt.Errorf("look for uploads to %s: %w", at.URL(), err)
	}
	for _, id := range ids {
		if err := d.place.AbortUpload(ctx, at, id); err != nil && lora.KindOf(err) != lora.NotFound {
			return "", fmt.Errorf("abort the upload of %s: %w", at.URL(), err)
		}
	}
	_, err = d.place.Head(ctx, at)
	switch {
	case lora.KindOf(err) == lora.NotFound:
		return "The parts sent to S3 were removed.", nil
	case err != nil:
		return "", fmt.Errorf("look for %s: %w", at.URL(), err)
	}
	return "Its artifact stays at " + at.URL() + ", for the next deployment.", nil
}

// takeBack deletes the component that this job made, waits until it has gone, and reports whether there was one. One that does
// not carry the job's mark is somebody else's.
func (j *Jobs) takeBack(ctx context.Context, run *journal.Run, d deploy) (deleted bool, err error) {
	asked, err := j.reached(ctx, run, lora.StepCreate)
	if err != nil || !asked {
		return false, err
	}
	mine, err := j.madeHere(ctx, d)
	if lora.KindOf(err) == lora.NotFound { // never made, or deleted ahead of a restart
		return j.reached(ctx, run, lora.StepInService)
	}
	if err != nil || mine.ARN == "" {
		return false, err
	}
	return true, j.deleteSettled(ctx, run, d.place, d.Component)
}

// reached reports whether a step of the job was ever begun.
func (j *Jobs) reached(ctx context.Context, run *journal.Run, step string) (bool, error) {
	steps, err := j.config.DB.Read().Steps(ctx, run.Job.ID)
	if err != nil {
		return false, fmt.Errorf("read the steps of job %d: %w", run.Job.ID, err)
	}
	for _, s := range steps {
		if s.Name == step {
			return s.StartedAt != nil, nil
		}
	}
	return false, nil
}

// madeHere gives the component if it carries the job's mark, or an empty one. A create that was cut off may have been accepted
// and not be visible yet, so one that is not there is looked for a while before the error is of kind NotFound.
func (j *Jobs) madeHere(ctx context.Context, d deploy) (lora.Component, error) {
	patience := unseenLimit
	if d.place.Identity().Near {
		patience = time.Second // it reads its own writes
	}
	for begun := time.Now(); ; {
		mine, err := j.recognise(ctx, d)
		if lora.KindOf(err) != lora.NotFound {
			return mine, err
		}
		if time.Since(begun) > patience {
			return lora.Component{}, err
		}
		if err := j.pause(ctx, d.place); err != nil {
			return lora.Component{}, err
		}
	}
}

// deleteSettled deletes a component, after waiting for a state in which the service allows it, and waits until it has gone. A
// component that does not go is an error of kind Conflict.
func (j *Jobs) deleteSettled(ctx context.Context, run *journal.Run, place *cloud.Place, name string) error {
	var last lora.Status
	for begun := time.Now(); ; {
		component, err := place.Component(ctx, name)
		if lora.KindOf(err) == lora.NotFound {
			return nil
		}
		if err != nil {
			return fmt.Errorf("describe %s: %w", name, err)
		}
		if time.Since(begun) > settleLimit {
			return lora.Errorf(lora.Conflict, "%s is still there after %s, %s. Look at the endpoint's logs, then try again.", name, settleLimit, component.Status)
		}
		if component.Status != last {
			last = component.Status
			note := "deleting " + name
			if !last.Settled() && last != lora.StatusDeleting {
				note = fmt.Sprintf("%s is %s; the service refuses to delete it until that ends", name, last)
			}
			if err := run.Note(ctx, "%s", note); err != nil {
				return err
			}
			if last.Settled() {
				if err := place.DeleteComponent(ctx, name); err != nil && lora.KindOf(err) != lora.NotFound {
					return fmt.Errorf("delete %s: %w", name, err)
				}
				last = ""
			}
		}
		if err := j.pause(ctx, place); err != nil {
			return err
		}
	}
}

// undoRemove has nothing to take back: it looks whether the cancel came before the delete, and says so.
func (j *Jobs) undoRemove(ctx context.Context, run *journal.Run) error {
	args, place, err := j.removal(run)
	if err != nil {
		return err
	}
	component, err := place.Component(ctx, args.Component)
	switch {
	case lora.KindOf(err) == lora.NotFound:
		run.OnCommit(func(ctx context.Context, q *db.Queries) error {
			return forgetComponent(ctx, q, run.Job.PlaceID, args.Component, args.Deployment, true)
		})
		run.Done(nil, "The delete had been accepted before; %s has gone.", args.Component)
	case err != nil:
		return fmt.Errorf("describe %s: %w", args.Component, err)
	case component.Status == lora.StatusDeleting:
		return lora.Errorf(lora.Unavailable, "The delete of %s had been accepted before; it is going. Waiting.", args.Component)
	default:
		run.Done(nil, "Nothing was deleted. %s is %s.", args.Component, component.Status)
	}
	return nil
}

// forgetComponent stores that a deployment (0 for none) is over and, when that is known, that its component has gone.
func forgetComponent(ctx context.Context, q *db.Queries, placeID, name string, deployment int64, gone bool) error {
	now := db.Millis(time.Now())
	if gone {
		row, err := q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: placeID, Name: name})
		if err == nil {
			err = q.MarkComponentGone(ctx, db.MarkComponentGoneParams{GoneAt: &now, ID: row.ID})
		}
		if err != nil && !db.Missing(err) {
			return fmt.Errorf("store that %s has gone: %w", name, err)
		}
	}
	if deployment == 0 {
		return nil
	}
	return q.EndDeployment(ctx, db.EndDeploymentParams{EndedAt: &now, ID: deployment})
}

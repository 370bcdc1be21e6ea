package jobs

import (
	"context"
	"fmt"

	"loradeck/internal/db"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/lora"
)

func (j *Jobs) proveKind() journal.Kind {
	return journal.Kind{Name: lora.JobProve, Steps: []journal.Step{{Name: lora.StepProve, Do: j.prove}}}
}

// Prove stores the job that proves a deployment again; the earlier proofs stay with the jobs that made them. One that is already
// under way is given back rather than doubled. Its errors are of kind NotFound for no such deployment, and Conflict when it has
// ended, is not in service, or another job is at work on its component.
func (j *Jobs) Prove(ctx context.Context, deployment int64) (db.Job, error) {
	var job db.Job
	err := j.config.DB.Write(ctx, func(q *db.Queries) error {
		d, err := q.Deployment(ctx, deployment)
		if err != nil {
			return db.Found(err, "There is no deployment %d. It may belong to another data folder.", deployment)
		}
		if d.EndedAt != nil {
			return lora.Errorf(lora.Conflict, "Deployment %d has ended, so there is nothing to prove. Deploy the adapter again.", deployment)
		}
		busy, err := q.NewestJobOfClaim(ctx, claim(d.PlaceID, d.ComponentName))
		switch {
		case err == nil && busy.Kind == lora.JobProve && busy.CancelAskedAt == nil:
			job = busy
			return nil
		case err == nil:
			return lora.Errorf(lora.Conflict, "%s (job %d) is at work on %s. Wait for it to end, then prove it.", busy.Title, busy.ID, d.ComponentName)
		case !db.Missing(err):
			return fmt.Errorf("look for jobs on %s: %w", d.ComponentName, err)
		}
		row, err := q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: d.PlaceID, Name: d.ComponentName})
		if err != nil && !db.Missing(err) {
			return fmt.Errorf("find component %s: %w", d.ComponentName, err)
		}
		if lora.Status(row.Status) != lora.StatusInService {
			return lora.Errorf(lora.Conflict, "%s is not in service, so it cannot be asked. Look at the deck for what it is.", d.ComponentName)
		}
		below, err := q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: d.PlaceID, Name: d.BaseName})
		if err != nil {
			return db.Found(err, "The base %s has gone, so %s cannot be asked.", d.BaseName, d.ComponentName)
		}
		if below.Copies == 0 {
			return lora.Errorf(lora.Conflict, "No copy of the base %s runs, so nothing on it can be proven. Scale it up, then prove it.", d.BaseName)
		}
		version, adapter, err := versionOf(ctx, q, d.VersionID)
		if err != nil {
			return err
		}
		job, err = j.journal.Add(ctx, q, journal.NewJob{
			Kind: lora.JobProve, Title: fmt.Sprintf("Prove %s v%d", adapter.Name, version.Number), Claim: claim(d.PlaceID, d.ComponentName),
			PlaceID: d.PlaceID, DeploymentID: &d.ID, Adapter: adapter.Name, Base: d.BaseName,
			Args: deployArgs{Deployment: d.ID, Version: version.ID, Endpoint: d.Endpoint, Base: d.BaseName, Component: d.ComponentName},
		})
		return err
	})
	if err != nil {
		return db.Job{}, err
	}
	j.journal.Wake()
	return job, nil
}

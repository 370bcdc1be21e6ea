package jobs

import (
	"context"
	"fmt"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

// Redeploy removes a deployment's component and deploys the same version under the same name, as one wish: the job that it gives waits
// for the removal. It is what brings back an adapter that its container has forgotten. Its errors are of kind NotFound for no such
// deployment or when its files are no longer kept, and Conflict when it has ended, another job is at work on its component, or its base
// can load nothing now.
func (j *Jobs) Redeploy(ctx context.Context, deployment int64) (db.Job, error) {
	read := j.config.DB.Read()
	d, err := read.Deployment(ctx, deployment)
	if err != nil {
		return db.Job{}, db.Found(err, "There is no deployment %d. It may belong to another data folder.", deployment)
	}
	if d.EndedAt != nil {
		return db.Job{}, lora.Errorf(lora.Conflict, "Deployment %d has ended already. Deploy the adapter from its own page.", deployment)
	}
	version, owner, err := versionOf(ctx, read, d.VersionID)
	if err != nil {
		return db.Job{}, err
	}
	onto, err := j.base(ctx, d.PlaceID, d.BaseName)
	if err != nil {
		return db.Job{}, err
	}
	if lora.Status(onto.Status) != lora.StatusInService || onto.Copies == 0 {
		return db.Job{}, lora.Errorf(lora.Conflict, "The base %s is %s with %d copies, so nothing can be loaded on it. Wait until one runs, then deploy again.", onto.Name, onto.Status, onto.Copies)
	}
	source := Source{Tenant: owner.Tenant, Adapter: owner.Name, About: owner.About, Digest: version.Digest, Component: d.ComponentName}
	adapter, digest, err := j.take(ctx, source) // before anything is removed: without its files it could not come back
	if err != nil {
		return db.Job{}, err
	}
	var job db.Job
	err = j.config.DB.Write(ctx, func(q *db.Queries) error {
		busy, err := q.NewestJobOfClaim(ctx, claim(d.PlaceID, d.ComponentName))
		if err == nil {
			return lora.Errorf(lora.Conflict, "%s (job %d) is at work on %s. Wait for it to end, then deploy again.", busy.Title, busy.ID, d.ComponentName)
		}
		if !db.Missing(err) {
			return fmt.Errorf("look for jobs on %s: %w", d.ComponentName, err)
		}
		if _, err := j.addRemoval(ctx, q, d.PlaceID, d.ComponentName); err != nil {
			return err
		}
		job, err = j.addDeployment(ctx, q, source, adapter, digest, onto)
		return err
	})
	if err != nil {
		return db.Job{}, err
	}
	j.journal.Wake()
	return job, nil
}

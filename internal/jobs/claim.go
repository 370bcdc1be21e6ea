package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

// claim names the component a job changes: jobs on one component take turns.
func claim(placeID, component string) string { return "component " + placeID + " " + component }

// newMark makes the value of the tag by which a component is recognised as one job's work, also by another data folder.
func newMark() string {
	mark := make([]byte, 8)
	rand.Read(mark)
	return hex.EncodeToString(mark)
}

// componentName gives the name that was asked for, or else the proposed one.
func (s Source) componentName(version int64, base string) string {
	if s.Component != "" {
		return s.Component
	}
	return lora.ComponentName(s.Adapter, version, base)
}

// clearName makes sure that a component name is free for a new deployment, or will be once the jobs before it have ended. A
// deployment that failed before anything was created, or whose component has gone or is going, is closed; any other holds the
// name.
func clearName(ctx context.Context, q *db.Queries, placeID, name string) error {
	held, err := q.LiveDeploymentNamed(ctx, db.LiveDeploymentNamedParams{PlaceID: placeID, ComponentName: name})
	if err != nil && !db.Missing(err) {
		return fmt.Errorf("look for deployment %s: %w", name, err)
	}
	_, seenErr := q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: placeID, Name: name})
	busy, busyErr := q.NewestJobOfClaim(ctx, claim(placeID, name))
	switch {
	case busyErr == nil && !frees(busy):
		return lora.Errorf(lora.Conflict, "A job on %s is under way. Wait for it to end, then try again.", name)
	case busyErr != nil && seenErr == nil:
		return lora.Errorf(lora.Conflict, "%s is there already. Remove it first, or compare it in the playground.", name)
	case err == nil:
		now := db.Millis(time.Now())
		return q.EndDeployment(ctx, db.EndDeploymentParams{EndedAt: &now, ID: held.ID})
	}
	return nil
}

// frees reports whether the end of a job leaves its component's name free: a removal does, and a deployment that is cancelled.
func frees(job db.Job) bool {
	cancelled := job.CancelAskedAt != nil
	return job.Kind == lora.JobRemove && !cancelled || job.Kind == lora.JobDeploy && cancelled
}

// lookTime bounds how long Ship waits for a place to answer. The create asks again.
const lookTime = 5 * time.Second

// strangers asks the place itself for the name a deployment will have, unless the rows know who has it: somebody else may have
// made a component of that name since the last look. A place that does not answer now is asked again by the create step.
func (j *Jobs) strangers(ctx context.Context, source Source, digest string, onto db.Component) error {
	place, err := j.place(onto.PlaceID)
	if err != nil {
		return err
	}
	read := j.config.DB.Read()
	versions, err := read.VersionsNamed(ctx, db.VersionsNamedParams{Tenant: source.Tenant, Name: source.Adapter})
	if err != nil {
		return fmt.Errorf("read the versions of %s: %w", source.Adapter, err)
	}
	number := int64(1)
	for _, version := range versions { // in the order of their numbers
		number = version.Number + 1
	}
	for _, version := range versions {
		if version.Digest == digest {
			number = version.Number
		}
	}
	name := source.componentName(number, onto.Name)
	if _, err := read.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: onto.PlaceID, Name: name}); err == nil {
		return nil
	}
	if _, err := read.NewestJobOfClaim(ctx, claim(onto.PlaceID, name)); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if there, err := place.Component(ctx, name); err == nil {
		return lora.Errorf(lora.Conflict, "%s is there already, %s. Remove it first, or choose another name.", name, there.Status)
	}
	return nil
}

package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"loradeck/internal/check"
	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/internal/plan"
)

// deployArgs are the arguments of a deploy job.
type deployArgs struct {
	Deployment int64  `json:"deployment"`
	Version    int64  `json:"version"`
	Endpoint   string `json:"endpoint"`
	Base       string `json:"base"`
	Component  string `json:"component"`
	Mark       string `json:"mark"` // value of the tag loradeck:job
}

// What the steps of a deploy job leave. The job page reads them too.
type (
	// Packed is the output of the pack step.
	Packed struct {
		Digest string `json:"digest"` // sha256 of the archive
		Bytes  int64  `json:"bytes"`
	}
	// Uploaded is the output of the upload step; before it is done it holds the upload that a crash interrupts.
	Uploaded struct {
		URL      string `json:"url"`
		UploadID string `json:"uploadId,omitempty"`
		Parts    int    `json:"parts,omitempty"`
	}
	// Created is the output of the create step.
	Created struct {
		ARN string `json:"arn"`
	}
	// InService is the output of the in-service step.
	InService struct {
		Created time.Time `json:"created"`
	}
)

const (
	settleLimit = time.Hour        // an adapter takes 1–3 minutes on AWS (facts §2.7); after an hour nobody waits on
	unseenLimit = 60 * time.Second // Describe right after Create may not know the component yet (facts §1.8)
)

func (j *Jobs) deployKind() journal.Kind {
	return journal.Kind{Name: lora.JobDeploy, Steps: []journal.Step{
		{Name: lora.StepCheck, Do: j.check},
		{Name: lora.StepPack, Do: j.pack},
		{Name: lora.StepUpload, Do: j.upload},
		{Name: lora.StepCreate, Do: j.create},
		{Name: lora.StepInService, Do: j.inService},
		{Name: lora.StepProve, Do: j.prove},
	}, Undo: &journal.Step{Name: lora.StepUndo, Attempts: undoAttempts, Do: j.undoDeploy}}
}

// deploy is what every step of a deploy job starts from.
type deploy struct {
	deployArgs
	place   *cloud.Place
	version db.Version
	adapter db.Adapter
}

func (j *Jobs) deploy(ctx context.Context, run *journal.Run) (deploy, error) {
	var d deploy
	if err := run.Args(&d.deployArgs); err != nil {
		return d, err
	}
	var err error
	if d.place, err = j.place(run.Job.PlaceID); err != nil {
		return d, err
	}
	d.version, d.adapter, err = versionOf(ctx, j.config.DB.Read(), d.Version)
	return d, err
}

// versionOf reads a version and the adapter that it is of.
func versionOf(ctx context.Context, q *db.Queries, id int64) (v db.Version, a db.Adapter, err error) {
	if v, err = q.Version(ctx, id); err != nil {
		return v, a, fmt.Errorf("read version %d: %w", id, err)
	}
	if a, err = q.Adapter(ctx, v.AdapterID); err != nil {
		return v, a, fmt.Errorf("read adapter %d: %w", v.AdapterID, err)
	}
	return v, a, nil
}

// shipment is what the job wishes for, with the archive at the given place. Pages show the same as a list of calls.
func (d deploy) shipment(archive cloud.ObjectRef) plan.Shipment {
	return plan.Shipment{
		Tenant: d.adapter.Tenant, Adapter: d.adapter.Name, Version: d.version.Number, Digest: d.version.Digest, Mark: d.Mark,
		Bucket: archive.Bucket, Key: archive.Key, Endpoint: d.Endpoint, Base: d.Base, Component: d.Component,
	}
}

// check asks the base what it takes and holds the adapter against it.
func (j *Jobs) check(ctx context.Context, run *journal.Run) error {
	d, err := j.deploy(ctx, run)
	if err != nil {
		return err
	}
	files, err := j.config.Spool.Version(d.version.Digest)
	if err != nil {
		return err
	}
	adapter, err := peft.Inspect(files)
	if err != nil {
		return fmt.Errorf("read version %d: %w", d.version.Number, err)
	}
	base, err := j.describeBase(ctx, d)
	if err != nil {
		return err
	}
	report := check.Run(adapter, base)
	passed, warned, blocked := report.Counts()
	note := fmt.Sprintf("%d rules passed", passed)
	if warned > 0 {
		note += fmt.Sprintf(", %d to look at", warned)
	}
	run.Done(report, "%s", note)
	if blocked > 0 {
		return lora.Errorf(lora.Invalid, "%s", report.Refusal())
	}
	return nil
}

// describeBase reads the base component, its model's settings and its config.json from the place itself, not from the last
// look: the check must be right now.
func (j *Jobs) describeBase(ctx context.Context, d deploy) (check.Base, error) {
	component, err := d.place.Component(ctx, d.Base)
	if err != nil {
		return check.Base{}, fmt.Errorf("describe base %s: %w", d.Base, err)
	}
	if component.Status != lora.StatusInService {
		return check.Base{}, lora.Errorf(lora.Conflict, "The base %s is %s, so nothing can be loaded on it. Wait until it is InService, then deploy again.", d.Base, component.Status)
	}
	if component.Copies == 0 {
		return check.Base{}, lora.Errorf(lora.Conflict, "No copy of the base %s runs, so nothing can be loaded on it or proven. Scale it up, then deploy again.", d.Base)
	}
	model, err := d.place.Model(ctx, component.ModelName)
	if err != nil {
		return check.Base{}, fmt.Errorf("describe the model of %s: %w", d.Base, err)
	}
	base := check.Base{Name: d.Base, Settings: lora.SettingsFrom(model.Environment)}
	text, err := d.place.ModelConfig(ctx, model)
	if err == nil {
		base.Config, err = check.ParseModelConfig(text)
	}
	if err != nil {
		base.ConfigTrouble = lora.Message(err) // the check says so; it does not stop for it
	}
	return base, nil
}

// pack writes the archive into the spool before anything is sent, so that its digest, and with it its key, is known.
func (j *Jobs) pack(ctx context.Context, run *journal.Run) error {
	d, err := j.deploy(ctx, run)
	if err != nil {
		return err
	}
	packed := Packed{Digest: d.version.ArchiveDigest, Bytes: d.version.ArchiveBytes}
	if packed.Digest != "" && j.config.Spool.HasArchive(packed.Digest, packed.Bytes) {
		run.Done(packed, "packed before, %s", lora.Bytes(packed.Bytes))
		return nil
	}
	files, err := j.config.Spool.Version(d.version.Digest)
	if err != nil {
		return err
	}
	_, err = j.config.Spool.PutArchive(func(w io.Writer) (string, error) {
		result, err := peft.Pack(ctx, w, files)
		packed = Packed{Digest: result.Digest, Bytes: result.Bytes}
		return packed.Digest, err
	})
	if err != nil {
		return err
	}
	run.OnCommit(func(ctx context.Context, q *db.Queries) error {
		return q.SetVersionArchive(ctx, db.SetVersionArchiveParams{ArchiveDigest: packed.Digest, ArchiveBytes: packed.Bytes, ID: d.version.ID})
	})
	run.Done(packed, "%s into %s, sha256 %s…", lora.Bytes(d.version.Bytes), lora.Bytes(packed.Bytes), packed.Digest[:12])
	return nil
}

// create asks for the adapter component. One that carries this job's mark was made by an attempt whose end was lost.
func (j *Jobs) create(ctx context.Context, run *journal.Run) error {
	d, err := j.deploy(ctx, run)
	if err != nil {
		return err
	}
	var uploaded Uploaded
	if _, err := run.Output(ctx, lora.StepUpload, &uploaded); err != nil {
		return err
	}
	bucket, key, _ := cloud.SplitURL(uploaded.URL) // where the archive was sent, whatever the place's bucket is by now
	arn, err := d.place.CreateComponent(ctx, d.shipment(cloud.ObjectRef{Bucket: bucket, Key: key}).Spec())
	note := "accepted"
	if lora.KindOf(err) == lora.Conflict {
		mine, tagErr := j.recognise(ctx, d)
		if tagErr != nil {
			return errors.Join(err, tagErr)
		}
		if mine.ARN == "" {
			return lora.Wrap(err, lora.Conflict, "A component named %s is there already and was not made by this job. Remove it first.", d.Component)
		}
		if mine.Status == lora.StatusFailed && run.Job.RetriedAt != nil {
			// What a person tries again is not the component that has failed.
			if err := j.deleteSettled(ctx, run, d.place, d.Component); err != nil {
				return err
			}
			return lora.Errorf(lora.Unavailable, "The failed component was deleted; it is created anew.")
		}
		arn, err, note = mine.ARN, nil, "recognised by its tag: made before the last restart"
	}
	if err != nil {
		return fmt.Errorf("create component %s: %w", d.Component, err)
	}
	j.config.Moved(run.Job.PlaceID)
	run.OnCommit(func(ctx context.Context, q *db.Queries) error {
		return q.SetDeploymentComponent(ctx, db.SetDeploymentComponentParams{ComponentARN: arn, ID: d.Deployment})
	})
	run.Done(Created{ARN: arn}, "%s, %s", note, d.Component)
	return nil
}

// recognise gives the component of this name when it carries this job's mark, and an empty one when it does not.
func (j *Jobs) recognise(ctx context.Context, d deploy) (lora.Component, error) {
	component, err := d.place.Component(ctx, d.Component)
	if err != nil {
		return lora.Component{}, fmt.Errorf("describe %s: %w", d.Component, err)
	}
	tags, err := d.place.Tags(ctx, component.ARN)
	if err != nil {
		return lora.Component{}, fmt.Errorf("tags of %s: %w", d.Component, err)
	}
	if tags[lora.TagJob] != d.Mark {
		return lora.Component{}, nil
	}
	return component, nil
}

// inService waits until the service has settled.
func (j *Jobs) inService(ctx context.Context, run *journal.Run) error {
	d, err := j.deploy(ctx, run)
	if err != nil {
		return err
	}
	var last lora.Status
	begun := time.Now()
	for {
		component, err := d.place.Component(ctx, d.Component)
		switch {
		case lora.KindOf(err) == lora.NotFound && time.Since(begun) < unseenLimit:
			component.Status = lora.StatusCreating
		case lora.KindOf(err) == lora.NotFound:
			return lora.Wrap(err, lora.NotFound, "%s was accepted but is not there. Somebody may have deleted it; deploy it again.", d.Component)
		case err != nil:
			return fmt.Errorf("describe %s: %w", d.Component, err)
		}
		switch component.Status {
		case lora.StatusInService:
			j.config.Moved(run.Job.PlaceID)
			run.OnCommit(func(ctx context.Context, q *db.Queries) error {
				return q.SetDeploymentComponent(ctx, db.SetDeploymentComponentParams{
					ComponentARN: component.ARN, ComponentCreatedAt: db.Millis(component.Created), ID: d.Deployment,
				})
			})
			run.Done(InService{Created: component.Created}, "InService, not proven yet")
			return nil
		case lora.StatusFailed:
			j.config.Moved(run.Job.PlaceID)
			return lora.Errorf(lora.Invalid, "The service reports Failed: %s Remove the component, mend the cause and deploy again.", ended(component.FailureReason))
		case lora.StatusDeleting:
			return lora.Errorf(lora.Conflict, "%s is being deleted by somebody else. Deploy it again once it has gone.", d.Component)
		}
		if component.Status != last {
			last = component.Status
			if err := run.Note(ctx, "%s", last); err != nil {
				return err
			}
		}
		if time.Since(begun) > settleLimit {
			return lora.Errorf(lora.Conflict, "%s is still %s after %s. Look at the endpoint's logs.", d.Component, component.Status, settleLimit)
		}
		if err := j.pause(ctx, d.place); err != nil {
			return err
		}
	}
}

// pause waits before the next look: often on this machine, as seldom as AWS asks for elsewhere (facts §7, poll advice).
func (j *Jobs) pause(ctx context.Context, place *cloud.Place) error {
	wait := 15 * time.Second
	if place.Identity().Near {
		wait = 150 * time.Millisecond
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// ended gives text a full stop.
func ended(text string) string {
	if text == "" {
		return "it gives no reason."
	}
	if last := text[len(text)-1]; last == '.' || last == '!' {
		return text
	}
	return text + "."
}

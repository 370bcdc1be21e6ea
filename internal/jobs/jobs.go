// Package jobs is what Loradeck does to a place: ship an adapter, remove one and prove one again, each a list of steps on the durable journal.
// Every step asks "is it already so?", does it, and leaves its output, so that it can be done again after a crash at any
// instant: what a lost step made is recognised by its tag or its digest.
//
// The package knows places only through the cloud room and pages not at all: it commits, and the hub says "look again".
package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/internal/spool"
)

// Config is what the jobs need. Places are keyed by lora.Place.ID and do not change while jobs run.
type Config struct {
	DB     *db.DB
	Spool  *spool.Spool
	Hub    *live.Hub
	Log    *slog.Logger
	Places map[string]*cloud.Place
	// Moved is called after a job changed something in a place, so that whoever watches the place looks soon.
	Moved func(placeID string)
	// Heard is called with what a base or an adapter on it answered instead of a result (watch.Watcher.Heard).
	Heard func(ctx context.Context, placeID, base, component string, answer error)
	// Ended is called in the transaction that ends a job (journal.Config.Ended); nil when nobody is told.
	Ended func(ctx context.Context, q *db.Queries, job db.Job) error
}

// Jobs ships and removes adapters.
type Jobs struct {
	config  Config
	journal *journal.Runner

	mu      sync.Mutex               // guards proving
	proving map[string]chan struct{} // by place and base: whoever proves holds a value
}

// New makes the jobs. Nothing runs until Run is called.
func New(config Config) *Jobs {
	if config.Moved == nil {
		config.Moved = func(string) {}
	}
	if config.Heard == nil {
		config.Heard = func(context.Context, string, string, string, error) {}
	}
	j := &Jobs{config: config, proving: map[string]chan struct{}{}}
	j.journal = journal.New(journal.Config{
		DB: config.DB, Hub: config.Hub, Log: config.Log, Kinds: []journal.Kind{j.logged(j.deployKind()), j.logged(j.removeKind()), j.logged(j.proveKind())}, Ended: config.Ended,
	})
	return j
}

// Run runs the jobs until ctx ends and returns when all of them have stopped at a step they can go on from.
func (j *Jobs) Run(ctx context.Context) error { return j.journal.Run(ctx) }

// Source is an adapter to ship, as a directory.
type Source struct {
	Tenant  string
	Adapter string // the name its team gave it
	About   string // one line, may be empty
	Files   fs.FS
	Prompts []string // its own sample prompts, shown with its proof and not counted

	Digest    string // of a version that is in the spool already, instead of Files
	Component string // name of the component; "" for the proposed one

	// Also is a write for the transaction that stores the job; nil for none.
	Also func(ctx context.Context, q *db.Queries, job db.Job) error
}

// Ship checks that the source can be read, keeps its files, and stores version, deployment and job in one transaction. The
// same content under the same adapter is the same version. Its errors are of kind Invalid when the files are no adapter,
// NotFound when the base is not there, and Conflict when this version is on that base already or the component's name is taken.
// A name that a removal, or the cancelling of a deployment, is about to free is waited for: the job is queued behind it.
func (j *Jobs) Ship(ctx context.Context, source Source, placeID, base string) (db.Job, error) {
	onto, err := j.base(ctx, placeID, base)
	if err != nil {
		return db.Job{}, err
	}
	if err := source.named(); err != nil {
		return db.Job{}, err
	}
	adapter, digest, err := j.take(ctx, source)
	if err != nil {
		return db.Job{}, err
	}
	if err := j.strangers(ctx, source, digest, onto); err != nil {
		return db.Job{}, err
	}
	var job db.Job
	err = j.config.DB.Write(ctx, func(q *db.Queries) error {
		job, err = j.addDeployment(ctx, q, source, adapter, digest, onto)
		if err != nil || source.Also == nil {
			return err
		}
		return source.Also(ctx, q, job)
	})
	if err != nil {
		return db.Job{}, err
	}
	j.journal.Wake()
	return job, nil
}

// addDeployment stores version, deployment and job of what Ship was asked for.
func (j *Jobs) addDeployment(ctx context.Context, q *db.Queries, source Source, adapter peft.Adapter, digest string, onto db.Component) (db.Job, error) {
	version, err := putVersion(ctx, q, source, adapter, digest)
	if err != nil {
		return db.Job{}, err
	}
	name := source.componentName(version.Number, onto.Name)
	if err := clearName(ctx, q, onto.PlaceID, name); err != nil {
		return db.Job{}, err
	}
	deployment, err := q.AddDeployment(ctx, db.AddDeploymentParams{
		VersionID: version.ID, PlaceID: onto.PlaceID, Endpoint: onto.Endpoint, BaseName: onto.Name, ComponentName: name, CreatedAt: db.Millis(time.Now()),
	})
	if err != nil {
		return db.Job{}, fmt.Errorf("store deployment of %s: %w", name, err)
	}
	return j.journal.Add(ctx, q, journal.NewJob{
		Kind: lora.JobDeploy, Title: fmt.Sprintf("Deploy %s v%d", source.Adapter, version.Number), Claim: claim(onto.PlaceID, name),
		PlaceID: onto.PlaceID, DeploymentID: &deployment.ID, Adapter: source.Adapter, Base: onto.Name,
		Args: deployArgs{Deployment: deployment.ID, Version: version.ID, Endpoint: onto.Endpoint, Base: onto.Name, Component: name, Mark: newMark()},
	})
}

// named refuses names that S3 keys, tags or SageMaker would not take.
func (s Source) named() error {
	for _, named := range []struct{ what, name string }{{"adapter", s.Adapter}, {"tenant", s.Tenant}} {
		if !lora.ValidName(named.name) {
			return lora.Errorf(lora.Invalid, "%q cannot be the name of the %s. Use letters, digits, dots, underscores and hyphens, up to 63, with a letter or digit first and last.", named.name, named.what)
		}
	}
	if s.Component != "" && !lora.ValidComponentName(s.Component) {
		return lora.Errorf(lora.Invalid, "SageMaker does not take the component name %q. Use letters, digits and hyphens, up to 63, with a letter or digit first and last.", s.Component)
	}
	return nil
}

// take reads a source and makes sure that its files are in the spool.
func (j *Jobs) take(ctx context.Context, source Source) (adapter peft.Adapter, digest string, err error) {
	files := source.Files
	if source.Digest != "" {
		if files, err = j.config.Spool.Version(source.Digest); err != nil {
			return adapter, "", err
		}
	}
	if adapter, err = peft.Inspect(files); err != nil {
		return adapter, "", fmt.Errorf("read adapter %s: %w", source.Adapter, err)
	}
	if source.Digest != "" {
		return adapter, source.Digest, nil
	}
	digest, kept, err := peft.Manifest(ctx, files)
	if err != nil {
		return adapter, "", fmt.Errorf("digest adapter %s: %w", source.Adapter, err)
	}
	return adapter, digest, j.config.Spool.Keep(ctx, digest, files, kept)
}

// Remove stores the job that unloads and deletes an adapter component. A removal that is already under way is given back
// rather than doubled. Its errors are of kind NotFound when there is no such component and Invalid when it is a base.
func (j *Jobs) Remove(ctx context.Context, placeID, component string) (db.Job, error) {
	var job db.Job
	err := j.config.DB.Write(ctx, func(q *db.Queries) error {
		var err error
		job, err = j.addRemoval(ctx, q, placeID, component)
		return err
	})
	if err != nil {
		return db.Job{}, err
	}
	j.journal.Wake()
	return job, nil
}

// addRemoval stores the job that Remove was asked for, or finds the one that is under way.
func (j *Jobs) addRemoval(ctx context.Context, q *db.Queries, placeID, component string) (db.Job, error) {
	row, err := q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: placeID, Name: component})
	deployment, noDeployment := q.LiveDeploymentNamed(ctx, db.LiveDeploymentNamedParams{PlaceID: placeID, ComponentName: component})
	switch {
	case db.Missing(err) && noDeployment != nil:
		return db.Job{}, lora.Errorf(lora.NotFound, "There is no adapter component %s here. It may have been removed already.", component)
	case err != nil && !db.Missing(err):
		return db.Job{}, fmt.Errorf("find component %s: %w", component, err)
	case err == nil && row.BaseName == "":
		return db.Job{}, lora.Errorf(lora.Invalid, "%s is a base component. Adapters are removed one by one; a base goes with its endpoint.", component)
	}
	newest, err := q.NewestJobOfClaim(ctx, claim(placeID, component))
	if err == nil && newest.Kind == lora.JobRemove && newest.CancelAskedAt == nil {
		return newest, nil
	}
	removal := journal.NewJob{Kind: lora.JobRemove, Title: "Remove " + component, Claim: claim(placeID, component), PlaceID: placeID, Base: row.BaseName}
	args := removeArgs{Component: component, ARN: row.ARN}
	if noDeployment == nil {
		args.Deployment, removal.DeploymentID, removal.Base = deployment.ID, &deployment.ID, deployment.BaseName
		if removal.Adapter, err = q.AdapterOfVersion(ctx, deployment.VersionID); err != nil {
			return db.Job{}, fmt.Errorf("find the adapter of %s: %w", component, err)
		}
	}
	removal.Args = args
	return j.journal.Add(ctx, q, removal)
}

// Place says where calls to a place go. One that this deck was started without is an error of kind NotFound.
func (j *Jobs) Place(id string) (lora.Place, error) {
	place, err := j.place(id)
	if err != nil {
		return lora.Place{}, err
	}
	return place.Identity(), nil
}

func (j *Jobs) place(id string) (*cloud.Place, error) {
	place, known := j.config.Places[id]
	if !known {
		return nil, lora.Errorf(lora.NotFound, "This deck was started without the place %s. Start it with that place to go on.", id)
	}
	return place, nil
}

// base finds a base component that is in sight.
func (j *Jobs) base(ctx context.Context, placeID, name string) (db.Component, error) {
	if _, err := j.place(placeID); err != nil {
		return db.Component{}, err
	}
	row, err := j.config.DB.Read().ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: placeID, Name: name})
	if err != nil {
		return db.Component{}, db.Found(err, "There is no base component %s in this place. Look at the deck for the bases there are.", name)
	}
	if row.BaseName != "" {
		return db.Component{}, lora.Errorf(lora.Invalid, "%s is an adapter component; choose the base it stands on, %s.", name, row.BaseName)
	}
	return row, nil
}

func putVersion(ctx context.Context, q *db.Queries, source Source, adapter peft.Adapter, digest string) (db.Version, error) {
	now := db.Millis(time.Now())
	owner, err := q.PutAdapter(ctx, db.PutAdapterParams{Tenant: source.Tenant, Name: source.Adapter, About: source.About, CreatedAt: now})
	if err != nil {
		return db.Version{}, fmt.Errorf("store adapter %s: %w", source.Adapter, err)
	}
	version, err := q.VersionByDigest(ctx, db.VersionByDigestParams{AdapterID: owner.ID, Digest: digest})
	if err == nil || !db.Missing(err) {
		return version, err
	}
	targets, err := json.Marshal(adapter.Targets)
	if err != nil {
		return db.Version{}, fmt.Errorf("store version of %s: %w", source.Adapter, err)
	}
	prompts := []byte("[]")
	if len(source.Prompts) > 0 {
		if prompts, err = json.Marshal(source.Prompts); err != nil {
			return db.Version{}, fmt.Errorf("store version of %s: %w", source.Adapter, err)
		}
	}
	version, err = q.AddVersion(ctx, db.AddVersionParams{
		AdapterID: owner.ID, Digest: digest, Rank: int64(adapter.Rank), Alpha: adapter.Alpha, Targets: string(targets), Bytes: adapter.Bytes,
		Prompts: string(prompts), CreatedAt: now,
	})
	if err != nil {
		return db.Version{}, fmt.Errorf("store version of %s: %w", source.Adapter, err)
	}
	return version, nil
}

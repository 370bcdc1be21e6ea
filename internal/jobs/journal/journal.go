// Package journal runs jobs that survive the death of the process. A job is a row and a list of named steps; each step's
// start, attempts, note and output are rows too, and a step's end moves in one transaction with whatever the step changed.
//
// One process owns the database, so a job found "running" at start is an orphan and goes on at its recorded step: there are
// no leases and no heartbeats. A step may therefore be done twice, and must first ask whether it is already so. A crash costs
// an attempt, an orderly stop does not.
//
// The package knows neither AWS nor what any job is for.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/live"
)

// ErrStopping is the cause with which running steps are cancelled when the program stops in an orderly way.
var ErrStopping = errors.New("the program is stopping")

// Kind is one kind of job.
type Kind struct {
	Name  string
	Steps []Step
	// Undo is what a cancelled job does instead of its remaining steps; nil when there is nothing to undo. Its note says what
	// remains. It is a step like the others, but cannot be cancelled.
	Undo *Step
}

// Step is one step of a kind of job.
type Step struct {
	Name string
	// Attempts is how often the step is tried before its job fails; 0 means 5. Only errors that lora.Temporary calls
	// temporary are tried again.
	Attempts int
	// Do does the step. It must be safe to do again after a crash at any instant, and must return soon after ctx ends.
	Do func(ctx context.Context, run *Run) error
}

// Config is what a Runner needs.
type Config struct {
	DB       *db.DB
	Hub      *live.Hub
	Log      *slog.Logger
	Kinds    []Kind
	Parallel int              // jobs at once; 0 means 8
	Now      func() time.Time // the clock; nil means time.Now
	// Backoff says how long to wait before the attempt after the given number of failed ones; nil means 1 s doubling to 30 s.
	Backoff func(failed int) time.Duration
	// Ended is called in the transaction that ends a job, with the job as it is stored then, so that what is owed for its end
	// is stored with it or not at all. It must do no more than write rows; an error undoes the end. It may be nil.
	Ended func(ctx context.Context, q *db.Queries, job db.Job) error
}

// Runner claims due jobs and walks each through its steps.
type Runner struct {
	config Config
	kinds  map[string]Kind
	wake   chan struct{}

	mu      sync.Mutex      // guards running, and is held while a job is claimed or cancelled
	running map[int64]*work // by job
}

// work is one goroutine's time with a job.
type work struct {
	ctx  context.Context
	stop context.CancelCauseFunc
}

// New makes a runner. Nothing runs until Run is called; jobs may be added before.
func New(config Config) *Runner {
	if config.Parallel == 0 {
		config.Parallel = 8
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Backoff == nil {
		config.Backoff = func(failed int) time.Duration { return min(time.Second<<min(failed-1, 10), 30*time.Second) }
	}
	kinds := map[string]Kind{}
	for _, kind := range config.Kinds {
		kinds[kind.Name] = kind
	}
	return &Runner{config: config, kinds: kinds, wake: make(chan struct{}, 1), running: map[int64]*work{}}
}

// NewJob is a job as its creator describes it.
type NewJob struct {
	Kind         string
	Title        string // for people: "Deploy pirate v1"
	Claim        string // the resource the job changes; jobs with one claim run one after another
	PlaceID      string
	DeploymentID *int64
	Adapter      string // whom it concerns, by name: the list of jobs filters by it; may be empty
	Base         string // the base component it concerns; may be empty
	Args         any    // stored as JSON; no secrets, no prompts of users
}

// Add stores a job and its steps in the caller's transaction. Call Wake after the commit.
func (r *Runner) Add(ctx context.Context, q *db.Queries, job NewJob) (db.Job, error) {
	kind, known := r.kinds[job.Kind]
	if !known {
		return db.Job{}, fmt.Errorf("add job: unknown kind %q", job.Kind)
	}
	args, err := json.Marshal(job.Args)
	if err != nil {
		return db.Job{}, fmt.Errorf("add job %s: %w", job.Title, err)
	}
	now := db.Millis(r.config.Now())
	row, err := q.AddJob(ctx, db.AddJobParams{
		Kind: job.Kind, Title: job.Title, Claim: job.Claim, PlaceID: job.PlaceID, DeploymentID: job.DeploymentID,
		Adapter: job.Adapter, Base: job.Base, Args: string(args), RunAt: now, CreatedAt: now,
	})
	if err != nil {
		return db.Job{}, fmt.Errorf("add job %s: %w", job.Title, err)
	}
	for n, step := range kind.Steps {
		if err := q.AddStep(ctx, db.AddStepParams{JobID: row.ID, N: int64(n), Name: step.Name}); err != nil {
			return db.Job{}, fmt.Errorf("add step %s of job %d: %w", step.Name, row.ID, err)
		}
	}
	return row, nil
}

// Wake makes the runner look for due jobs now and tells the pages that the list changed.
func (r *Runner) Wake() {
	r.config.Hub.Changed(live.Jobs, live.Deck)
	r.look()
}

func (r *Runner) look() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run requeues orphans and then runs due jobs until ctx ends. It returns once every running step has stopped; their jobs
// are queued again, at the step they were in.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.adoptOrphans(ctx); err != nil {
		return err
	}
	steps, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { stop(ErrStopping) })()
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, r.config.Parallel)
	for {
		select {
		case <-ctx.Done():
			return nil
		case places <- struct{}{}:
		}
		job, w, err := r.claim(ctx, steps)
		if err != nil {
			<-places
			if ctx.Err() != nil {
				return nil
			}
			if !db.Missing(err) {
				return fmt.Errorf("claim a job: %w", err)
			}
			r.sleep(ctx)
			continue
		}
		running.Go(func() {
			defer r.look() // a job with the same claim may go on now
			defer func() { <-places }()
			defer r.leave(job.ID, w)
			r.walk(w.ctx, job)
		})
	}
}

func (r *Runner) adoptOrphans(ctx context.Context) error {
	err := r.config.DB.Write(ctx, func(q *db.Queries) error {
		orphans, err := q.RunningJobs(ctx)
		if err != nil {
			return err
		}
		now := db.Millis(r.config.Now())
		for _, job := range orphans {
			err := errors.Join(
				q.CrashOpenAttempts(ctx, db.CrashOpenAttemptsParams{Reason: "The program ended while this was running.", EndedAt: &now, JobID: job.ID}),
				q.RequeueJob(ctx, db.RequeueJobParams{RunAt: now, ID: job.ID}))
			if err != nil {
				return err
			}
			r.config.Log.InfoContext(ctx, "job resumed", "job", job.ID, "step", job.Step)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("requeue the jobs of the last process: %w", err)
	}
	return nil
}

// claim takes the next due job and gives the context of its work, which Cancel ends.
func (r *Runner) claim(ctx, steps context.Context) (job db.Job, w *work, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.config.DB.Write(ctx, func(q *db.Queries) error {
		job, err = q.ClaimJob(ctx, db.Millis(r.config.Now()))
		return err
	})
	if err != nil {
		return job, nil, err
	}
	w = &work{}
	w.ctx, w.stop = context.WithCancelCause(steps)
	r.running[job.ID] = w
	return job, w, nil
}

// leave ends a goroutine's time with a job. Another one may have claimed the job already: it was queued again before.
func (r *Runner) leave(id int64, w *work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.stop(nil)
	if r.running[id] == w {
		delete(r.running, id)
	}
}

// sleep waits for Wake, for the next job's time, or for ctx.
func (r *Runner) sleep(ctx context.Context) {
	var due <-chan time.Time
	if at, err := r.config.DB.Read().NextRunAt(ctx); err == nil && at > 0 {
		timer := time.NewTimer(max(db.Time(at).Sub(r.config.Now()), time.Millisecond))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-due:
	}
}

// endJob stores the end of a job, and what is owed for it.
func (r *Runner) endJob(ctx context.Context, q *db.Queries, end db.EndJobParams) error {
	if err := q.EndJob(ctx, end); err != nil || r.config.Ended == nil {
		return err
	}
	job, err := q.Job(ctx, end.ID)
	if err != nil {
		return fmt.Errorf("read job %d at its end: %w", end.ID, err)
	}
	return r.config.Ended(ctx, q, job)
}

func (r *Runner) changed(job int64) {
	r.config.Hub.Changed(live.Job(job), live.Jobs, live.Deck)
}

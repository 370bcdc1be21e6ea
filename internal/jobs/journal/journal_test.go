package journal_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/db"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// bench is one data folder over the lives of several runners.
type bench struct {
	t    *testing.T
	path string
	db   *db.DB
	hub  *live.Hub
	owe  func(ctx context.Context, q *db.Queries, job db.Job) error // what the runners store with a job's end; may be nil
	undo *journal.Step                                              // of the kind that the runners know; may be nil
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "app.db"), hub: live.New()}
	var err error
	if b.db, err = db.Open(context.Background(), b.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.db.Close() })
	err = b.db.Write(context.Background(), func(q *db.Queries) error {
		return q.PutPlace(context.Background(), db.PutPlaceParams{ID: "p", Name: "p"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs a runner of one kind, "work", with the given steps, and returns a function that stops it in an orderly way.
func (b *bench) start(steps ...journal.Step) (*journal.Runner, func()) {
	b.t.Helper()
	r := journal.New(journal.Config{
		DB: b.db, Hub: b.hub, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Kinds: []journal.Kind{{Name: "work", Steps: steps, Undo: b.undo}},
		Backoff: func(int) time.Duration { return time.Millisecond }, Ended: b.owe,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("run: %v", err)
		}
	})
	b.t.Cleanup(stop)
	return r, stop
}

func (b *bench) add(r *journal.Runner, claim string) db.Job {
	b.t.Helper()
	var job db.Job
	err := b.db.Write(context.Background(), func(q *db.Queries) (err error) {
		job, err = r.Add(context.Background(), q, journal.NewJob{Kind: "work", Title: "Work", Claim: claim, PlaceID: "p", Args: map[string]int{"n": 7}})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	r.Wake()
	return job
}

// ended waits until the job has ended.
func (b *bench) ended(id int64) db.Job {
	b.t.Helper()
	w := b.hub.Watch(live.Job(id))
	defer w.Close()
	for {
		job, err := b.db.Read().Job(context.Background(), id)
		if err != nil {
			b.t.Fatal(err)
		}
		if job.EndedAt != nil {
			return job
		}
		select {
		case <-w.Wake():
			w.Take()
		case <-time.After(20 * time.Second):
			b.t.Fatalf("job %d is still %s at step %d", id, job.State, job.Step)
		}
	}
}

// outcomes lists how the attempts of the job ended, by step and number.
func (b *bench) outcomes(id int64) []string {
	b.t.Helper()
	rows, err := b.db.Read().Attempts(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	var list []string
	for _, row := range rows {
		list = append(list, row.Outcome)
	}
	return list
}

func does(name string, do func(ctx context.Context, run *journal.Run) error) journal.Step {
	return journal.Step{Name: name, Attempts: 3, Do: do}
}

func TestStepsPassTheirOutputOnAndCommitWithTheirWrites(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, _ := b.start(
		does("one", func(ctx context.Context, run *journal.Run) error {
			var args struct{ N int }
			if err := run.Args(&args); err != nil {
				return err
			}
			run.OnCommit(func(ctx context.Context, q *db.Queries) error {
				return q.SetPlaceTrouble(ctx, db.SetPlaceTroubleParams{Trouble: "written with the step", ID: "p"})
			})
			run.Done(args.N*6, "six times %d", args.N)
			return nil
		}),
		does("two", func(ctx context.Context, run *journal.Run) error {
			var product int
			if _, err := run.Output(ctx, "one", &product); err != nil || product != 42 {
				return errors.Join(err, lora.Errorf(lora.Invalid, "got %d", product))
			}
			return nil
		}))
	job := b.ended(b.add(r, "c").ID)
	place, _ := b.db.Read().Place(context.Background(), "p")
	steps, _ := b.db.Read().Steps(context.Background(), job.ID)
	if job.State != lora.JobDone || place.Trouble != "written with the step" || steps[0].Note != "six times 7" {
		t.Errorf("job %+v, place %+v, note %q", job, place, steps[0].Note)
	}
}

func TestTemporaryFailuresAreTriedAgainAndOthersAreNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tries := 0
	r, _ := b.start(
		does("flaky", func(context.Context, *journal.Run) error {
			if tries++; tries < 3 {
				return lora.Errorf(lora.Throttled, "Rate exceeded.")
			}
			return nil
		}),
		does("wrong", func(context.Context, *journal.Run) error { return lora.Errorf(lora.Invalid, "Rank 128 is too high.") }))
	job := b.ended(b.add(r, "c").ID)
	if job.State != lora.JobFailed || job.Reason != "Rank 128 is too high." {
		t.Errorf("got %s, %q", job.State, job.Reason)
	}
	if diff := cmp.Diff([]string{"again", "again", "done", "failed"}, b.outcomes(job.ID)); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

func TestAttemptsRunOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, _ := b.start(does("down", func(context.Context, *journal.Run) error { return lora.Errorf(lora.Unavailable, "No answer.") }))
	job := b.ended(b.add(r, "c").ID)
	if diff := cmp.Diff([]string{"again", "again", "failed"}, b.outcomes(job.ID)); diff != "" || job.State != lora.JobFailed {
		t.Errorf("%s, attempts (-want +got):\n%s", job.State, diff)
	}
}

func TestAPanicFailsItsJobAndLeaksNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, _ := b.start(does("bad", func(context.Context, *journal.Run) error { panic("secret detail") }))
	job := b.ended(b.add(r, "c").ID)
	if job.State != lora.JobFailed || strings.Contains(job.Reason, "secret") {
		t.Errorf("got %s, %q", job.State, job.Reason)
	}
}

func TestAnOrderlyStopCostsNoAttemptAndResumesAtItsStep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	firsts, inTwo := 0, make(chan struct{})
	one := does("one", func(context.Context, *journal.Run) error { firsts++; return nil })
	r, stop := b.start(one, does("two", func(ctx context.Context, _ *journal.Run) error {
		close(inTwo)
		<-ctx.Done()
		return context.Cause(ctx)
	}))
	job := b.add(r, "c")
	<-inTwo
	stop()
	b.start(one, does("two", func(context.Context, *journal.Run) error { return nil }))
	if got := b.ended(job.ID); got.State != lora.JobDone || firsts != 1 {
		t.Errorf("got %s, step one ran %d times", got.State, firsts)
	}
	if diff := cmp.Diff([]string{"done", "stopped", "done"}, b.outcomes(job.ID)); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

func TestAJobsEndAndWhatIsOwedForItAreStoredTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var told []string
	b.owe = func(ctx context.Context, q *db.Queries, job db.Job) error {
		if told = append(told, job.State); job.EndedAt == nil {
			return errors.New("told before the end")
		}
		return q.SetPlaceTrouble(ctx, db.SetPlaceTroubleParams{Trouble: "owed for " + job.State, ID: "p"})
	}
	tries := 0
	r, _ := b.start(
		does("flaky", func(context.Context, *journal.Run) error {
			if tries++; tries == 2 {
				return lora.Errorf(lora.Throttled, "Rate exceeded.")
			}
			return nil
		}),
		does("last", func(context.Context, *journal.Run) error {
			if tries > 1 {
				return lora.Errorf(lora.Invalid, "No.")
			}
			return nil
		}))
	for _, want := range []string{lora.JobDone, lora.JobFailed} {
		job := b.ended(b.add(r, "c").ID)
		place, err := b.db.Read().Place(t.Context(), "p")
		if err != nil || job.State != want || place.Trouble != "owed for "+want {
			t.Errorf("job is %s, want %s; the place says %q (%v)", job.State, want, place.Trouble, err)
		}
	}
	if diff := cmp.Diff([]string{lora.JobDone, lora.JobFailed}, told); diff != "" {
		t.Errorf("told of ends (-want +got):\n%s", diff)
	}
}

func TestAJobDoesNotEndWithoutWhatIsOwedForIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := make(chan struct{})
	b.owe = func(ctx context.Context, q *db.Queries, job db.Job) error {
		defer close(asked)
		return errors.Join(q.SetPlaceTrouble(ctx, db.SetPlaceTroubleParams{Trouble: "half", ID: "p"}), errors.New("disk full"))
	}
	step := does("one", func(context.Context, *journal.Run) error { return nil })
	r, stop := b.start(step)
	id := b.add(r, "c").ID
	<-asked
	stop()
	job, err := b.db.Read().Job(t.Context(), id)
	place, placeErr := b.db.Read().Place(t.Context(), "p")
	if err != nil || placeErr != nil || job.EndedAt != nil || place.Trouble != "" {
		t.Fatalf("job is %s, the place says %q (%v, %v)", job.State, place.Trouble, err, placeErr)
	}
	b.owe = nil
	b.start(step)
	if got := b.ended(id); got.State != lora.JobDone {
		t.Errorf("after the next start it is %s", got.State)
	}
}

// A killed process leaves its rows as they were: the next one finds them by state alone.
func TestACrashCostsAnAttemptAndResumesAtItsStep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := context.Background()
	step := does("one", func(ctx context.Context, run *journal.Run) error {
		var saved string
		if _, err := run.Output(ctx, "one", &saved); err != nil || saved != "upload id" {
			return errors.Join(err, lora.Errorf(lora.Invalid, "the dead attempt's output is lost: %q", saved))
		}
		return nil
	})
	dead := journal.New(journal.Config{DB: b.db, Hub: b.hub, Kinds: []journal.Kind{{Name: "work", Steps: []journal.Step{step}}}})
	job := b.add(dead, "c")
	err := b.db.Write(ctx, func(q *db.Queries) error { // as far as the dead process came
		_, err := q.ClaimJob(ctx, time.Now().UnixMilli())
		_, attemptErr := q.StartAttempt(ctx, db.StartAttemptParams{JobID: job.ID, StartedAt: 1})
		return errors.Join(err, attemptErr, q.SaveStepOutput(ctx, db.SaveStepOutputParams{Output: `"upload id"`, JobID: job.ID}))
	})
	if err != nil {
		t.Fatal(err)
	}
	b.start(step)
	if got := b.ended(job.ID); got.State != lora.JobDone {
		t.Errorf("got %s, %q", got.State, got.Reason)
	}
	if diff := cmp.Diff([]string{"crashed", "done"}, b.outcomes(job.ID)); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

func TestAJobThatKeepsKillingTheProcessFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := context.Background()
	step := does("one", func(context.Context, *journal.Run) error { return nil })
	dead := journal.New(journal.Config{DB: b.db, Hub: b.hub, Kinds: []journal.Kind{{Name: "work", Steps: []journal.Step{step}}}})
	job := b.add(dead, "c")
	err := b.db.Write(ctx, func(q *db.Queries) error {
		now := int64(2)
		for range 3 {
			if _, err := q.StartAttempt(ctx, db.StartAttemptParams{JobID: job.ID, StartedAt: 1}); err != nil {
				return err
			}
		}
		return q.CrashOpenAttempts(ctx, db.CrashOpenAttemptsParams{EndedAt: &now, JobID: job.ID})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.start(step)
	if got := b.ended(job.ID); got.State != lora.JobFailed {
		t.Errorf("after three crashes: got %s", got.State)
	}
}

func TestJobsWithOneClaimTakeTurnsAndOthersDoNotWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var mu sync.Mutex
	busy, most := map[string]int{}, map[string]int{}
	meet := make(chan struct{})
	r, _ := b.start(does("one", func(ctx context.Context, run *journal.Run) error {
		claim := run.Job.Claim
		mu.Lock()
		busy[claim]++
		most[claim] = max(most[claim], busy[claim])
		mu.Unlock()
		if run.Job.ID <= 2 { // the first of each claim meet: they run at once
			select {
			case meet <- struct{}{}:
			case <-meet:
			case <-time.After(20 * time.Second):
				return lora.Errorf(lora.Internal, "jobs with different claims waited for each other")
			}
		}
		mu.Lock()
		busy[claim]--
		mu.Unlock()
		return nil
	}))
	jobs := []db.Job{b.add(r, "a"), b.add(r, "b"), b.add(r, "a"), b.add(r, "a"), b.add(r, "b")}
	for _, job := range jobs {
		if got := b.ended(job.ID); got.State != lora.JobDone {
			t.Errorf("job %d: %s", job.ID, got.State)
		}
	}
	if most["a"] != 1 || most["b"] != 1 {
		t.Errorf("jobs with one claim ran together: %v", most)
	}
}

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "loradeck")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "loradeck/cmd/web")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program under test: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// instant is where a job is killed: at the first call of an operation while a step is at work, before it reaches the platform
// or after the platform has answered and before the program hears of it.
type instant struct {
	step, operation string
	after           bool
}

func (i instant) String() string {
	when := "before"
	if i.after {
		when = "after"
	}
	return strings.ReplaceAll(i.step, " ", "-") + "/" + i.operation + "/" + when
}

// watchers are the operations that only whoever looks after the deck calls: which step is at work then is chance.
var watchers = []string{"ListEndpoints", "DescribeEndpoint", "DescribeEndpointConfig", "ListInferenceComponents", "ListTags"}

// story is a kind of job, from an adapter that is ready to what must be left.
type story struct {
	name  string
	ready func(ctx context.Context, r *rig, a adapter) error // what comes before the kills
	begin func(ctx context.Context, r *rig, a adapter) (job string, err error)
	only  string // the one step to kill in; "" for all
	state string // of the job in the end
	want  expected
}

func stories(t *testing.T) []story {
	files := sample(t)
	deployed := func(ctx context.Context, r *rig, a adapter) error {
		job, err := r.deploy(ctx, a, files)
		if err != nil {
			return err
		}
		if state, err := r.ended(ctx, job); err != nil || state != "done" {
			return fmt.Errorf("deploy before the kill: %s, %w", state, err)
		}
		return nil
	}
	return []story{
		{
			name:  "deploy",
			ready: func(context.Context, *rig, adapter) error { return nil },
			begin: func(ctx context.Context, r *rig, a adapter) (string, error) { return r.deploy(ctx, a, files) },
			state: "done", want: expected{components: 1, objects: 1, deployments: 1, proofs: 1},
		},
		{
			name:  "remove",
			ready: deployed,
			begin: func(ctx context.Context, r *rig, a adapter) (string, error) {
				return r.post(ctx, "/remove?"+url.Values{"place": {place}, "component": {a.component()}}.Encode(), nil)
			},
			state: "done", want: expected{objects: 1, proofs: 1},
		},
		{
			name:  "cancel",
			ready: func(context.Context, *rig, adapter) error { return nil },
			begin: func(ctx context.Context, r *rig, a adapter) (string, error) {
				job, err := r.deploy(ctx, a, files)
				if err != nil {
					return "", err
				}
				err = await(ctx, "the proof begins", func() (bool, error) {
					n, err := r.rows(ctx, "SELECT count(*) FROM step WHERE job_id = ? AND name = 'prove' AND state = 'running'", filepath.Base(job))
					return n > 0, err
				})
				if err != nil {
					return "", err
				}
				_, err = r.post(ctx, job+"/cancel", nil)
				return job, err
			},
			only: "clean up", state: "cancelled", want: expected{objects: 1},
		},
	}
}

// TestAKillAtAnyInstantLosesSticksAndDoublesNothing first runs each story undisturbed to learn which calls each step makes, and
// then once for each of them and each side of it.
func TestAKillAtAnyInstantLosesSticksAndDoublesNothing(t *testing.T) {
	p := testPlatform(t)
	for _, s := range stories(t) {
		t.Run(s.name, func(t *testing.T) {
			instants := rehearse(t, p, s)
			t.Logf("%d instants", len(instants))
			turns := make(chan struct{}, 3)
			for _, at := range instants {
				t.Run(at.String(), func(t *testing.T) {
					t.Parallel()
					turns <- struct{}{}
					defer func() { <-turns }()
					if at.operation == "CreateBucket" { // only the first deployment in a place makes it
						killAt(t, testPlatform(t), s, at)
						return
					}
					killAt(t, p, s, at)
				})
			}
		})
	}
}

// rehearse gives the instants of a story.
func rehearse(t *testing.T, p *platform, s story) []instant {
	t.Helper()
	ctx := t.Context()
	r := testRig(t, p)
	a := adapter{name: "dry-" + s.name, tenant: "t-dry-" + s.name}
	if err := s.ready(ctx, r, a); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var found []instant
	r.proxy.watch(func(c call) {
		step := r.stepNow(ctx)
		if slices.Contains(watchers, c.operation) || s.only != "" && step != s.only {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, after := range []bool{false, true} {
			if at := (instant{step, c.operation, after}); step != "" && !slices.Contains(found, at) {
				found = append(found, at)
			}
		}
	})
	job, err := s.begin(ctx, r, a)
	if err != nil {
		t.Fatal(err)
	}
	if state, err := r.ended(ctx, job); err != nil || state != s.state {
		t.Fatalf("undisturbed it is %s: %v", state, err)
	}
	r.proxy.watch(nil)
	if err := r.count(ctx, p, a, s.want); err != nil {
		t.Fatalf("undisturbed: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	return found
}

// killAt runs a story and kills the dashboard at an instant.
func killAt(t *testing.T, p *platform, s story, at instant) {
	ctx := t.Context()
	r := testRig(t, p)
	id := strings.ToLower(strings.NewReplacer("/", "-", " ", "-").Replace(s.name + "-" + at.String()))
	a := adapter{name: id, tenant: "t-" + id}
	if err := s.ready(ctx, r, a); err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	var once sync.Once
	r.proxy.watch(func(c call) {
		if c.operation != at.operation || r.stepNow(ctx) != at.step {
			return
		}
		once.Do(func() {
			if at.after {
				c.reply()
			}
			r.die()
			close(dead)
		})
	})
	job, err := s.begin(ctx, r, a)
	if err != nil {
		t.Fatal(err)
	}
	err = await(ctx, "the instant comes", func() (bool, error) {
		select {
		case <-dead:
			return true, nil
		default:
		}
		state, err := r.text(ctx, "SELECT state FROM job WHERE id = ? AND ended_at IS NOT NULL", filepath.Base(job))
		if state != "" {
			err = fmt.Errorf("the job ended as %s before the instant came", state)
		}
		return false, err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.proxy.watch(nil)
	if err := r.revive(ctx); err != nil {
		t.Fatal(err)
	}
	if state, err := r.ended(ctx, job); err != nil || state != s.state {
		reason, _ := r.text(ctx, "SELECT reason FROM job WHERE id = ?", filepath.Base(job))
		t.Errorf("the job is %s (%s): %v", state, reason, err)
	}
	if err := r.count(ctx, p, a, s.want); err != nil {
		t.Error(err)
	}
	if err := r.leftovers(); err != nil {
		t.Error(err)
	}
}

func testPlatform(t *testing.T) *platform {
	t.Helper()
	p, err := startPlatform(t.Context(), binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func testRig(t *testing.T, p *platform) *rig {
	t.Helper()
	r, err := startRig(t.Context(), binary, t.TempDir(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("log of the dashboard:\n%s", r.log)
		}
	})
	return r
}

// sample gives the files of a demo adapter.
func sample(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := sampleFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

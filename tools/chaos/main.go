// Command chaos deploys adapters through the real binary while it is killed again and again, and counts in the end: no
// component, object or row may be lost, stuck or doubled. The platform runs in a process of its own and is never killed; the
// dashboard speaks to it through a proxy that kills it before a call is forwarded or after it was answered, and at random times
// besides.
//
//	go run ./tools/chaos -binary bin/loradeck -n 20 -seed 1
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"loradeck/internal/local/demo"
)

func main() {
	binary := flag.String("binary", "bin/loradeck", "the program under test")
	n := flag.Int("n", 20, "deployments")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random instants")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("chaos: %d deployments, seed %d\n", *n, *seed)
	kills, err := run(ctx, *binary, *n, *seed)
	if err != nil {
		fmt.Printf("chaos: %d kills, and something is wrong (seed %d):\n%v\n", kills, *seed, err)
		os.Exit(1)
	}
	fmt.Printf("chaos: %d deployments proven through %d kills; nothing lost, stuck or doubled (seed %d)\n", *n, kills, *seed)
}

// run deploys n adapters under random kills and counts.
func run(ctx context.Context, binary string, n int, seed uint64) (kills int, err error) {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	p, err := startPlatform(ctx, binary, filepath.Join(dir, "platform"))
	if err != nil {
		return 0, err
	}
	defer p.kill()
	r, err := startRig(ctx, binary, filepath.Join(dir, "deck"), p)
	if err != nil {
		return 0, err
	}
	defer r.stop()
	files, err := sampleFiles()
	if err != nil {
		return 0, err
	}
	// The uploads come first: here the jobs are under attack, and the browser tests attack uploads.
	adapters, pages := make([]adapter, n), make([]string, n)
	for i := range adapters {
		adapters[i] = adapter{name: fmt.Sprintf("chaos-%d-%d", seed%1000, i), tenant: fmt.Sprintf("t-%d", i)}
		if pages[i], err = r.upload(ctx, adapters[i].name, files); err != nil {
			return 0, err
		}
	}
	attack := newAttack(r, seed)
	attack.begin(ctx)
	jobs := make([]string, n)
	for i, a := range adapters {
		if jobs[i], err = r.ship(ctx, a, pages[i]); err != nil {
			return attack.end(ctx), err
		}
	}
	// While jobs remain the kills go on; the last ones end in peace, or a kill could fall into the count.
	err = await(ctx, "half of the jobs end under attack", func() (bool, error) {
		left, err := r.rows(ctx, "SELECT count(*) FROM job WHERE ended_at IS NULL")
		return left <= n/4, err
	})
	kills = attack.end(ctx)
	if err != nil {
		return kills, err
	}
	for i, a := range adapters {
		state, err := r.ended(ctx, jobs[i])
		if err != nil {
			return kills, err
		}
		if state != "done" {
			reason, _ := r.text(ctx, "SELECT reason FROM job WHERE id = ?", filepath.Base(jobs[i]))
			return kills, fmt.Errorf("%s: job is %s: %s", a.name, state, reason)
		}
		if err := r.count(ctx, p, a, expected{components: 1, objects: 1, deployments: 1, proofs: 1}); err != nil {
			return kills, err
		}
	}
	return kills, r.leftovers()
}

// attack kills a rig's dashboard at random calls, and starts it again.
type attack struct {
	rig *rig

	mu     sync.Mutex // guards the rest
	random *rand.Rand
	left   int // calls until the next kill
	dead   chan struct{}
	over   bool
	done   sync.WaitGroup
}

func newAttack(r *rig, seed uint64) *attack {
	a := &attack{rig: r, random: rand.New(rand.NewPCG(seed, 0)), dead: make(chan struct{}, 1)}
	a.left = a.next()
	return a
}

// next gives how many calls pass until the next kill: enough for the jobs to get on between two.
func (a *attack) next() int { return 20 + a.random.IntN(150) }

func (a *attack) begin(ctx context.Context) {
	a.rig.proxy.watch(func(c call) {
		a.mu.Lock()
		a.left--
		kill, after := a.left == 0 && !a.over, a.random.IntN(2) == 1
		a.mu.Unlock()
		if !kill {
			return
		}
		if after {
			c.reply()
		}
		a.rig.die()
		a.dead <- struct{}{}
	})
	a.done.Go(func() {
		for range a.dead {
			if err := a.rig.revive(ctx); err != nil {
				fmt.Println("chaos: the dashboard does not start again:", err)
				return
			}
			a.mu.Lock()
			a.left = a.next()
			a.mu.Unlock()
		}
	})
}

// end stops the kills and gives how many there were.
func (a *attack) end(context.Context) int {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.rig.proxy.watch(nil)
	close(a.dead)
	a.done.Wait()
	return a.rig.kills
}

// stepNow names the step that the newest job is at, "" when none is at work.
func (r *rig) stepNow(ctx context.Context) string {
	step, err := r.text(ctx, "SELECT s.name FROM step s JOIN job j ON j.id = s.job_id WHERE s.state = 'running' AND j.ended_at IS NULL ORDER BY j.id DESC LIMIT 1")
	if err != nil {
		return ""
	}
	return step
}

func sampleFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	source := demo.Samples()[0].Files
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(source, name)
		return err
	})
	return files, err
}

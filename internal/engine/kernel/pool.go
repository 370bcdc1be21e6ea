package kernel

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs loops over rows on a fixed set of goroutines. The caller works too and waits only for chunks that a worker has
// already claimed, so a worker the system has not scheduled costs nothing. Idle workers spin for some microseconds between
// the many small regions of a forward pass, then park.
type Pool struct {
	threads int
	current atomic.Pointer[region]
	parked  []atomic.Bool
	wake    []chan struct{}
	stop    atomic.Bool
	workers sync.WaitGroup
}

// region is one parallel loop.
type region struct {
	do             func(lo, hi int)
	size, unit     int
	chunks         int64
	next, finished atomic.Int64
	panicked       atomic.Pointer[string]
}

const (
	// spins is how often an idle worker looks for work before it parks.
	spins = 20_000
	// smallRegion is the number of multiply-adds below which handing out chunks costs more than it gains: measured on a
	// model of 4.5M parameters, where two threads were slower than one.
	smallRegion = 500_000
)

// NewPool starts threads-1 workers; 0 means as many threads as the Go scheduler has processors. Close it when done.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, wake: make([]chan struct{}, threads-1), parked: make([]atomic.Bool, threads-1)}
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		p.workers.Go(func() { p.work(i) })
	}
	return p
}

// Threads is how many goroutines share the work, the caller among them.
func (p *Pool) Threads() int { return p.threads }

// Run calls do for chunks that cover 0 to size; all but the last are multiples of grain. cost is a rough count of
// multiply-adds: small regions stay on the calling goroutine. Only one Run may be under way at a time. A panic in a chunk
// is raised again in the caller.
func (p *Pool) Run(size, grain, cost int, do func(lo, hi int)) {
	if p.threads == 1 || cost < smallRegion || size <= grain {
		do(0, size)
		return
	}
	grain = max(grain, 1)
	unit := max(grain, (size/(p.threads*4)+grain-1)/grain*grain)
	r := &region{do: do, size: size, unit: unit, chunks: int64((size + unit - 1) / unit)}
	p.current.Store(r)
	for i := range p.wake {
		if p.parked[i].Load() {
			select {
			case p.wake[i] <- struct{}{}:
			default:
			}
		}
	}
	r.run()
	for n := 0; r.finished.Load() != r.chunks; n++ {
		if n > spins {
			runtime.Gosched()
		}
	}
	if message := r.panicked.Load(); message != nil {
		panic(*message)
	}
}

// Close ends the workers and waits for them. No Run may be under way.
func (p *Pool) Close() {
	p.stop.Store(true)
	for i := range p.wake {
		select {
		case p.wake[i] <- struct{}{}:
		default:
		}
	}
	p.workers.Wait()
}

func (p *Pool) work(i int) {
	var seen *region
	for n := 0; !p.stop.Load(); n++ {
		if r := p.current.Load(); r != seen {
			seen, n = r, 0
			r.run()
		}
		if n > spins {
			p.parked[i].Store(true)
			if p.current.Load() == seen && !p.stop.Load() {
				<-p.wake[i]
			}
			p.parked[i].Store(false)
			n = 0
		}
	}
}

// run takes chunks until none is left.
func (r *region) run() {
	for {
		chunk := r.next.Add(1) - 1
		if chunk >= r.chunks {
			return
		}
		r.chunk(int(chunk) * r.unit)
	}
}

func (r *region) chunk(lo int) {
	defer func() {
		if cause := recover(); cause != nil {
			message := fmt.Sprint(cause)
			r.panicked.Store(&message)
		}
		r.finished.Add(1)
	}()
	r.do(lo, min(lo+r.unit, r.size))
}

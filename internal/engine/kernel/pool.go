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

// region is one parallel loop. Each goroutine begins with a span of its own, because weights come fastest from memory when
// each core reads on where it is, and helps in the others' when it has done with it.
type region struct {
	do       func(lo, hi int)
	grain    int
	spans    []span
	finished atomic.Int64 // rows
	panicked atomic.Pointer[string]
}

// span is a part of a region. What is left of it is claimed from its start.
type span struct {
	next atomic.Int64
	end  int64
	_    [48]byte // a cache line for each
}

const (
	// spins is how often an idle worker looks for work before it parks.
	spins = 20_000
	// smallRegion is the number of multiply-adds below which handing out chunks costs more than it gains: some two
	// microseconds of two cores that read weights from memory.
	smallRegion = 50_000
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

// Run calls do for chunks that cover 0 to size; all but the last are multiples of grain. cost is a rough count of
// multiply-adds: small regions stay on the calling goroutine. Only one Run may be under way at a time. A panic in a chunk
// is raised again in the caller.
func (p *Pool) Run(size, grain, cost int, do func(lo, hi int)) {
	if p.threads == 1 || cost < smallRegion || size <= grain {
		do(0, size)
		return
	}
	r := newRegion(size, max(grain, 1), p.threads, do)
	p.current.Store(r)
	for i := range p.wake {
		if p.parked[i].Load() {
			select {
			case p.wake[i] <- struct{}{}:
			default:
			}
		}
	}
	r.run(0)
	for n := 0; r.finished.Load() != int64(size); n++ {
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
			r.run(i + 1)
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

func newRegion(size, grain, threads int, do func(lo, hi int)) *region {
	r := &region{do: do, grain: grain, spans: make([]span, threads)}
	grains, at := (size+grain-1)/grain, 0
	for i := range r.spans {
		s := &r.spans[i]
		s.next.Store(int64(at))
		at = min(size, (i+1)*grains/threads*grain)
		s.end = int64(at)
	}
	return r
}

// run takes chunks of span own, then of those after it, until none is left. The owner takes most of what is left of a span and a helper
// half of it, so that the last chunks are small and all end at about the same time.
func (r *region) run(own int) {
	for i := range r.spans {
		s, share := &r.spans[(own+i)%len(r.spans)], 0.75
		if i > 0 {
			share = 0.5
		}
		for lo, hi := s.claim(r.grain, share); lo < hi; lo, hi = s.claim(r.grain, share) {
			r.chunk(lo, hi)
		}
	}
}

// claim takes a share of what is left, in whole grains and at least one; lo is hi when nothing is left.
func (s *span) claim(grain int, share float64) (lo, hi int) {
	for {
		next := s.next.Load()
		lo, left := int(next), int(s.end-next)
		if left <= 0 {
			return lo, lo
		}
		hi := lo + min(left, max(1, int(share*float64(left))/grain)*grain)
		if s.next.CompareAndSwap(next, int64(hi)) {
			return lo, hi
		}
	}
}

func (r *region) chunk(lo, hi int) {
	defer func() {
		if cause := recover(); cause != nil {
			message := fmt.Sprint(cause)
			r.panicked.Store(&message)
		}
		r.finished.Add(int64(hi - lo))
	}()
	r.do(lo, hi)
}

package kernel

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// shared is a cost that is always shared out.
const shared = smallRegion

func TestPoolCoversEveryRowOnce(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 2, 5, 16} {
		p := NewPool(threads)
		for _, grain := range []int{0, 1, 3, 8, 64} {
			for _, size := range []int{0, 1, 7, 8, 9, 17, 100, 1001} {
				counts := make([]atomic.Int32, size)
				p.Run(size, grain, shared, func(lo, hi int) {
					if whole := max(grain, 1); lo%whole != 0 || hi%whole != 0 && hi != size {
						t.Errorf("%d threads, %d rows, grain %d: a chunk from %d to %d", threads, size, grain, lo, hi)
					}
					for i := lo; i < hi; i++ {
						counts[i].Add(1)
					}
				})
				for i := range counts {
					if n := counts[i].Load(); n != 1 {
						t.Fatalf("%d threads, %d rows, grain %d: row %d was done %d times", threads, size, grain, i, n)
					}
				}
			}
		}
		p.Close()
	}
}

// meet makes a region that ends only when so many goroutines are in it at once.
func meet(p *Pool, goroutines int, then func()) {
	var inside atomic.Int32
	p.Run(goroutines, 1, shared, func(int, int) {
		for inside.Add(1); inside.Load() < int32(goroutines); {
			runtime.Gosched()
		}
		then()
	})
}

func TestParkedWorkersAreWoken(t *testing.T) {
	t.Parallel()
	p := NewPool(4)
	defer p.Close() // with all of them parked
	for range 3 {
		for i := range p.parked {
			for !p.parked[i].Load() {
				runtime.Gosched()
			}
		}
		meet(p, p.threads, func() {})
	}
}

func TestPoolRaisesPanicsInTheCallerAndGoesOn(t *testing.T) {
	t.Parallel()
	p := NewPool(3)
	defer p.Close()
	for range 3 {
		func() {
			defer func() {
				if cause := recover(); cause != "chunk" {
					t.Errorf("the caller's panic is %v", cause)
				}
			}()
			meet(p, p.threads, func() { panic("chunk") })
		}()
		meet(p, p.threads, func() {})
	}
}

package kernel

import (
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// guarded is room for n values that ends where no memory is: whoever reads or writes one more ends the process.
func guarded[T uint16 | float32](t *testing.T, n int) []T {
	t.Helper()
	page, size := os.Getpagesize(), n*int(unsafe.Sizeof(T(0)))
	room := (size + page - 1) &^ (page - 1)
	memory, err := syscall.Mmap(-1, 0, room+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mprotect(memory[room:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[room-size])), n)
}

func TestNoKernelReachesBehindItsOperands(t *testing.T) {
	t.Parallel()
	const most = 40 * 200
	float, half, in, out := guarded[float32](t, most), guarded[uint16](t, most), guarded[float32](t, most), guarded[float32](t, most)
	last := func(values []float32, n int) []float32 { return values[most-n:] }
	for _, n := range sizes {
		for _, rows := range []int{1, 3, 4, 7, 8, 9, 15, 16, 29} {
			f32, bf16 := last(float, rows*n), half[most-rows*n:]
			for _, tokens := range []int{1, 2, 3, 5, 6, 8, 25, 30} {
				x, y := last(in, tokens*n), last(out, tokens*rows)
				(&Matrix{Rows: rows, Cols: n, F32: f32}).Mul(y, rows, x, n, tokens, 0, rows)
				(&Matrix{Rows: rows, Cols: n, BF16: bf16}).Mul(y, rows, x, n, tokens, 0, rows)
			}
			Dots(last(out, rows), f32, n, last(in, n))
			Mix(last(out, n), f32, n, last(in, rows))
			MixBF16(last(out, n), bf16, n, last(in, rows))
		}
		ExpSum(last(out, n), 0, 1)
		SiLUMul(last(out, n), last(in, n))
	}
}

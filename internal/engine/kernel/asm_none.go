//go:build !amd64 || purego

package kernel

import "unsafe"

const (
	accelerated = false
	wide        = false
)

// None of these is reached while accelerated is false.

func dot1F32(w, x *float32, k int) float32          { panic("kernel: no assembly") }
func dot1BF16(w *uint16, x *float32, k int) float32 { panic("kernel: no assembly") }
func dot8F32(w *float32, stride uintptr, x *float32, k int, out *float32) {
	panic("kernel: no assembly")
}

func dot8BF16(w *uint16, stride uintptr, x *float32, k int, out *float32) {
	panic("kernel: no assembly")
}

func dot4x3F32(w *float32, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr) {
	panic("kernel: no assembly")
}

func dot4x3BF16(w *uint16, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr) {
	panic("kernel: no assembly")
}

func dot8x6F32(w *float32, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr) {
	panic("kernel: no assembly")
}

func dot8x6BF16(w *uint16, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr) {
	panic("kernel: no assembly")
}

func widen(to *float32, from *uint16, n int) { panic("kernel: no assembly") }
func prefetch(p unsafe.Pointer, bytes int)   { panic("kernel: no assembly") }

func mixF32(y, m *float32, stride uintptr, weights *float32, rows, n int) {
	panic("kernel: no assembly")
}

func mixBF16(y *float32, m *uint16, stride uintptr, weights *float32, rows, n int) {
	panic("kernel: no assembly")
}

func expSum(s *float32, n int, top, scale float32) float32 { panic("kernel: no assembly") }
func siluMul(gate, up *float32, n int)                     { panic("kernel: no assembly") }

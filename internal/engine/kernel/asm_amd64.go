//go:build amd64 && !purego

package kernel

import "unsafe"

// accelerated says that this machine has AVX2 and FMA and that its system saves the wide registers.
var accelerated = cpuHasAVX2AndFMA()

// wide says that it has AVX-512 too, the parts F, DQ, BW and VL of it.
var wide = accelerated && cpuHasAVX512()

func cpuHasAVX2AndFMA() bool

func cpuHasAVX512() bool

// The kernels below read only the first multiple of eight of k or n; strides are in bytes.

//go:noescape
func dot1F32(w, x *float32, k int) float32

//go:noescape
func dot1BF16(w *uint16, x *float32, k int) float32

//go:noescape
func dot8F32(w *float32, stride uintptr, x *float32, k int, out *float32)

//go:noescape
func dot8BF16(w *uint16, stride uintptr, x *float32, k int, out *float32)

//go:noescape
func dot4x3F32(w *float32, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)

//go:noescape
func dot4x3BF16(w *uint16, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)

//go:noescape
func dot8x6F32(w *float32, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)

//go:noescape
func dot8x6BF16(w *uint16, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)

//go:noescape
func widen(to *float32, from *uint16, n int)

// prefetch asks for bytes from p in the second-level cache; there must be some.
//
//go:noescape
func prefetch(p unsafe.Pointer, bytes int)

//go:noescape
func mixF32(y, m *float32, stride uintptr, weights *float32, rows, n int)

//go:noescape
func mixBF16(y *float32, m *uint16, stride uintptr, weights *float32, rows, n int)

//go:noescape
func expSum(s *float32, n int, top, scale float32) float32

//go:noescape
func siluMul(gate, up *float32, n int)

//go:build amd64 && !purego

#include "textflag.h"

// Kernels for AVX-512. A register holds the eight sums of one vector in its lower half and those of the next in its upper half, so that
// every result has the bits that the AVX2 kernels give it.

// Where VPSHUFB finds the bytes of eight float32 in eight bfloat16 that are in all four lanes: the first four in lanes 0 and 2, the others in
// lanes 1 and 3; 0x80 is a zero.
DATA widen<>+0(SB)/8, $0x0302808001008080
DATA widen<>+8(SB)/8, $0x0706808005048080
DATA widen<>+16(SB)/8, $0x0b0a808009088080
DATA widen<>+24(SB)/8, $0x0f0e80800d0c8080
DATA widen<>+32(SB)/8, $0x0302808001008080
DATA widen<>+40(SB)/8, $0x0706808005048080
DATA widen<>+48(SB)/8, $0x0b0a808009088080
DATA widen<>+56(SB)/8, $0x0f0e80800d0c8080
GLOBL widen<>(SB), RODATA|NOPTR, $64

// Eight weights become float32, twice.
#define TWICE_F32(from, to) VBROADCASTF32X8 from, to
#define TWICE_BF16(from, to) \
	VBROADCASTI32X4 from, to; \
	VPSHUFB Z31, to, to

// One row's weights, in w, times the six vectors.
#define ROW8X6(w, a, b, c) \
	VFMADD231PS w, Z24, a; \
	VFMADD231PS w, Z25, b; \
	VFMADD231PS w, Z26, c

// Eight columns of two vectors.
#define PAIR(first, second, low, both) \
	VMOVUPS first, low; \
	VINSERTF64X4 $1, second, both, both

// Adds neighbours of a and b, as VHADDPS does, into a. Clobbers Z27.
#define NEIGHBOURS(a, b) \
	VSHUFPS $0xdd, b, a, Z27; \
	VSHUFPS $0x88, b, a, a; \
	VADDPS Z27, a, a

// The totals of four rows' accumulators, to the places of the first and the second vector. Clobbers X27 to X30.
#define STORE4X2(a, b, c, d, first, second) \
	NEIGHBOURS(a, b); \
	NEIGHBOURS(c, d); \
	NEIGHBOURS(a, c); \
	VEXTRACTF32X4 $1, a, X27; \
	VEXTRACTF32X4 $2, a, X28; \
	VEXTRACTF32X4 $3, a, X29; \
	VEXTRACTF32X4 $0, a, X30; \
	VADDPS X27, X30, X30; \
	VADDPS X29, X28, X28; \
	VMOVUPS X30, first; \
	VMOVUPS X28, second

#define CLEAR8(a, b, c, d, e, f, g, h) \
	VPXORQ a, a, a; \
	VPXORQ b, b, b; \
	VPXORQ c, c, c; \
	VPXORQ d, d, d; \
	VPXORQ e, e, e; \
	VPXORQ f, f, f; \
	VPXORQ g, g, g; \
	VPXORQ h, h, h

// Eight rows times six vectors. TWICE reads eight weights; step is how many bytes they take.
#define DOT8X6(TWICE, step) \
	MOVQ w+0(FP), AX; \
	MOVQ stride+8(FP), R8; \
	MOVQ x+16(FP), SI; \
	MOVQ xStride+24(FP), R10; \
	MOVQ k+32(FP), CX; \
	MOVQ out+40(FP), DI; \
	MOVQ outStride+48(FP), R11; \
	LEAQ (R8)(R8*2), R9; \
	LEAQ (AX)(R8*4), BX; \
	LEAQ (R10)(R10*2), R13; \
	LEAQ (SI)(R13*1), DX; \
	VMOVDQU64 widen<>(SB), Z31; \
	CLEAR8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7); \
	CLEAR8(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	CLEAR8(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23); \
	SHRQ $3, CX; \
	JZ done; \
loop: \
	PAIR((SI), (SI)(R10*1), Y24, Z24); \
	PAIR((SI)(R10*2), (DX), Y25, Z25); \
	PAIR((DX)(R10*1), (DX)(R10*2), Y26, Z26); \
	TWICE((AX), Z27); \
	TWICE((AX)(R8*1), Z28); \
	TWICE((AX)(R8*2), Z29); \
	TWICE((AX)(R9*1), Z30); \
	ROW8X6(Z27, Z0, Z8, Z16); \
	ROW8X6(Z28, Z1, Z9, Z17); \
	ROW8X6(Z29, Z2, Z10, Z18); \
	ROW8X6(Z30, Z3, Z11, Z19); \
	TWICE((BX), Z27); \
	TWICE((BX)(R8*1), Z28); \
	TWICE((BX)(R8*2), Z29); \
	TWICE((BX)(R9*1), Z30); \
	ROW8X6(Z27, Z4, Z12, Z20); \
	ROW8X6(Z28, Z5, Z13, Z21); \
	ROW8X6(Z29, Z6, Z14, Z22); \
	ROW8X6(Z30, Z7, Z15, Z23); \
	ADDQ $32, SI; \
	ADDQ $32, DX; \
	ADDQ $step, AX; \
	ADDQ $step, BX; \
	DECQ CX; \
	JNZ loop; \
done: \
	LEAQ (R11)(R11*2), R13; \
	LEAQ (DI)(R13*1), DX; \
	STORE4X2(Z0, Z1, Z2, Z3, (DI), (DI)(R11*1)); \
	STORE4X2(Z4, Z5, Z6, Z7, 16(DI), 16(DI)(R11*1)); \
	STORE4X2(Z8, Z9, Z10, Z11, (DI)(R11*2), (DX)); \
	STORE4X2(Z12, Z13, Z14, Z15, 16(DI)(R11*2), 16(DX)); \
	STORE4X2(Z16, Z17, Z18, Z19, (DX)(R11*1), (DX)(R11*2)); \
	STORE4X2(Z20, Z21, Z22, Z23, 16(DX)(R11*1), 16(DX)(R11*2)); \
	VZEROUPPER; \
	RET

// func dot8x6F32(w *float32, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)
TEXT ·dot8x6F32(SB), NOSPLIT, $0-56
	DOT8X6(TWICE_F32, 32)

// func dot8x6BF16(w *uint16, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)
TEXT ·dot8x6BF16(SB), NOSPLIT, $0-56
	DOT8X6(TWICE_BF16, 16)

// func widen(to *float32, from *uint16, n int)
TEXT ·widen(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ n+16(FP), CX
	SHRQ $5, CX
	JZ few
loop:
	VPMOVZXWD (SI), Z0
	VPMOVZXWD 32(SI), Z1
	VPSLLD $16, Z0, Z0
	VPSLLD $16, Z1, Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $64, SI
	ADDQ $128, DI
	DECQ CX
	JNZ loop
few:
	MOVQ n+16(FP), CX
	ANDQ $24, CX
	JZ done
eight:
	VPMOVZXWD (SI), Y0
	VPSLLD $16, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ eight
done:
	VZEROUPPER
	RET

// func prefetch(p unsafe.Pointer, bytes int)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), AX
	MOVQ bytes+8(FP), CX
	ADDQ AX, CX
loop:
	PREFETCHT1 (AX)
	ADDQ $64, AX
	CMPQ AX, CX
	JLT loop
	RET

// func cpuHasAVX512() bool
TEXT ·cpuHasAVX512(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JLT no
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $0x08000000, CX // OSXSAVE
	JZ no
	XORL CX, CX
	XGETBV
	ANDL $0xe6, AX // the system saves XMM, YMM, ZMM and the mask registers
	CMPL AX, $0xe6
	JNE no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	ANDL $0xc0030000, BX // AVX512F, AVX512DQ, AVX512BW, AVX512VL
	CMPL BX, $0xc0030000
	JNE no
	MOVB $1, ret+0(FP)
no:
	RET

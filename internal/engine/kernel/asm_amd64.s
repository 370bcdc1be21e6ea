//go:build amd64 && !purego

#include "textflag.h"

// Every dot product here keeps eight sums, one per lane, over columns 0,8,16…, 1,9,17… and so on, and adds them as
// ((0+1)+(2+3))+((4+5)+(6+7)). All kernels and the plain-Go form share that order.

#define ZERO4(a, b, c, d) \
	VXORPS a, a, a; \
	VXORPS b, b, b; \
	VXORPS c, c, c; \
	VXORPS d, d, d

// The totals of four accumulators a to d, of which low is the lower half of a; they end in low. Clobbers X12.
#define TOTALS(a, b, c, d, low) \
	VHADDPS b, a, a; \
	VHADDPS d, c, c; \
	VHADDPS c, a, a; \
	VEXTRACTF128 $1, a, X12; \
	VADDPS X12, low, low

// The total of Y0, in X0, in the same tree. Clobbers X12.
#define TOTAL \
	VHADDPS Y0, Y0, Y0; \
	VHADDPS Y0, Y0, Y0; \
	VEXTRACTF128 $1, Y0, X12; \
	VADDPS X12, X0, X0

// Where VPSHUFB finds the bytes of eight float32 in eight bfloat16 that are in both lanes: the first four in the lower lane; 0x80 is a zero.
DATA halves<>+0(SB)/8, $0x0302808001008080
DATA halves<>+8(SB)/8, $0x0706808005048080
DATA halves<>+16(SB)/8, $0x0b0a808009088080
DATA halves<>+24(SB)/8, $0x0f0e80800d0c8080
GLOBL halves<>(SB), RODATA|NOPTR, $32

// Eight bfloat16 become eight float32; mask is halves, in a register where one is free. It takes one step of the units that shuffle, where
// VPMOVZXWD and a shift take two.
#define WIDEN(mask, from, to) \
	VBROADCASTI128 from, to; \
	VPSHUFB mask, to, to

// func dot1F32(w, x *float32, k int) float32
TEXT ·dot1F32(SB), NOSPLIT, $0-28
	MOVQ w+0(FP), AX
	MOVQ x+8(FP), SI
	MOVQ k+16(FP), CX
	VXORPS Y0, Y0, Y0
	SHRQ $3, CX
	JZ done
loop:
	VMOVUPS (SI), Y8
	VFMADD231PS (AX), Y8, Y0
	ADDQ $32, SI
	ADDQ $32, AX
	DECQ CX
	JNZ loop
done:
	TOTAL
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func dot1BF16(w *uint16, x *float32, k int) float32
TEXT ·dot1BF16(SB), NOSPLIT, $0-28
	MOVQ w+0(FP), AX
	MOVQ x+8(FP), SI
	MOVQ k+16(FP), CX
	VMOVDQU halves<>(SB), Y15
	VXORPS Y0, Y0, Y0
	SHRQ $3, CX
	JZ done
loop:
	WIDEN(Y15, (AX), Y9)
	VMOVUPS (SI), Y8
	VFMADD231PS Y9, Y8, Y0
	ADDQ $32, SI
	ADDQ $16, AX
	DECQ CX
	JNZ loop
done:
	TOTAL
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func dot8F32(w *float32, stride uintptr, x *float32, k int, out *float32)
TEXT ·dot8F32(SB), NOSPLIT, $0-40
	MOVQ w+0(FP), AX
	MOVQ stride+8(FP), R8
	MOVQ x+16(FP), SI
	MOVQ k+24(FP), CX
	MOVQ out+32(FP), DI
	LEAQ (R8)(R8*2), R9  // three strides
	LEAQ (AX)(R8*4), BX  // rows 4 to 7
	LEAQ (AX)(R8*8), R10 // the eight rows after these, prefetched one after another
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
	SHRQ $3, CX
	JZ done
loop:
	PREFETCHT0 (R10)
	PREFETCHT0 64(R10)
	PREFETCHT0 128(R10)
	PREFETCHT0 192(R10)
	VMOVUPS (SI), Y8
	VFMADD231PS (AX), Y8, Y0
	VFMADD231PS (AX)(R8*1), Y8, Y1
	VFMADD231PS (AX)(R8*2), Y8, Y2
	VFMADD231PS (AX)(R9*1), Y8, Y3
	VFMADD231PS (BX), Y8, Y4
	VFMADD231PS (BX)(R8*1), Y8, Y5
	VFMADD231PS (BX)(R8*2), Y8, Y6
	VFMADD231PS (BX)(R9*1), Y8, Y7
	ADDQ $32, SI
	ADDQ $32, AX
	ADDQ $256, R10
	ADDQ $32, BX
	DECQ CX
	JNZ loop
done:
	TOTALS(Y0, Y1, Y2, Y3, X0)
	VMOVUPS X0, (DI)
	TOTALS(Y4, Y5, Y6, Y7, X4)
	VMOVUPS X4, 16(DI)
	VZEROUPPER
	RET

// func dot8BF16(w *uint16, stride uintptr, x *float32, k int, out *float32)
TEXT ·dot8BF16(SB), NOSPLIT, $0-40
	MOVQ w+0(FP), AX
	MOVQ stride+8(FP), R8
	MOVQ x+16(FP), SI
	MOVQ k+24(FP), CX
	MOVQ out+32(FP), DI
	LEAQ (R8)(R8*2), R9
	LEAQ (AX)(R8*4), BX
	LEAQ (AX)(R8*8), R10
	VMOVDQU halves<>(SB), Y15
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
	SHRQ $3, CX
	JZ done
loop:
	PREFETCHT0 (R10)
	PREFETCHT0 64(R10)
	VMOVUPS (SI), Y8
	WIDEN(Y15, (AX), Y9)
	WIDEN(Y15, (AX)(R8*1), Y10)
	WIDEN(Y15, (AX)(R8*2), Y11)
	WIDEN(Y15, (AX)(R9*1), Y12)
	VFMADD231PS Y9, Y8, Y0
	VFMADD231PS Y10, Y8, Y1
	VFMADD231PS Y11, Y8, Y2
	VFMADD231PS Y12, Y8, Y3
	WIDEN(Y15, (BX), Y9)
	WIDEN(Y15, (BX)(R8*1), Y10)
	WIDEN(Y15, (BX)(R8*2), Y11)
	WIDEN(Y15, (BX)(R9*1), Y12)
	VFMADD231PS Y9, Y8, Y4
	VFMADD231PS Y10, Y8, Y5
	VFMADD231PS Y11, Y8, Y6
	VFMADD231PS Y12, Y8, Y7
	ADDQ $32, SI
	ADDQ $16, AX
	ADDQ $128, R10
	ADDQ $16, BX
	DECQ CX
	JNZ loop
done:
	TOTALS(Y0, Y1, Y2, Y3, X0)
	VMOVUPS X0, (DI)
	TOTALS(Y4, Y5, Y6, Y7, X4)
	VMOVUPS X4, 16(DI)
	VZEROUPPER
	RET

// The twelve totals of dot4x3, to three rows of out that are R11 bytes apart.
#define STORE4X3 \
	TOTALS(Y0, Y1, Y2, Y3, X0); \
	VMOVUPS X0, (DI); \
	TOTALS(Y4, Y5, Y6, Y7, X4); \
	VMOVUPS X4, (DI)(R11*1); \
	TOTALS(Y8, Y9, Y10, Y11, X8); \
	VMOVUPS X8, (DI)(R11*2)

// The weights in Y15 times the three activation blocks.
#define ROW4X3(a, b, c) \
	VFMADD231PS Y15, Y12, a; \
	VFMADD231PS Y15, Y13, b; \
	VFMADD231PS Y15, Y14, c

// func dot4x3F32(w *float32, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)
TEXT ·dot4x3F32(SB), NOSPLIT, $0-56
	MOVQ w+0(FP), AX
	MOVQ stride+8(FP), R8
	MOVQ x+16(FP), SI
	MOVQ xStride+24(FP), R10
	MOVQ k+32(FP), CX
	MOVQ out+40(FP), DI
	MOVQ outStride+48(FP), R11
	LEAQ (R8)(R8*2), R9
	LEAQ (AX)(R8*4), R12 // the four rows after these, prefetched one after another
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
	ZERO4(Y8, Y9, Y10, Y11)
	SHRQ $3, CX
	JZ done
loop:
	PREFETCHT0 (R12)
	PREFETCHT0 64(R12)
	VMOVUPS (SI), Y12
	VMOVUPS (SI)(R10*1), Y13
	VMOVUPS (SI)(R10*2), Y14
	VMOVUPS (AX), Y15
	ROW4X3(Y0, Y4, Y8)
	VMOVUPS (AX)(R8*1), Y15
	ROW4X3(Y1, Y5, Y9)
	VMOVUPS (AX)(R8*2), Y15
	ROW4X3(Y2, Y6, Y10)
	VMOVUPS (AX)(R9*1), Y15
	ROW4X3(Y3, Y7, Y11)
	ADDQ $32, SI
	ADDQ $32, AX
	ADDQ $128, R12
	DECQ CX
	JNZ loop
done:
	STORE4X3
	VZEROUPPER
	RET

// func dot4x3BF16(w *uint16, stride uintptr, x *float32, xStride uintptr, k int, out *float32, outStride uintptr)
TEXT ·dot4x3BF16(SB), NOSPLIT, $0-56
	MOVQ w+0(FP), AX
	MOVQ stride+8(FP), R8
	MOVQ x+16(FP), SI
	MOVQ xStride+24(FP), R10
	MOVQ k+32(FP), CX
	MOVQ out+40(FP), DI
	MOVQ outStride+48(FP), R11
	LEAQ (R8)(R8*2), R9
	LEAQ (AX)(R8*4), R12
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
	ZERO4(Y8, Y9, Y10, Y11)
	SHRQ $3, CX
	JZ done
loop:
	PREFETCHT0 (R12)
	VMOVUPS (SI), Y12
	VMOVUPS (SI)(R10*1), Y13
	VMOVUPS (SI)(R10*2), Y14
	WIDEN(halves<>(SB), (AX), Y15)
	ROW4X3(Y0, Y4, Y8)
	WIDEN(halves<>(SB), (AX)(R8*1), Y15)
	ROW4X3(Y1, Y5, Y9)
	WIDEN(halves<>(SB), (AX)(R8*2), Y15)
	ROW4X3(Y2, Y6, Y10)
	WIDEN(halves<>(SB), (AX)(R9*1), Y15)
	ROW4X3(Y3, Y7, Y11)
	ADDQ $32, SI
	ADDQ $16, AX
	ADDQ $64, R12
	DECQ CX
	JNZ loop
done:
	STORE4X3
	VZEROUPPER
	RET

#define LOAD64 \
	VMOVUPS (DI), Y0; \
	VMOVUPS 32(DI), Y1; \
	VMOVUPS 64(DI), Y2; \
	VMOVUPS 96(DI), Y3; \
	VMOVUPS 128(DI), Y4; \
	VMOVUPS 160(DI), Y5; \
	VMOVUPS 192(DI), Y6; \
	VMOVUPS 224(DI), Y7

#define STORE64 \
	VMOVUPS Y0, (DI); \
	VMOVUPS Y1, 32(DI); \
	VMOVUPS Y2, 64(DI); \
	VMOVUPS Y3, 96(DI); \
	VMOVUPS Y4, 128(DI); \
	VMOVUPS Y5, 160(DI); \
	VMOVUPS Y6, 192(DI); \
	VMOVUPS Y7, 224(DI)

// func mixF32(y, m *float32, stride uintptr, weights *float32, rows, n int)
TEXT ·mixF32(SB), NOSPLIT, $0-48
	MOVQ y+0(FP), DI
	MOVQ m+8(FP), SI
	MOVQ stride+16(FP), R8
	MOVQ weights+24(FP), DX
	MOVQ rows+32(FP), R9
	MOVQ n+40(FP), CX
	TESTQ R9, R9
	JZ done
wide:
	CMPQ CX, $64
	JLT half
	LOAD64
	MOVQ SI, AX
	MOVQ DX, BX
	MOVQ R9, R10
wideRow:
	VBROADCASTSS (BX), Y8
	VFMADD231PS (AX), Y8, Y0
	VFMADD231PS 32(AX), Y8, Y1
	VFMADD231PS 64(AX), Y8, Y2
	VFMADD231PS 96(AX), Y8, Y3
	VFMADD231PS 128(AX), Y8, Y4
	VFMADD231PS 160(AX), Y8, Y5
	VFMADD231PS 192(AX), Y8, Y6
	VFMADD231PS 224(AX), Y8, Y7
	ADDQ R8, AX
	ADDQ $4, BX
	DECQ R10
	JNZ wideRow
	STORE64
	ADDQ $256, DI
	ADDQ $256, SI
	SUBQ $64, CX
	JMP wide
half:
	CMPQ CX, $32
	JLT narrow
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	MOVQ SI, AX
	MOVQ DX, BX
	MOVQ R9, R10
halfRow:
	VBROADCASTSS (BX), Y8
	VFMADD231PS (AX), Y8, Y0
	VFMADD231PS 32(AX), Y8, Y1
	VFMADD231PS 64(AX), Y8, Y2
	VFMADD231PS 96(AX), Y8, Y3
	ADDQ R8, AX
	ADDQ $4, BX
	DECQ R10
	JNZ halfRow
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
narrow:
	CMPQ CX, $8
	JLT done
	VMOVUPS (DI), Y0
	MOVQ SI, AX
	MOVQ DX, BX
	MOVQ R9, R10
narrowRow:
	VBROADCASTSS (BX), Y8
	VFMADD231PS (AX), Y8, Y0
	ADDQ R8, AX
	ADDQ $4, BX
	DECQ R10
	JNZ narrowRow
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JMP narrow
done:
	VZEROUPPER
	RET

#define MIXWIDE(offset, block) \
	WIDEN(Y15, offset(AX), Y9); \
	VFMADD231PS Y9, Y8, block

// func mixBF16(y *float32, m *uint16, stride uintptr, weights *float32, rows, n int)
TEXT ·mixBF16(SB), NOSPLIT, $0-48
	MOVQ y+0(FP), DI
	MOVQ m+8(FP), SI
	MOVQ stride+16(FP), R8
	MOVQ weights+24(FP), DX
	MOVQ rows+32(FP), R9
	MOVQ n+40(FP), CX
	VMOVDQU halves<>(SB), Y15
	TESTQ R9, R9
	JZ done
wide:
	CMPQ CX, $64
	JLT narrow
	LOAD64
	MOVQ SI, AX
	MOVQ DX, BX
	MOVQ R9, R10
wideRow:
	VBROADCASTSS (BX), Y8
	MIXWIDE(0, Y0)
	MIXWIDE(16, Y1)
	MIXWIDE(32, Y2)
	MIXWIDE(48, Y3)
	MIXWIDE(64, Y4)
	MIXWIDE(80, Y5)
	MIXWIDE(96, Y6)
	MIXWIDE(112, Y7)
	ADDQ R8, AX
	ADDQ $4, BX
	DECQ R10
	JNZ wideRow
	STORE64
	ADDQ $256, DI
	ADDQ $128, SI
	SUBQ $64, CX
	JMP wide
narrow:
	CMPQ CX, $8
	JLT done
	VMOVUPS (DI), Y0
	MOVQ SI, AX
	MOVQ DX, BX
	MOVQ R9, R10
narrowRow:
	VBROADCASTSS (BX), Y8
	MIXWIDE(0, Y0)
	ADDQ R8, AX
	ADDQ $4, BX
	DECQ R10
	JNZ narrowRow
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $16, SI
	SUBQ $8, CX
	JMP narrow
done:
	VZEROUPPER
	RET

// func cpuHasAVX2AndFMA() bool
TEXT ·cpuHasAVX2AndFMA(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7 // leaf 7 must exist
	JLT no
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $0x18001000, CX // FMA, OSXSAVE, AVX
	CMPL CX, $0x18001000
	JNE no
	XORL CX, CX
	XGETBV
	ANDL $6, AX // the system saves XMM and YMM
	CMPL AX, $6
	JNE no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	ANDL $0x20, BX // AVX2
	JZ no
	MOVB $1, ret+0(FP)
no:
	RET

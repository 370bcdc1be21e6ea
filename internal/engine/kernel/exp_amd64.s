//go:build amd64 && !purego

#include "textflag.h"

DATA constants<>+0(SB)/4, $0x42b0c0a5  // 88.3762626647949, the largest argument
DATA constants<>+4(SB)/4, $0xc2aeac50  // -87.3365478515625, the smallest
DATA constants<>+8(SB)/4, $0x3fb8aa3b  // log2(e)
DATA constants<>+12(SB)/4, $0x3f318000 // ln 2, upper part: 0.693359375
DATA constants<>+16(SB)/4, $0xb95e8083 // ln 2, lower part: -2.12194440e-4
DATA constants<>+20(SB)/4, $0x39506967 // 1.9875691500e-4, the polynomial of Exp
DATA constants<>+24(SB)/4, $0x3ab743ce // 1.3981999507e-3
DATA constants<>+28(SB)/4, $0x3c088908 // 8.3334519073e-3
DATA constants<>+32(SB)/4, $0x3d2aa9c1 // 4.1665795894e-2
DATA constants<>+36(SB)/4, $0x3e2aaaaa // 1.6666665459e-1
DATA constants<>+40(SB)/4, $0x3f000000 // 0.5
DATA constants<>+44(SB)/4, $0x3f800000 // 1
DATA constants<>+48(SB)/4, $127
DATA constants<>+52(SB)/4, $0x80000000 // the sign
GLOBL constants<>(SB), RODATA|NOPTR, $56

#define SETUP \
	VBROADCASTSS constants<>+0(SB), Y6; \
	VBROADCASTSS constants<>+4(SB), Y7; \
	VBROADCASTSS constants<>+8(SB), Y8; \
	VBROADCASTSS constants<>+12(SB), Y9; \
	VBROADCASTSS constants<>+16(SB), Y10; \
	VBROADCASTSS constants<>+44(SB), Y11; \
	VPBROADCASTD constants<>+48(SB), Y12

#define TERM(offset) \
	VBROADCASTSS constants<>+offset(SB), Y3; \
	VFMADD213PS Y3, Y0, Y2

// Y0 = exp(Y0). Clobbers Y1 to Y3. The operands of min and max stand so that NaN passes through.
#define EXP8 \
	VMINPS Y0, Y6, Y0; \
	VMAXPS Y0, Y7, Y0; \
	VMULPS Y8, Y0, Y1; \
	VROUNDPS $0, Y1, Y1; \
	VFNMADD231PS Y9, Y1, Y0; \
	VFNMADD231PS Y10, Y1, Y0; \
	VBROADCASTSS constants<>+20(SB), Y2; \
	TERM(24); \
	TERM(28); \
	TERM(32); \
	TERM(36); \
	TERM(40); \
	VMULPS Y0, Y0, Y3; \
	VADDPS Y11, Y0, Y0; \
	VFMADD231PS Y3, Y2, Y0; \
	VCVTPS2DQ Y1, Y1; \
	VPADDD Y12, Y1, Y1; \
	VPSLLD $23, Y1, Y1; \
	VMULPS Y1, Y0, Y0

// func expSum(s *float32, n int, top, scale float32) float32
TEXT ·expSum(SB), NOSPLIT, $0-28
	MOVQ s+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS top+16(FP), Y14
	VBROADCASTSS scale+20(FP), Y15
	VXORPS Y13, Y13, Y13
	SETUP
	SHRQ $3, CX
	JZ done
loop:
	VMOVUPS (SI), Y0
	VSUBPS Y14, Y0, Y0
	VMULPS Y15, Y0, Y0
	EXP8
	VMOVUPS Y0, (SI)
	VADDPS Y0, Y13, Y13
	ADDQ $32, SI
	DECQ CX
	JNZ loop
done:
	VHADDPS Y13, Y13, Y13
	VHADDPS Y13, Y13, Y13
	VEXTRACTF128 $1, Y13, X0
	VADDPS X0, X13, X13
	VMOVSS X13, ret+24(FP)
	VZEROUPPER
	RET

// func siluMul(gate, up *float32, n int)
TEXT ·siluMul(SB), NOSPLIT, $0-24
	MOVQ gate+0(FP), DI
	MOVQ up+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS constants<>+52(SB), Y14
	SETUP
	SHRQ $3, CX
	JZ done
loop:
	VMOVUPS (DI), Y4
	VXORPS Y14, Y4, Y0
	EXP8
	VADDPS Y11, Y0, Y0
	VDIVPS Y0, Y4, Y0
	VMULPS (SI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ CX
	JNZ loop
done:
	VZEROUPPER
	RET

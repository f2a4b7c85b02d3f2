#include "textflag.h"

// ADD32 adds the eight 32-bit words of v to the 64-bit lanes of low and high.
// Y15 keeps the lower half of each lane; Y8 is lost.
#define ADD32(v, low, high) \
	VPAND  Y15, v, Y8    \
	VPSRLQ $32, v, v     \
	VPADDQ Y8, low, low  \
	VPADDQ v, high, high

#define START \
	VPXOR    Y0, Y0, Y0    \
	VPXOR    Y1, Y1, Y1    \
	VPXOR    Y2, Y2, Y2    \
	VPXOR    Y3, Y3, Y3    \
	VPCMPEQD Y15, Y15, Y15 \
	VPSRLQ   $32, Y15, Y15

#define TOTAL \
	VPADDQ       Y1, Y0, Y0  \
	VPADDQ       Y3, Y2, Y2  \
	VPADDQ       Y2, Y0, Y0  \
	VEXTRACTI128 $1, Y0, X1  \
	VPADDQ       X1, X0, X0  \
	VPSRLDQ      $8, X0, X1  \
	VPADDQ       X1, X0, X0  \
	VMOVQ        X0, AX      \
	VZEROUPPER

// func sumBlocks(src *byte, blocks int) uint64
TEXT ·sumBlocks(SB), NOSPLIT, $0-24
	MOVQ src+0(FP), SI
	MOVQ blocks+8(FP), CX
	START
	SUBQ $4, CX
	JLT  tail

loop:
	VMOVDQU (SI), Y4
	VMOVDQU 32(SI), Y5
	VMOVDQU 64(SI), Y6
	VMOVDQU 96(SI), Y7
	ADD32(Y4, Y0, Y1)
	ADD32(Y5, Y2, Y3)
	ADD32(Y6, Y0, Y1)
	ADD32(Y7, Y2, Y3)
	ADDQ    $128, SI
	SUBQ    $4, CX
	JGE     loop

tail:
	ADDQ $4, CX
	JZ   done

one:
	VMOVDQU (SI), Y4
	ADD32(Y4, Y0, Y1)
	ADDQ    $32, SI
	DECQ    CX
	JNZ     one

done:
	TOTAL
	MOVQ AX, ret+16(FP)
	RET

// func copyBlocks(dst, src *byte, blocks int) uint64
TEXT ·copyBlocks(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	START
	SUBQ $4, CX
	JLT  tail

loop:
	VMOVDQU (SI), Y4
	VMOVDQU 32(SI), Y5
	VMOVDQU 64(SI), Y6
	VMOVDQU 96(SI), Y7
	VMOVDQU Y4, (DI)
	VMOVDQU Y5, 32(DI)
	VMOVDQU Y6, 64(DI)
	VMOVDQU Y7, 96(DI)
	ADD32(Y4, Y0, Y1)
	ADD32(Y5, Y2, Y3)
	ADD32(Y6, Y0, Y1)
	ADD32(Y7, Y2, Y3)
	ADDQ    $128, SI
	ADDQ    $128, DI
	SUBQ    $4, CX
	JGE     loop

tail:
	ADDQ $4, CX
	JZ   done

one:
	VMOVDQU (SI), Y4
	VMOVDQU Y4, (DI)
	ADD32(Y4, Y0, Y1)
	ADDQ    $32, SI
	ADDQ    $32, DI
	DECQ    CX
	JNZ     one

done:
	TOTAL
	MOVQ AX, ret+24(FP)
	RET

// func cpuid(leaf, subleaf uint32) (ebx, ecx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-16
	MOVL leaf+0(FP), AX
	MOVL subleaf+4(FP), CX
	CPUID
	MOVL BX, ebx+8(FP)
	MOVL CX, ecx+12(FP)
	RET

// func xgetbv() uint32
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET

#include "textflag.h"

// func vforkRun(flags, stack uintptr, steps *Step, n int, msg *uint32) (pid uintptr)
//
// clone(2) onto a stack of the child's own: parent and child share all memory
// until the child has executed its program, and must not share a stack.
TEXT ·vforkRun(SB),NOSPLIT,$0-48
	MOVQ flags+0(FP), DI
	MOVQ stack+8(FP), SI
	MOVQ steps+16(FP), R12
	MOVQ n+24(FP), R13
	MOVQ msg+32(FP), R15
	MOVQ $0, DX
	MOVQ $0, R10
	MOVQ $0, R8
	MOVQ $56, AX // SYS_clone
	SYSCALL
	CMPQ AX, $0
	JEQ child
	MOVQ AX, pid+40(FP)
	RET
child:
	SUBQ $64, SP
	MOVQ R12, 0(SP)
	MOVQ R13, 8(SP)
	MOVQ R15, 16(SP)
	CALL ·vforkChild(SB)
	INT $3 // vforkChild does not return

// func clone3Run(args *cloneArgs, size uintptr, steps *Step, n int, msg *uint32, report int) (pid uintptr)
//
// clone3(2) with a stack of the child's own, likewise.
TEXT ·clone3Run(SB),NOSPLIT,$0-56
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ steps+16(FP), R12
	MOVQ n+24(FP), R13
	MOVQ msg+32(FP), R15
	MOVQ report+40(FP), BX
	MOVQ $435, AX // SYS_clone3
	SYSCALL
	CMPQ AX, $0
	JEQ child
	MOVQ AX, pid+48(FP)
	RET
child:
	ANDQ $~15, SP
	SUBQ $64, SP
	MOVQ R12, 0(SP)
	MOVQ R13, 8(SP)
	MOVQ R15, 16(SP)
	MOVQ BX, 24(SP)
	CALL ·besideChild(SB)
	INT $3 // besideChild does not return

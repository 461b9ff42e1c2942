#include "go_asm.h"
#include "textflag.h"

// ARCH_SET_FS of arch_prctl(2), and the calls used here.
#define arch_set_fs 0x1002
#define sys_arch_prctl 158
#define sys_exit_group 231

// entry is where the kernel starts the program if it is linked with
// -E silo/internal/cli/early.entry. On the stack are argc, argv and envp.
//
// Go code finds its goroutine in R14, or eight bytes below FS when it is called
// from here, and compares the stack pointer with a limit in it. The one it finds
// is all zeros: with the limit 0 no call ever asks the runtime for more stack.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	MOVQ SP, ·space+entryState_initial(SB)
	LEAQ ·space+entryState_goroutine(SB), AX
	MOVQ AX, ·space+entryState_thread(SB)
	MOVQ $arch_set_fs, DI
	LEAQ ·space+(entryState_thread+8)(SB), SI
	MOVQ $sys_arch_prctl, AX
	SYSCALL
	MOVQ ·space+entryState_initial(SB), SI
	SUBQ $32, SP
	MOVQ SI, 0(SP)
	CALL ·start(SB)
	MOVQ 8(SP), DI
	CMPQ DI, $0
	JLT  later
	MOVQ $sys_exit_group, AX
	SYSCALL
	INT  $3

later:
	MOVQ ·space+entryState_initial(SB), SP
	JMP  _rt0_amd64_linux(SB)

// func syscall6(number, a, b, c, d, e, f uintptr) (result uintptr)
TEXT ·syscall6(SB),NOSPLIT,$0-64
	MOVQ number+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), R10
	MOVQ e+40(FP), R8
	MOVQ f+48(FP), R9
	SYSCALL
	MOVQ AX, result+56(FP)
	RET

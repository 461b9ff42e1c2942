#include "textflag.h"

// exit_group(0) is system call 231.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0-0
	MOVL $0, DI
	MOVL $231, AX
	SYSCALL
	INT $3

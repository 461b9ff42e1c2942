#include "textflag.h"

// exit_group(0) is system call 94.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0-0
	MOVD $0, R0
	MOVD $94, R8
	SVC
	BRK

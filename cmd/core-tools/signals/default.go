package signals

import (
	"os/signal"
	"syscall"
	"unsafe"
)

// The runtime of Go ends a program that gets one of these with the stacks of
// all that it does, on the terminal of someone who has pressed Ctrl-\. Each
// program that imports this package ends by the signal alone instead, as others
// of its name do.
func init() {
	Default(syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGSTKFLT)
}

// action is the kernel's struct sigaction of amd64 and arm64.
type action struct {
	handler  uintptr // 0 is SIG_DFL, 1 SIG_IGN
	flags    uint64
	restorer uintptr
	mask     uint64
}

// Default gives signals the effect that the kernel has for them. signal.Reset
// gives them back to the runtime, which has others, or none, for most of them.
// signal.Notify works after it as ever.
func Default(sigs ...syscall.Signal) {
	for _, s := range sigs {
		signal.Ignore(s) // so that the runtime knows of no handler to keep
		_ = sigaction(s, &action{}, nil)
	}
}

// Ignored tells whether the kernel drops a signal. signal.Ignored takes it for
// that after Default too.
func Ignored(s syscall.Signal) bool {
	var old action
	return sigaction(s, nil, &old) == nil && old.handler == 1
}

func sigaction(s syscall.Signal, set, old *action) error {
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(action{}.mask), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

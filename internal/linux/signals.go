package linux

import (
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SignalName gives the name of a signal as "SIGTERM"; "" if it has none.
func SignalName(n int) string { return unix.SignalName(unix.Signal(n)) }

// sigaction is the kernel's structure: handler, flags, restorer, mask.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// StepIgnoreSignal makes the child, and what it executes, ignore a signal.
func StepIgnoreSignal(sig Signal) Step {
	act := &sigaction{handler: 1} // SIG_IGN
	s := NewStep("ignore signal", unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(act)), 0, 8)
	s.Refs = append(s.Refs, act)
	return s
}

// SIGPIPE by name, for callers that may not import x/sys.
const SIGPIPE = unix.SIGPIPE

// runtimeSignals are those that the Go runtime has a handler for to live by:
// panics, preemption, writing where nobody reads, and the trace that SIGQUIT
// asks for.
var runtimeSignals = [...]uintptr{uintptr(unix.SIGSEGV), uintptr(unix.SIGBUS), uintptr(unix.SIGFPE), uintptr(unix.SIGURG), uintptr(unix.SIGPIPE), uintptr(unix.SIGQUIT)}

// fewSignals tells that only runtimeSignals have handlers.
var fewSignals bool //nolint:unused // read in the child, see vforkChild

// defaultAction is what a signal without a handler has.
var defaultAction sigaction

// DefaultSignals gives all signals their default action but those the Go runtime
// lives by, in a program that asks for none (package os/signal): a child that
// ends wakes no thread, and one that is made has six handlers to reset instead
// of sixty. It is for the begin of a program, before anything is forked.
func DefaultSignals() {
	for sig := uintptr(1); sig <= 64; sig++ {
		if slices.Contains(runtimeSignals[:], sig) {
			continue
		}
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&defaultAction)), 0, 8, 0, 0) // refused for SIGKILL and SIGSTOP
	}
	fewSignals = true
}

// noSignals is an empty set of signals.
var noSignals uint64 //nolint:unused // read in the child, see vforkChild

// resetSignals gives a child that shares its parent's memory, and was born with
// all signals blocked, the actions and the mask that a program begins with.
//
//go:nosplit
//go:norace
func resetSignals() { //nolint:unused // in the child, where there is one that shares memory
	for i := range runtimeSignals {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, runtimeSignals[i], uintptr(unsafe.Pointer(&defaultAction)), 0, 8, 0, 0)
	}
	unblockSignals()
}

//go:nosplit
//go:norace
func unblockSignals() { //nolint:unused // as resetSignals
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&noSignals)), 0, 8, 0, 0)
}

package linux

import (
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

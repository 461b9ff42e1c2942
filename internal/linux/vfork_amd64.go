package linux

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// vforkStack is the child's stack, in bytes: it runs a few functions that do
// not grow it, and takes less than a tenth of that.
const vforkStack = 16 << 10

// vforkRun is in vfork_amd64.s. A negative result is an error number.
//
//go:noescape
func vforkRun(flags, stack uintptr, steps *Step, n int, msg *uint32) (pid uintptr)

// startShared is Start for a child that shares this process's memory until it
// executes its program: no page table is copied, and no page after that. The
// calling thread stands still meanwhile, so nothing can be prepared for the
// child from outside. ok is false where that cannot be had.
func (f *Fork) startShared() (pid int, ok bool, err error) {
	if f.Prepare != nil || f.Flags != 0 || len(f.Steps) == 0 {
		return 0, false, nil
	}
	stack := make([]byte, vforkStack)
	top := uintptr(unsafe.Pointer(&stack[0])) + vforkStack - 64
	top &^= 15
	msg := new([2]uint32)
	runtime.LockOSThread() // as package syscall: the child sees this thread's state
	beforeFork()
	p := vforkRun(unix.CLONE_VM|unix.CLONE_VFORK|uintptr(unix.SIGCHLD), top, &f.Steps[0], len(f.Steps), &msg[0])
	afterFork()
	runtime.UnlockOSThread()
	runtime.KeepAlive(stack)
	runtime.KeepAlive(f.Steps)
	if int(p) < 0 {
		return 0, true, os.NewSyscallError("clone", syscall.Errno(-int(p)))
	}
	if msg[1] != 0 {
		_ = retry(func() error { _, err := unix.Wait4(int(p), nil, 0, nil); return err })
		return 0, true, &StepError{Step: f.Steps[msg[0]].Name, Err: syscall.Errno(msg[1])}
	}
	return int(p), true, nil
}

// vforkChild runs in the child, on its own stack and in its parent's memory.
//
//go:nosplit
//go:norace
func vforkChild(steps *Step, n int, msg *uint32) { //nolint:unused // called by vforkRun, in assembly
	afterForkInChild()
	i, e := runSteps(unsafe.Slice(steps, n))
	m := (*[2]uint32)(unsafe.Pointer(msg))
	m[0], m[1] = uint32(i), uint32(e)
	if e == 0 {
		m[1] = uint32(syscall.ENOEXEC) // the steps ended without an exec
	}
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

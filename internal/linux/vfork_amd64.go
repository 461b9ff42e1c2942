package linux

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childStack is what a child runs on until it executes its program, in bytes: a
// few functions that do not grow it, and take less than a tenth of that.
const childStack = 16 << 10

// childStacks are stacks for the next children: one that was used before is in
// memory already.
var childStacks = make(chan *[childStack]byte, 2)

func takeStack() *[childStack]byte {
	select {
	case s := <-childStacks:
		return s
	default:
		return new([childStack]byte)
	}
}

func giveStack(s *[childStack]byte) {
	select {
	case childStacks <- s:
	default:
	}
}

// vforkRun and clone3Run are in vfork_amd64.s. A negative result is an error
// number. msg says what became of a child that executed nothing; clone3Run's
// child writes it to report.
//
//go:noescape
func vforkRun(flags, stack uintptr, steps *Step, n int, msg *uint32) (pid uintptr)

//go:noescape
func clone3Run(args *cloneArgs, size uintptr, steps *Step, n int, msg *uint32, report int) (pid uintptr)

// startShared is Start for a child that shares this process's memory until it
// executes its program: no page table is copied, and no page after that. The
// calling thread stands still meanwhile, so nothing can be prepared for the
// child from outside. ok is false where that cannot be had.
func (f *Fork) startShared() (pid int, ok bool, err error) {
	if f.Prepare != nil || f.Copy || f.Flags != 0 || len(f.Steps) == 0 {
		return 0, false, nil
	}
	stack, msg := takeStack(), new([2]uint32)
	defer giveStack(stack)
	top := uintptr(unsafe.Pointer(&stack[0])) + childStack - 64
	top &^= 15
	runtime.LockOSThread() // as package syscall: the child sees this thread's state
	beforeFork()
	p := vforkRun(unix.CLONE_VM|unix.CLONE_VFORK|uintptr(unix.SIGCHLD), top, &f.Steps[0], len(f.Steps), &msg[0])
	afterFork()
	runtime.UnlockOSThread()
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
	if fewSignals {
		resetSignals()
	} else {
		afterForkInChild()
	}
	childSteps(unsafe.Slice(steps, n), (*[2]uint32)(unsafe.Pointer(msg)), -1)
}

// childSteps does what a child is for; only an exec is a way out.
//
//go:nosplit
//go:norace
func childSteps(steps []Step, msg *[2]uint32, report int) { //nolint:unused // see vforkChild
	i, e := runSteps(steps)
	msg[0], msg[1] = uint32(i), uint32(e)
	if e == 0 {
		msg[1] = uint32(syscall.ENOEXEC) // the steps ended without an exec
	}
	if report >= 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(report), uintptr(unsafe.Pointer(msg)), 8)
	}
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

// cloneArgs is struct clone_args of clone3(2), as far as it goes here.
//
//nolint:unused // what stays zero has its place
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64
}

// forkBeside makes a child that shares this process's memory until it executes
// its program, and runs beside it: the caller can prepare things for it. Then
// release is to be called. The keeper has its pages to itself that way: each of
// hundreds would be copied when it is next written after a fork.
//
// The child must not look at the state of this thread, which goes on: the kernel
// resets its signal handlers. ok is false where that cannot be had: on kernels
// before 5.5, and under a seccomp filter that knows no clone3.
func forkBeside(flags uintptr, steps []Step, report int) (pid int, release func(), ok bool, errno syscall.Errno) {
	stack, msg := takeStack(), new([2]uint32)
	args := cloneArgs{
		flags: uint64(flags) | unix.CLONE_VM | unix.CLONE_CLEAR_SIGHAND, exitSignal: uint64(unix.SIGCHLD),
		stack: uint64(uintptr(unsafe.Pointer(&stack[0]))), stackSize: childStack - 64,
	}
	beforeFork()
	p := clone3Run(&args, unsafe.Sizeof(args), &steps[0], len(steps), &msg[0], report)
	afterFork()
	release = func() {
		runtime.KeepAlive(steps)
		runtime.KeepAlive(msg)
		giveStack(stack)
	}
	if int(p) >= 0 {
		return int(p), release, true, 0
	}
	release()
	errno = syscall.Errno(-int(p))
	return 0, func() {}, errno != syscall.ENOSYS && errno != syscall.EINVAL, errno
}

// besideChild runs in the child of clone3Run, as vforkChild, and while its
// parent goes on.
//
//go:nosplit
//go:norace
func besideChild(steps *Step, n int, msg *uint32, report int) { //nolint:unused // called by clone3Run, in assembly
	unblockSignals()
	childSteps(unsafe.Slice(steps, n), (*[2]uint32)(unsafe.Pointer(msg)), report)
}

package linux

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Step is one raw system call of a prepared sequence. A sequence is data: it
// can be printed, tested and checked before anything happens, and it can be
// carried out by this thread (Run) or by a fresh child between fork and exec
// (Fork), where no other Go code may run.
type Step struct {
	Name   string     // what it does, for errors
	Nr     uintptr    // system call number
	Args   [6]uintptr // pointers are kept alive by Refs
	Refs   []any      // what Args point into
	Prev   int8       // if > 0, Args[Prev-1] is replaced by the last result
	Want   int64      // if ≥ 0, the result must be this; else any
	Ignore []syscall.Errno
}

// NewStep makes a step that accepts any result.
func NewStep(name string, nr uintptr, args ...uintptr) Step {
	s := Step{Name: name, Nr: nr, Want: -1}
	copy(s.Args[:], args)
	return s
}

// IgnoreErrors makes the step go on after any of these errors.
func (s Step) IgnoreErrors(e ...syscall.Errno) Step { s.Ignore = e; return s }

// FromPrev makes argument n (from 0) the result of the step before.
func (s Step) FromPrev(n int) Step { s.Prev = int8(n + 1); return s }

// str puts a string behind argument n.
func (s Step) str(n int, v string) Step {
	if strings.IndexByte(v, 0) >= 0 {
		v = v[:strings.IndexByte(v, 0)]
	}
	b := append([]byte(v), 0)
	s.Args[n] = uintptr(unsafe.Pointer(&b[0]))
	s.Refs = append(s.Refs, b)
	return s
}

// bytes puts a buffer behind argument n.
func (s Step) bytes(n int, b []byte) Step {
	if len(b) > 0 {
		s.Args[n] = uintptr(unsafe.Pointer(&b[0]))
		s.Refs = append(s.Refs, b)
	}
	return s
}

// StepError tells which step of a sequence was refused, and why.
type StepError struct {
	Step string
	Err  syscall.Errno
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }

// Unwrap gives the error number.
func (e *StepError) Unwrap() error { return e.Err }

// Run carries out the steps on the calling thread; it stops at the first
// that is refused.
func Run(steps []Step) error {
	i, errno := runSteps(steps)
	runtime.KeepAlive(steps)
	if errno != 0 {
		return &StepError{Step: steps[i].Name, Err: errno}
	}
	return nil
}

// runSteps runs in the child too: it must not allocate, grow the stack or
// call into the scheduler.
//
//go:nosplit
//go:norace
func runSteps(steps []Step) (int, syscall.Errno) {
	var last uintptr
	for i := range steps {
		s := &steps[i]
		if s.Prev > 0 {
			s.Args[s.Prev-1] = last
		}
		r, _, errno := syscall.RawSyscall6(s.Nr, s.Args[0], s.Args[1], s.Args[2], s.Args[3], s.Args[4], s.Args[5])
		if errno != 0 {
			ignored := false
			for _, e := range s.Ignore {
				if e == errno {
					ignored = true
				}
			}
			if !ignored {
				return i, errno
			}
		} else if s.Want >= 0 && r != uintptr(s.Want) {
			return i, syscall.EPROTO
		}
		last = r
	}
	return 0, 0
}

// Fork describes a child to be made.
type Fork struct {
	Flags uintptr // CLONE_NEW…
	Steps []Step  // what the child does; the last one should be an exec

	// Copy makes the child one with a copy of this process's memory, as fork(2)
	// does, where it would share it until it executes its program. It is for
	// comparison.
	Copy bool

	// Prepare, if set, runs in the parent while the child waits before its
	// first step: to write id maps, or to put it into cgroups.
	Prepare func(pid int) error
}

// The Go runtime must know of a fork: it blocks signals around it and resets
// handlers in the child. These are the hooks that package syscall uses.
//
//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// Start makes the child on the calling thread, so that it inherits this
// thread's audit session and namespaces, and returns once it has executed its
// program. The caller reaps it. If a step or Prepare is refused the child is
// gone and reaped when Start returns; the error is a *StepError or Prepare's.
func (f *Fork) Start() (pid int, err error) {
	if pid, ok, err := f.startShared(); ok {
		return pid, err
	}
	var report, gate [2]int
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer func() { unix.Close(report[0]) }()
	steps := f.Steps
	gate[1] = -1
	if f.Prepare != nil {
		if err := unix.Pipe2(gate[:], unix.O_CLOEXEC); err != nil {
			unix.Close(report[1])
			return 0, os.NewSyscallError("pipe2", err)
		}
		wait := NewStep("wait for the parent", unix.SYS_READ, uintptr(gate[0]), 0, 1).bytes(1, make([]byte, 1))
		wait.Want = 1
		// The child's own copy of the writing end must go first, or it would
		// wait for itself when the parent dies.
		steps = append([]Step{NewStep("close gate", unix.SYS_CLOSE, uintptr(gate[1])), wait}, steps...)
	}
	pid, release, errno := f.clone(steps, report[1])
	defer release()
	unix.Close(report[1])
	if f.Prepare != nil {
		unix.Close(gate[0])
	}
	if errno != 0 {
		if gate[1] >= 0 {
			unix.Close(gate[1])
		}
		return 0, os.NewSyscallError("clone", errno)
	}
	if f.Prepare != nil {
		err = f.Prepare(pid)
		if err == nil {
			_, err = unix.Write(gate[1], []byte{1})
		}
		unix.Close(gate[1])
	}
	if e := childReport(report[0], steps); e != nil && err == nil {
		err = e
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_ = retry(func() error { _, err := unix.Wait4(pid, nil, 0, nil); return err })
		return 0, err
	}
	return pid, nil
}

// clone makes the child that runs beside this process; release is called when it
// has executed its program, or has ended.
func (f *Fork) clone(steps []Step, report int) (pid int, release func(), errno syscall.Errno) {
	if !f.Copy {
		if pid, release, ok, errno := forkBeside(f.Flags, steps, report); ok {
			return pid, release, errno
		}
	}
	pid, errno = forkAndRun(f.Flags, steps, report)
	return pid, func() { runtime.KeepAlive(steps) }, errno
}

// childReport waits until the child has executed (end of file) or says which
// step was refused.
func childReport(fd int, steps []Step) error {
	var buf [8]byte
	var n int
	err := retry(func() (err error) { n, err = unix.Read(fd, buf[:]); return })
	if err != nil {
		return os.NewSyscallError("read", err)
	}
	if n == 0 {
		return nil
	}
	if n != len(buf) {
		return errors.New("child's report is cut short")
	}
	i := *(*uint32)(unsafe.Pointer(&buf[0]))
	errno := *(*uint32)(unsafe.Pointer(&buf[4]))
	if int(i) >= len(steps) {
		return fmt.Errorf("child's report names step %d of %d", i, len(steps))
	}
	return &StepError{Step: steps[i].Name, Err: syscall.Errno(errno)}
}

// forkAndRun clones with a copy of the memory; the child never returns from it.
//
//go:noinline
//go:norace
func forkAndRun(flags uintptr, steps []Step, report int) (pid int, errno syscall.Errno) {
	var msg [2]uint32
	beforeFork()
	p, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || p != 0 {
		afterFork()
		return int(p), errno
	}
	afterForkInChild()
	i, e := runSteps(steps)
	msg[0], msg[1] = uint32(i), uint32(e)
	if e == 0 {
		msg[1] = uint32(syscall.ENOEXEC) // the steps ended without an exec
	}
	_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, uintptr(report), uintptr(unsafe.Pointer(&msg[0])), 8)
	for {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

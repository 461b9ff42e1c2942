package linux

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pidDigits is room for the digits of a process number.
const pidDigits = 10

// ExecPID is an execution whose environment holds a variable with the
// process's own number, which only the kernel knows before: the child reads it
// from a pipe into the variable.
type ExecPID struct {
	Steps []Step
	r, w  *FD
}

// NewExecPID prepares to execute path with "name=NUMBER" after envv.
func NewExecPID(path string, argv, envv []string, name string) (*ExecPID, error) {
	r, w, err := Pipe()
	if err != nil {
		return nil, err
	}
	exec := StepExec(path, argv, append(envv[:len(envv):len(envv)], name+"="+string(make([]byte, pidDigits))))
	// The vector's last entry is the variable; its zero bytes are the room.
	list := exec.Refs[len(exec.Refs)-1].([]uintptr)
	variable := exec.Refs[len(exec.Refs)-2].([]byte)
	room := variable[len(name)+1 : len(name)+1+pidDigits]
	read := NewStep("read the process number", unix.SYS_READ, uintptr(r.Int()), uintptr(unsafe.Pointer(&room[0])), pidDigits)
	read.Refs = append(read.Refs, variable, list)
	return &ExecPID{Steps: []Step{read, exec}, r: r, w: w}, nil
}

// Prepare is Fork's Prepare: it tells the child its number.
func (e *ExecPID) Prepare(pid int) error {
	return WriteFull(e.w, []byte(strconv.Itoa(pid)))
}

// Close frees the pipe, after the fork.
func (e *ExecPID) Close() {
	e.r.Close()
	e.w.Close()
}

// StepsAmbient gives a process that is no longer root capabilities that stay
// when it executes a program. before goes before the user changes, after goes
// after that.
func StepsAmbient(names []string) (before, after []Step) {
	var mask uint64
	for _, name := range names {
		if n, ok := CapNumber(name); ok {
			mask |= 1 << n
		}
	}
	if mask == 0 {
		return nil, nil
	}
	before = []Step{StepPrctl("keep capabilities", unix.PR_SET_KEEPCAPS, 1)}
	hdr := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{}
	for i := range data {
		half := uint32(mask >> (32 * i))
		data[i] = unix.CapUserData{Effective: half, Permitted: half, Inheritable: half}
	}
	set := NewStep("set capabilities", unix.SYS_CAPSET, uintptr(unsafe.Pointer(hdr)), uintptr(unsafe.Pointer(&data[0])))
	set.Refs = append(set.Refs, hdr, data)
	after = []Step{set}
	for n := range 64 {
		if mask&(1<<n) != 0 {
			after = append(after, NewStep("raise ambient capability", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n), 0, 0))
		}
	}
	return before, after
}

// StepNice sets the nice value. What this host does not grant is left.
func StepNice(nice int) Step {
	return NewStep("set nice value", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(nice)).IgnoreErrors(syscall.EPERM, syscall.EACCES)
}

// rlimits are the resources of setrlimit(2) by systemd's names.
var rlimits = map[string]int{
	"CPU": unix.RLIMIT_CPU, "FSIZE": unix.RLIMIT_FSIZE, "DATA": unix.RLIMIT_DATA, "STACK": unix.RLIMIT_STACK, "CORE": unix.RLIMIT_CORE,
	"RSS": unix.RLIMIT_RSS, "NPROC": unix.RLIMIT_NPROC, "NOFILE": unix.RLIMIT_NOFILE, "MEMLOCK": unix.RLIMIT_MEMLOCK, "AS": unix.RLIMIT_AS,
	"LOCKS": unix.RLIMIT_LOCKS, "SIGPENDING": unix.RLIMIT_SIGPENDING, "MSGQUEUE": unix.RLIMIT_MSGQUEUE, "NICE": unix.RLIMIT_NICE,
	"RTPRIO": unix.RLIMIT_RTPRIO, "RTTIME": unix.RLIMIT_RTTIME,
}

// RlimitNumber gives the number of a resource by its name, as "NOFILE".
func RlimitNumber(name string) (int, bool) {
	n, ok := rlimits[name]
	return n, ok
}

// HardLimit gives the hard limit of a resource of a process; 0 is this one.
func HardLimit(pid, resource int) (uint64, error) {
	var l unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &l); err != nil {
		return 0, err
	}
	return l.Max, nil
}

// RlimitRTTime is the resource that bounds the time of a real-time process
// without a system call.
const RlimitRTTime = unix.RLIMIT_RTTIME

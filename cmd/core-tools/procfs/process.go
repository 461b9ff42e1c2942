// Package procfs reads what /proc and its neighbours tell: processes with
// their session, sockets with their owners, the machine. All paths lie below a
// root, so that recorded trees can stand in for it. What vanishes while it is
// read, or is garbage, is left out; nothing is guessed.
package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Root is where the tree of a system begins; "" is this one's.
type Root string

// mostFile limits what is read of one file, in bytes.
const mostFile = 4 << 20

// Read reads a file below the root, up to a limit.
func (r Root) Read(path string) ([]byte, error) {
	// Not blocking: an image may have a pipe where a file is expected.
	f, err := os.OpenFile(string(r)+path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("no regular file")}
	}
	return io.ReadAll(io.LimitReader(f, mostFile))
}

// Line is the first line of a file, "" if there is none.
func (r Root) Line(path string) string {
	data, err := r.Read(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}

// ticksPerSecond is USER_HZ, 100 on every architecture that Silo runs on.
const ticksPerSecond = 100

// Process is one process as /proc shows it.
type Process struct {
	PID, PPID int
	Name      string // as the process calls itself: any bytes
	State     string // a letter, as in /proc/PID/stat
	Args      string
	Session   int64 // audit session, 0 for none, -1 if the kernel has no sessions
	UID       int64 // -1 if not known
	CPU       time.Duration
	Started   time.Duration // since the boot
	Threads   int
	Handles   int // open descriptors, -1 if not allowed to see
	Resident  int64
	Virtual   int64
	Path      string // of the executable, "" if not allowed to see
	Kernel    bool   // a part of the kernel, see KernelParts
}

// Processes lists the processes that may be seen, by number.
func (r Root) Processes() ([]Process, error) {
	pids, err := r.pids()
	if err != nil {
		return nil, err
	}
	all := make([]Process, 0, len(pids))
	for _, pid := range pids {
		if p, err := r.process(pid); err == nil { // else it ended meanwhile
			all = append(all, p)
		}
	}
	return all, nil
}

// numbers lists what has a number for a name in a folder, in order.
func (r Root) numbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(string(r) + dir)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

func (r Root) pids() ([]int, error) {
	pids, err := r.numbers("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	if len(pids) == 0 {
		if _, err := os.Stat(string(r) + "/proc/stat"); errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("list processes: /proc is empty: it is not mounted here")
		}
	}
	return pids, nil
}

// process reads /proc/PID/stat and its neighbours. The name in stat stands in
// parentheses and may itself hold any character, so the last one counts.
func (r Root) process(pid int) (Process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	data, err := r.Read(dir + "/stat")
	if err != nil {
		return Process{}, err
	}
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return Process{}, errors.New("stat: no name")
	}
	f := strings.Fields(string(data[end+1:]))
	if len(f) < 22 {
		return Process{}, errors.New("stat: too short")
	}
	num := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
	p := Process{
		PID: pid, PPID: int(num(1)), Name: string(data[open+1 : end]), State: f[0], Threads: int(num(17)),
		CPU: ticks(num(11) + num(12)), Started: ticks(num(19)), Virtual: num(20), Resident: num(21) * int64(os.Getpagesize()),
		Session: r.session(dir), UID: r.owner(dir), Handles: -1,
	}
	if line, err := r.Read(dir + "/cmdline"); err == nil {
		p.Args = strings.TrimRight(strings.ReplaceAll(string(line), "\x00", " "), " ")
	}
	if path, err := os.Readlink(string(r) + dir + "/exe"); err == nil {
		p.Path = path
	}
	if entries, err := os.ReadDir(string(r) + dir + "/fd"); err == nil {
		p.Handles = len(entries)
	}
	return p, nil
}

func ticks(n int64) time.Duration { return time.Duration(n) * time.Second / ticksPerSecond }

// session reads /proc/PID/sessionid. A process that no session was opened for
// has the number -1 there; it belongs to the system's session, 0.
func (r Root) session(dir string) int64 {
	data, err := r.Read(dir + "/sessionid")
	if err != nil {
		return -1
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 32)
	switch {
	case err != nil:
		return -1
	case uint32(n) == ^uint32(0):
		return 0
	}
	return int64(n)
}

// owner is the effective user: the second number after Uid: in status.
func (r Root) owner(dir string) int64 {
	data, err := r.Read(dir + "/status")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
			if n, err := strconv.ParseUint(f[2], 10, 32); err == nil {
				return int64(n)
			}
		}
	}
	return -1
}

// Session is the number of the session that the caller is in: 0 for the
// system's, -1 if the kernel has none.
func (r Root) Session() int64 { return r.session("/proc/self") }

// Undelivered tells which signals wait for any thread of the process itself, a
// bit for each, that of signal 1 lowest: ShdPnd of proc_pid_status(5).
func (r Root) Undelivered() uint64 {
	status, _ := r.Read("/proc/self/status") // empty, if there is none
	return mask(field(status, "ShdPnd"))
}

// Thread tells whether a thread of the process itself sleeps, and which signals
// wait for it alone. One that is not there sleeps.
func (r Root) Thread(tid int) (sleeps bool, undelivered uint64) {
	status, _ := r.Read("/proc/self/task/" + strconv.Itoa(tid) + "/status")
	return !strings.HasPrefix(field(status, "State"), "R"), mask(field(status, "SigPnd"))
}

// field is the value of one line of a status, "" if there is none.
func field(status []byte, name string) string {
	_, rest, _ := strings.Cut(string(status), "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func mask(word string) uint64 {
	n, err := strconv.ParseUint(word, 16, 64)
	if err != nil {
		return 0
	}
	return n
}

// Threads lists the threads of the process itself.
func (r Root) Threads() []int {
	tids, _ := r.numbers("/proc/self/task") // none, if it is not there
	return tids
}

// exists tells whether there is a process of a number, also one that /proc
// hides: a signal to it is then refused, not lost.
func exists(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// firstNamespace is the number that the kernel gives the first of all PID
// namespaces (PROC_PID_INIT_INO); only there do numbers mean the kernel's own.
const firstNamespace = "pid:[4026531836]"

// KernelParts are the processes of session 0 that every Linux system has by
// construction, as far as it can be verified from here: the idle task, number
// 0, whose time /proc/stat tells, and kthreadd, number 2, the parent of all
// kernel threads. /proc of a container shows neither. kthreadd is listed if
// numbers here are the host's, it is not in /proc anyway, and alive says that
// its number is taken; what else is unknown of it stays unknown.
func (r Root) KernelParts(alive func(pid int) bool) []Process {
	if alive == nil {
		alive = exists
	}
	var all []Process
	if idle, cpus, ok := r.idle(); ok {
		all = append(all, Process{Name: "[idle]", State: "R", Threads: cpus, CPU: idle, UID: 0, Handles: -1, Kernel: true, Resident: -1, Virtual: -1})
	}
	space, _ := os.Readlink(string(r) + "/proc/self/ns/pid")
	if _, err := os.Stat(string(r) + "/proc/2"); err != nil && space == firstNamespace && alive(2) {
		all = append(all, Process{PID: 2, Name: "[kthreadd]", UID: 0, Handles: -1, Kernel: true, CPU: -1, Resident: -1, Virtual: -1})
	}
	return all
}

// idle sums the idle time of all processors, and counts them.
func (r Root) idle() (sum time.Duration, cpus int, ok bool) {
	data, err := r.Read("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		if f[0] != "cpu" {
			cpus++
			continue
		}
		n, err := strconv.ParseInt(f[4], 10, 64)
		if err != nil {
			return 0, 0, false
		}
		sum, ok = ticks(n), true
	}
	return sum, cpus, ok
}

// Boot is when the system was started, zero if it cannot be told.
func (r Root) Boot() time.Time {
	data, err := r.Read("/proc/stat")
	if err != nil {
		return time.Time{}
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				return time.Unix(n, 0)
			}
		}
	}
	return time.Time{}
}

// Owners finds who holds which socket, by inode, as far as the caller may see.
func (r Root) Owners() map[uint64]Owner {
	owners := map[uint64]Owner{}
	pids, err := r.pids()
	if err != nil {
		return owners
	}
	for _, pid := range pids {
		dir := filepath.Join(string(r), "/proc", strconv.Itoa(pid))
		fds, err := os.ReadDir(filepath.Join(dir, "fd"))
		if err != nil {
			continue
		}
		name := ""
		for _, fd := range fds {
			target, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
			if err != nil {
				continue
			}
			text, ok := strings.CutPrefix(target, "socket:[")
			inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
			if !ok || err != nil {
				continue
			}
			if name == "" {
				name = r.Line("/proc/" + strconv.Itoa(pid) + "/comm")
			}
			if _, taken := owners[inode]; !taken { // several share it: the first
				owners[inode] = Owner{pid, name}
			}
		}
	}
	return owners
}

// Owner is a process that holds a socket.
type Owner struct {
	PID  int
	Name string
}

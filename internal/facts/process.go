package facts

import (
	"os"
	"strconv"
	"strings"

	"silo/internal/linux"
)

// noSession is what /proc/PID/sessionid holds for a process without one.
const noSession = ^uint32(0)

// userHZ is the unit of times in /proc/PID/stat on every architecture that
// Silo knows (time(7)).
const userHZ = 100

// Processes lists those that a folder like /proc shows, in the order of their
// numbers; pids nil means all. One that ends meanwhile is left out.
func Processes(proc string, pids []int) (list []Process, truncated bool) {
	if pids == nil {
		pids = numbers(proc)
	}
	for _, pid := range pids {
		if len(list) == MaxProcesses {
			return list, true
		}
		if p, ok := ReadProcess(proc, pid); ok {
			list = append(list, p)
		}
	}
	return list, false
}

// Uptime is the time since the machine was started as Process.Start tells it, in
// hundredths of a second; 0 if the kernel does not tell.
func Uptime() int64 {
	whole, rest, _ := strings.Cut(readProc("/proc/uptime", maxProcFile), ".")
	n, err := strconv.ParseInt(whole+rest[:min(len(rest), 2)], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// numbers lists the folders of processes.
func numbers(proc string) (out []int) {
	d, err := os.Open(proc)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	return out
}

// ReadProcess reads one process; false if it is not there or is not shown.
func ReadProcess(proc string, pid int) (Process, bool) {
	dir := proc + "/" + strconv.Itoa(pid)
	p := Process{PID: pid}
	stat := readProc(dir+"/stat", maxProcFile)
	open, shut := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || shut < open || strings.TrimSpace(stat[:open]) != strconv.Itoa(pid) {
		return p, false
	}
	p.Name = Text(stat[open+1 : shut])
	f := strings.Fields(stat[shut+1:])
	if len(f) < 22 {
		return p, false
	}
	p.State = Text(f[0])
	p.Parent, _ = strconv.Atoi(f[1])
	p.Terminal = f[4] != "0"
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	p.CPU = (user + system) * 1000 / userHZ
	p.Threads, _ = strconv.Atoi(f[17])
	p.Start, _ = strconv.ParseInt(f[19], 10, 64)
	pages, _ := strconv.ParseInt(f[21], 10, 64)
	p.Memory = pages * int64(os.Getpagesize())
	p.status(readProc(dir+"/status", maxProcFile))
	p.Session = Session(dir)
	p.Executable, _ = os.Readlink(dir + "/exe")
	p.Executable = Text(p.Executable)
	p.Args = words(readProc(dir+"/cmdline", MaxText))
	return p, true
}

// Session is the audit session of the process with the folder dir in /proc; 0 is
// none.
func Session(dir string) uint32 {
	n, err := strconv.ParseUint(strings.TrimSpace(readProc(dir+"/sessionid", 32)), 10, 32)
	if err != nil || uint32(n) == noSession {
		return 0
	}
	return uint32(n)
}

// words are the arguments of a command line, a few of them.
func words(cmdline string) (out []string) {
	const most = 64
	for w := range strings.SplitSeq(strings.TrimSuffix(cmdline, "\x00"), "\x00") {
		if cmdline == "" || len(out) == most {
			break
		}
		out = append(out, Text(w))
	}
	return out
}

// status takes in the lines of /proc/PID/status.
func (p *Process) status(text string) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		switch key {
		case "Uid":
			p.UID = number32(f[0])
		case "Gid":
			p.GID = number32(f[0])
		case "NSpid":
			if len(f) > 1 {
				p.Inner, _ = strconv.Atoi(f[len(f)-1])
			}
		case "CapBnd":
			p.CapBounding = Text(f[0])
		case "Seccomp":
			p.Seccomp = Text(f[0])
		case "NoNewPrivs":
			p.NoNewPrivs = Text(f[0])
		}
	}
}

func number32(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// readProc is readSome for a file in the folder of a process. The kernel makes
// such a file whole for each read, so one that leaves room has read all; to ask
// again for its end would be a third of all calls that a look takes.
func readProc(path string, n int) string {
	fd, err := linux.Open(path, linux.ORdonly|linux.ONonblock, 0)
	if err != nil {
		return ""
	}
	defer fd.Close()
	var usual [2048]byte // a status has some 1500
	got, err := linux.ReadFD(fd.Int(), usual[:min(n, len(usual))])
	if err != nil {
		return ""
	}
	if got < len(usual) || got == n {
		return string(usual[:got])
	}
	rest, _ := fd.ReadMost(len(usual), n-got)
	return string(usual[:got]) + string(rest)
}

// readSome reads at most n bytes of a file, "" if it cannot. It never waits:
// a pipe in the place of a file gives nothing.
func readSome(path string, n int) string {
	fd, err := linux.Open(path, linux.ORdonly|linux.ONonblock, 0)
	if err != nil {
		return ""
	}
	defer fd.Close()
	const usual = 1536 // of a file in /proc
	data, _ := fd.ReadMost(usual, n)
	return string(data)
}

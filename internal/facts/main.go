package facts

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"silo/internal/linux"
)

// ReaderName is the name under which the agent executes itself to be the
// reader inside.
const ReaderName = "silo-inside"

// Main is the reader inside: it writes one document of Facts as this process
// sees them, and gives the exit code.
func Main(w io.Writer) int {
	f := &Facts{Version: Version, Self: os.Getpid()}
	takeServices := f.askServices(serviceSocket) // it answers while the rest is read
	f.ReadHostname()
	f.ReadMachine("/proc", "/sys")
	f.ReadRoot(OwnRoot(), os.Environ())
	f.ReadNetwork()
	f.readOwnProcesses()
	f.ReadDisk("/")
	f.readOwnLimits()
	takeServices()
	data, err := json.Marshal(f)
	if err == nil {
		_, err = w.Write(append(data, '\n'))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, ReaderName+":", err)
		return 1
	}
	return 0
}

// readOwnProcesses lists everybody that /proc shows but the reader itself.
func (f *Facts) readOwnProcesses() {
	list, truncated := Processes("/proc", nil)
	f.Truncated = f.Truncated || truncated
	var pids []int
	for _, p := range list {
		if p.PID == f.Self {
			continue
		}
		p.Inner = 0 // of a namespace below: the host's numbering has no use for it
		f.Processes = append(f.Processes, p)
		pids = append(pids, p.PID)
	}
	f.ReadPorts("/proc/self/net", "/proc", pids, linux.TCPListeners)
}

// readOwnLimits asks what any program may ask: its control groups, its
// rlimits, its id map.
func (f *Facts) readOwnLimits() {
	l := &f.Limits
	l.Usable = runtime.NumCPU()
	for line := range strings.Lines(readSome("/proc/self/limits", 4096)) {
		if v, ok := strings.CutPrefix(line, "Max open files"); ok {
			if w := strings.Fields(v); len(w) >= 2 {
				l.OpenFiles = Text(w[0] + ":" + w[1])
			}
		}
	}
	l.UserIDs = Text(strings.Join(strings.Fields(readSome("/proc/self/uid_map", 4096)), " "))
	l.Namespaces = Namespaces("/proc/self")
	l.Memory = groupNumber("memory.max", "memory.limit_in_bytes")
	l.Processes = groupNumber("pids.max", "pids.max")
	l.CPUSet = Text(groupText("cpuset.cpus.effective", "cpuset.effective_cpus"))
	if w := strings.Fields(groupText("cpu.max", "")); len(w) == 2 && w[0] != "max" {
		l.CPUs = quotient(w[0], w[1])
	} else if q := groupText("", "cpu.cfs_quota_us"); q != "" && !strings.HasPrefix(q, "-") {
		l.CPUs = quotient(q, groupText("", "cpu.cfs_period_us"))
	}
}

func quotient(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || p <= 0 {
		return 0
	}
	return q / p
}

// groups is where a container's control groups are.
const groups = "/sys/fs/cgroup"

// groupText reads a file of this process's control group: by its name of
// version 2 at the root, or by its name of version 1 in a folder of its own.
func groupText(v2, v1 string) string {
	if v2 != "" {
		if s := strings.TrimSpace(readSome(groups+"/"+v2, 4096)); s != "" {
			return s
		}
	}
	if v1 == "" {
		return ""
	}
	entries, _ := os.ReadDir(groups)
	for _, e := range entries {
		if s := strings.TrimSpace(readSome(groups+"/"+e.Name()+"/"+v1, 4096)); s != "" {
			return s
		}
	}
	return ""
}

// groupNumber is groupText for a limit; what version 1 writes for "none" is
// above what any machine has.
func groupNumber(v2, v1 string) int64 {
	n, err := strconv.ParseInt(groupText(v2, v1), 10, 64)
	if err != nil || n >= 1<<62 {
		return 0
	}
	return n
}

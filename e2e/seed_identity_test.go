package e2e

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// S1: one command runs an image interactively with a shell on a terminal,
// named, removed at the end.
func TestS01ShellOnATerminal(t *testing.T) {
	d := useDaemon(t)
	p := d.terminal("run", "--rm", "-it", "--name", "s01", "core", "sh")
	p.sees("# ")
	p.types("echo sum $((40+2)); stty size; tty\r")
	p.sees("sum 42")
	p.sees("30 100")
	p.sees("/dev/")
	if got := d.field("s01", "{{.State.Status}}"); got != "running" {
		t.Errorf("the container is %s", got)
	}
	p.types("exit 3\r")
	if got := p.code(); got != 3 {
		t.Errorf("exit code %d, want that of the shell, 3; screen:\n%s", got, p.text())
	}
	until(t, "container s01 is removed", func() bool { return d.try("inspect", "s01").code != 0 })
}

// S2: system information: name, version, language and time zone are the
// container's; kernel, boot time, processors and memory are the host's.
func TestS02SystemInformation(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("-h", "s02host")
	inside := func(cmd string) string { return d.silo("exec", id, "sh", "-c", cmd) }
	want(t, "name and version", inside("cat /etc/os-release"), "Silo Core")
	if got := inside("hostname"); got != "s02host" {
		t.Errorf("host name %q", got)
	}
	want(t, "language", inside("env"), "LANG=C.UTF-8")
	want(t, "time zone", inside("date +%Z"), "UTC")
	for _, same := range []string{"uname -r", "nproc", "grep -m1 'model name' /proc/cpuinfo", "grep MemTotal /proc/meminfo", "grep btime /proc/stat"} {
		if in, out := inside(same), mustTool(t, "sh", "-c", same); in != out {
			t.Errorf("%s: inside %q, on the host %q", same, in, out)
		}
	}
}

// S3: own host name.
func TestS03HostName(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--name", "s03")
	got := d.silo("exec", id, "hostname")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got == host || got != id[:12] {
		t.Errorf("host name %q, want %q and not the host's %q", got, id[:12], host)
	}
	want(t, "/etc/hosts", d.silo("exec", id, "cat", "/etc/hosts"), id[:12])
}

// S10: a further process can be started and appears in the session.
func TestS10FurtherProcess(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	session := d.field(id, "{{.GraphDriver.Data.session}}")
	d.silo("exec", "-d", id, "sleep", "4242")
	d.silo("exec", id, "sh", "-c", "sleep 4343 & echo $!")
	for _, args := range []string{"sleep\x004242\x00", "sleep\x004343\x00"} {
		var pid int
		until(t, "process "+args, func() bool { pid = processWith(args); return pid > 0 })
		if got := sessionOf(t, pid); got != session {
			t.Errorf("process %d has session %s, the container %s", pid, got, session)
		}
		want(t, "ps inside", d.silo("exec", id, "ps"), strconv.Itoa(pid))
	}
}

// processWith gives the number of a process by its command line, 0 for none.
func processWith(args string) int {
	dirs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range dirs {
		if data, err := os.ReadFile(path); err == nil && string(data) == args {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // its glob says that it is a number
			return pid
		}
	}
	return 0
}

// sessionOf gives the session number that the host shows for a process.
func sessionOf(t *testing.T, pid int) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/sessionid", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// S20: the container can be found on the host, and sized.
func TestS20FoundAndSized(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--name", "s20")
	d.silo("exec", id, "sh", "-c", "dd if=/dev/zero of=/root/big bs=1M count=8; sync")
	line := d.silo("ps", "-s", "--filter", "name=s20", "--format", "{{.ID}} {{.Names}} {{.Size}}")
	size := regexp.MustCompile(`^` + id[:12] + ` s20 ([0-9.]+)MB \(virtual .*\)$`).FindStringSubmatch(line)
	if size == nil {
		t.Fatalf("ps -s: %q", line)
	}
	if mb, err := strconv.ParseFloat(size[1], 64); err != nil || mb < 8 || mb > 16 {
		t.Errorf("ps -s shows %s MB after 8 were written", size[1])
	}
	stats := d.silo("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "s20")
	if !regexp.MustCompile(`^s20 [0-9.]+[KM]iB / .* [1-9][0-9]*$`).MatchString(stats) {
		t.Errorf("stats: %q", stats)
	}
	want(t, "top", d.silo("top", "s20"), "sleep 100000")
	want(t, "top -o", d.silo("top", "s20", "-o", "pid,args"), "sleep 100000") // selects nothing by itself
}

// S21, S22: a process of the container is one of the host, under the same
// number and with the same path to its executable.
func TestS21SameProcessNumber(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	pid := d.field(id, "{{.State.Pid}}")
	line := regexp.MustCompile(`(?m)^ *` + pid + ` .*sleep`)
	if ps := d.silo("exec", id, "ps"); !line.MatchString(ps) {
		t.Errorf("process %s is not in ps inside:\n%s", pid, ps)
	}
	if ps := mustTool(t, "ps", "-p", pid, "-o", "pid,args"); !line.MatchString(ps) {
		t.Errorf("process %s is not in ps of the host:\n%s", pid, ps)
	}
	if inside := d.silo("exec", id, "sh", "-c", "echo $$; sleep 0"); inside == "1" {
		t.Error("the container numbers processes by itself")
	}
}

func TestS22SameExecutablePath(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	pid := d.field(id, "{{.State.Pid}}")
	inside := d.silo("exec", id, "readlink", "/proc/"+pid+"/exe")
	outside, err := os.Readlink("/proc/" + pid + "/exe")
	if err != nil || inside != outside || !filepath.IsAbs(inside) {
		t.Errorf("path of process %s: %q inside, %q on the host (%v)", pid, inside, outside, err)
	}
}

// S23: the container's session is the same, with the same number and
// processes, on the host.
func TestS23SameSession(t *testing.T) {
	d := useDaemon(t)
	id, other := d.sleeper(), d.sleeper()
	pid := d.field(id, "{{.State.Pid}}")
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	session := sessionOf(t, n)
	if inside := d.silo("exec", id, "cat", "/proc/"+pid+"/sessionid"); inside != session {
		t.Errorf("session %q inside, %q on the host", inside, session)
	}
	listed := d.silo("session", "ls", "--format", "{{.Number}} {{.Container}}")
	want(t, "session ls", listed, session+" "+id[:12])
	if s := d.field(other, "{{.GraphDriver.Data.session}}"); s == session {
		t.Errorf("two containers have session %s", s)
	}
	// Every process inside carries the number, and every process of the
	// host that carries it is the container's agent or inside.
	agent := 0
	for _, p := range inSession(session) {
		if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p)); err == nil && string(args) == "silo-agent\x00" {
			agent = p
			continue
		}
		want(t, "ps inside", d.silo("exec", id, "ps", "-e"), strconv.Itoa(p))
	}
	if agent == 0 {
		t.Error("the agent is not in the session")
	}
}

// inSession lists the host's processes that carry a session number.
func inSession(session string) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/sessionid")
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(data)) == session {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // its glob says that it is a number
			pids = append(pids, pid)
		}
	}
	return pids
}

// S24: session 0 has many more processes on the host than inside.
func TestS24SessionZero(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	var host int
	for line := range strings.Lines(d.silo("session", "ls", "--format", "{{.Number}} {{.Processes}}")) {
		if number, processes, _ := strings.Cut(strings.TrimSpace(line), " "); number == "0" {
			host, _ = strconv.Atoi(processes) // 0 fails below
		}
	}
	session := d.field(id, "{{.GraphDriver.Data.session}}")
	inside := 0
	for _, s := range strings.Fields(d.silo("exec", id, "sh", "-c", "for p in /proc/[0-9]*; do cat $p/sessionid; echo; done")) {
		if s != session {
			inside++
		}
	}
	if host <= inside+1 {
		t.Errorf("session 0 has %d processes on the host, %d inside", host, inside)
	}
}

// S25: the host does not see the user: the process shows a bare number.
func TestS25NoUserOnTheHost(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	if got := d.silo("exec", id, "id", "-un"); got != "ContainerAdministrator" {
		t.Errorf("inside the user is %q", got)
	}
	pid := d.field(id, "{{.State.Pid}}")
	shown := mustTool(t, "ps", "-p", pid, "-o", "user:20=")
	uid, err := strconv.Atoi(shown)
	if err != nil || uid < 65536 {
		t.Errorf("ps shows user %q, want a bare number", shown)
	}
	if u, err := user.LookupId(shown); err == nil {
		t.Errorf("the host has an account for it: %s", u.Username)
	}
}

func TestS25PrivateIDs(t *testing.T) {
	d := useDaemon(t)
	a, b := d.field(d.sleeper(), "{{.GraphDriver.Data.ids}}"), d.field(d.sleeper(), "{{.GraphDriver.Data.ids}}")
	if cmp.Equal(a, b) {
		t.Errorf("two containers share the user ids %s", a)
	}
}

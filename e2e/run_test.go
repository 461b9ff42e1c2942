package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// owner gives the numbers that the host shows for a file.
func owner(t *testing.T, path string) string {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	return strconv.Itoa(int(st.Uid)) + ":" + strconv.Itoa(int(st.Gid))
}

// Root inside writes to a folder of the host, which sees plain owners.
func TestBindMountOwners(t *testing.T) {
	d := useDaemon(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "given"), []byte("by the host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "given"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	got := d.silo("run", "--rm", "-v", dir+":/src", "core", "sh", "-c", "cat /src/given; stat -c %u:%g /src/given; echo made >/src/root; echo made >/src/user; chown 1234:5678 /src/user")
	if got != "by the host\n1000:1000" {
		t.Errorf("inside: %q", got)
	}
	for file, want := range map[string]string{"root": "0:0", "user": "1234:5678", "given": "1000:1000"} {
		if got := owner(t, filepath.Join(dir, file)); got != want {
			t.Errorf("the host shows %s for %s, want %s", got, file, want)
		}
	}
	if r := d.try("run", "--rm", "-v", dir+":/src:ro", "core", "touch", "/src/no"); r.code == 0 {
		t.Error("a read-only mount was written to")
	}
}

// A new volume starts with what the image has there, and outlives containers.
func TestVolume(t *testing.T) {
	d := useDaemon(t)
	t.Cleanup(func() { d.try("volume", "rm", "-f", "v1") })
	d.silo("run", "--rm", "-v", "v1:/etc", "core", "sh", "-c", "test -f /etc/os-release && echo more >/etc/more")
	if got := d.silo("run", "--rm", "-v", "v1:/data", "core", "cat", "/data/more"); got != "more" {
		t.Errorf("the volume holds %q", got)
	}
	want(t, "the image's file", d.silo("run", "--rm", "-v", "v1:/data", "core", "cat", "/data/os-release"), "Silo Core")
	if got := d.silo("volume", "ls", "-q"); !strings.Contains(got, "v1") {
		t.Errorf("volume ls: %q", got)
	}
	d.silo("volume", "rm", "v1")
}

func TestTmpfs(t *testing.T) {
	d := useDaemon(t)
	got := d.silo("run", "--rm", "--tmpfs", "/scratch:size=1m", "core", "sh", "-c", "grep ' /scratch ' /proc/mounts; echo x >/scratch/x && cat /scratch/x")
	want(t, "mounts", got, "tmpfs")
	want(t, "mounts", got, "size=1024k")
}

func TestReadOnlyRoot(t *testing.T) {
	d := useDaemon(t)
	r := d.try("run", "--rm", "--read-only", "--tmpfs", "/tmp", "core", "sh", "-c", "touch /tmp/yes && touch /no")
	if r.code == 0 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("exit %d, %q", r.code, r.err)
	}
}

func TestProcessSettings(t *testing.T) {
	d := useDaemon(t)
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("FROM_FILE=f\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"-e", "v", []string{"-e", "NAME=v", "core", "printenv", "NAME"}},
		{"--env-file", "f", []string{"--env-file", file, "core", "printenv", "FROM_FILE"}},
		{"-w", "/made/for/it", []string{"-w", "/made/for/it", "core", "pwd"}},
		{"-u", "1234:2345", []string{"-u", "1234:2345", "core", "sh", "-c", "echo $(id -u):$(id -g)"}},
		{"--hostname", "box", []string{"--hostname", "box", "core", "hostname"}},
		{"--entrypoint", "a b", []string{"--entrypoint", "echo", "core", "a", "b"}},
		{"--add-host", "10.1.2.3", []string{"--add-host", "there:10.1.2.3", "core", "sh", "-c", "grep there /etc/hosts | cut -f1 | cut -d' ' -f1"}},
		{"--ulimit", "123", []string{"--ulimit", "nofile=123:123", "core", "sh", "-c", "ulimit -n"}},
		{"--sysctl", "7", []string{"--sysctl", "net.ipv4.ip_default_ttl=7", "core", "cat", "/proc/sys/net/ipv4/ip_default_ttl"}},
		{"--cap-drop", "0000000000000000", []string{"--cap-drop", "ALL", "core", "sh", "-c", "grep CapEff /proc/self/status | cut -f2"}},
		{"--shm-size", "2048", []string{"--shm-size", "2m", "core", "sh", "-c", "set -- $(df -k /dev/shm | tail -1); echo $2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := d.with(t).silo(append([]string{"run", "--rm"}, c.args...)...); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestStandardInput(t *testing.T) {
	d := useDaemon(t)
	// 1 MiB, with what the detach keys send: without a terminal that is data.
	big := strings.Repeat("0123456789abc\x10\x11\n", 1<<16)
	id := d.sleeper()
	made := strings.TrimSpace(d.silo("create", "-i", "core", "cat"))
	t.Cleanup(func() { d.try("rm", "-f", made) })
	for _, args := range [][]string{
		{"run", "--rm", "-i", "core", "cat"}, {"exec", "-i", id, "cat"}, {"start", "-ai", made},
	} {
		if r := d.feed(big, args...); r.code != 0 || r.out != big {
			t.Errorf("silo %s: exit %d, %d bytes of %d came back: %s", args[0], r.code, len(r.out), len(big), r.err)
		}
	}
	r := d.feed("", "run", "--rm", "core", "sh", "-c", "echo out; echo err >&2")
	if r.out != "out\n" || r.err != "err\n" {
		t.Errorf("standard output %q, standard error %q", r.out, r.err)
	}
}

// The exit codes of Docker, and one line that names the thing (and where help
// is, for a wrong command line).
func TestExitCodes(t *testing.T) {
	d := useDaemon(t)
	d.sleeper("--name", "taken")
	for _, c := range []struct {
		name string
		code int
		says string
		args []string
	}{
		{"of the command", 42, "", []string{"core", "sh", "-c", "exit 42"}},
		{"not found", 127, "nosuch", []string{"core", "nosuch"}},
		{"not executable", 126, "/etc/os-release", []string{"core", "/etc/os-release"}},
		{"a folder", 126, "/etc", []string{"core", "/etc"}},
		{"killed", 137, "", []string{"core", "sh", "-c", "kill -9 $$"}},
		{"terminated", 143, "", []string{"core", "sh", "-c", "kill -15 $$"}},
		{"unknown flag", 125, "--nosuch", []string{"--nosuch", "core", "true"}},
		{"bad combination", 125, "--rm", []string{"--restart", "always", "core", "true"}},
		{"unknown user", 125, "nobody-here", []string{"-u", "nobody-here", "core", "true"}},
		{"name in use", 125, "taken", []string{"--name", "taken", "core", "true"}},
		{"invalid name", 125, "a/b", []string{"--name", "a/b", "core", "true"}},
		{"invalid memory", 125, "1x", []string{"-m", "1x", "core", "true"}},
		{"too little memory", 125, "emory", []string{"-m", "1m", "core", "true"}},
		{"no such folder", 125, "/no/such/folder", []string{"--mount", "type=bind,source=/no/such/folder,target=/x", "core", "true"}},
		{"no such network", 125, "nosuchnet", []string{"--network", "nosuchnet", "core", "true"}},
		{"unknown image", 125, "no-such-image", []string{"--pull", "never", "no-such-image", "true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := d.with(t).try(append([]string{"run", "--rm"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.err, c.says) {
				t.Errorf("exit %d, want %d; %q should tell of %q", r.code, c.code, r.err, c.says)
			}
			line := strings.TrimSuffix(r.err, "See 'silo run --help'.\n")
			if strings.Count(line, "\n") > 1 {
				t.Errorf("more than one line:\n%s", r.err)
			}
		})
	}
	if left := d.silo("ps", "-aq", "--filter", "status=created"); left != "" {
		t.Errorf("containers that never ran are left: %s", left)
	}
}

// A container that could not be started has never run, and says so; what it was
// told to run can be made good.
func TestFailedStart(t *testing.T) {
	d := useDaemon(t)
	host := t.TempDir()
	id := d.silo("create", "-v", host+":/x", "core", "/x/later")
	t.Cleanup(func() { d.try("rm", "-f", id) })
	const state = "{{.State.Status}} {{.State.ExitCode}} {{.State.StartedAt}} {{.State.FinishedAt}}"
	if r := d.try("start", id); r.code == 0 || !strings.Contains(r.err, "/x/later") {
		t.Errorf("start: exit %d, %s", r.code, r.err)
	}
	if got := d.field(id, state); got != "created 127 0001-01-01T00:00:00Z 0001-01-01T00:00:00Z" {
		t.Errorf("after a start that failed: %s", got)
	}
	if got := d.silo("wait", id); got != "127" {
		t.Errorf("wait says %q", got)
	}
	if err := os.WriteFile(host+"/later", []byte("#!/bin/sh\nexit 5\n"), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	d.silo("start", id)
	if got := d.silo("wait", id); got != "5" {
		t.Errorf("wait says %q after the program was made", got)
	}
	if err := os.Remove(host + "/later"); err != nil {
		t.Fatal(err)
	}
	d.try("start", id)
	if got := d.field(id, "{{.State.Status}} {{.State.ExitCode}}"); got != "exited 127" {
		t.Errorf("after it had run and could not: %s", got)
	}
}

func TestExecOnATerminal(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	p := d.terminal("exec", "-it", "-e", "PS1=here> ", "-w", "/etc", id, "sh")
	p.types("pwd; echo sum $((40+2)); exit 5\r")
	p.sees("/etc")
	p.sees("sum 42")
	if got := p.code(); got != 5 {
		t.Errorf("exit code %d, want 5", got)
	}
	if r := d.try("exec", "-u", "1234", id, "id", "-u"); strings.TrimSpace(r.out) != "1234" {
		t.Errorf("exec -u: %+v", r)
	}
	if r := d.try("exec", id, "nosuch"); r.code != 127 {
		t.Errorf("exec of a command that does not exist: exit %d", r.code)
	}
	// run makes its working directory; exec does not.
	if r := d.try("exec", "-w", "/no/such", id, "pwd"); r.code != 126 || !strings.Contains(r.err, "/no/such is not there") {
		t.Errorf("exec in a folder that does not exist: %+v", r)
	}
	if r := d.try("exec", id, "ls", "-d", "/no"); r.code == 0 {
		t.Error("exec made the folder that did not exist")
	}
}

// Detach keys leave the container running; attach joins it again.
func TestDetachAndAttach(t *testing.T) {
	d := useDaemon(t)
	t.Cleanup(func() { d.try("rm", "-f", "detach") })
	p := d.terminal("run", "-it", "--name", "detach", "core", "sh")
	p.sees("# ")
	p.types("\x10\x11") // ctrl-p ctrl-q
	p.code()
	if got := d.field("detach", "{{.State.Status}}"); got != "running" {
		t.Fatalf("after detaching it is %s", got)
	}
	a := d.terminal("attach", "detach")
	a.types("echo sum $((40+2))\r")
	a.sees("sum 42")
	a.types("exit\r")
	if got := a.code(); got != 0 {
		t.Errorf("exit code %d", got)
	}
}

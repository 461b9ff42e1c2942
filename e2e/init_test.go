package e2e

import (
	"strings"
	"testing"
	"time"
)

// A command that has closed its terminal can open it again: nothing of what it
// writes then is lost, and it is not held up.
func TestTerminalOpenedAgain(t *testing.T) {
	d := useDaemon(t)
	// The shell that is executed has no copy of the terminal; for a moment nobody
	// has it open.
	script := `exec sh -c 'sleep 0.2; echo again >/dev/console; sleep 0.2; seq 2000 >/dev/console' </dev/null >/dev/null 2>&1`
	got := strings.Split(d.silo("run", "--rm", "-t", "core", "sh", "-c", script), "\r\n")
	if len(got) != 2001 || got[0] != "again" || strings.TrimSpace(got[2000]) != "2000" {
		t.Errorf("%d lines, the first %q, the last %q", len(got), got[0], got[len(got)-1])
	}
}

// A privileged container makes cgroups below its own, which keeps its limits.
func TestPrivilegedCgroups(t *testing.T) {
	d := useDaemon(t)
	script := `d=/sys/fs/cgroup; [ -e $d/cgroup.procs ] || d=$d/pids; mkdir $d/x; echo 0 >$d/x/cgroup.procs; ` +
		`grep -o ':/x$' /proc/self/cgroup; echo max >$d/pids.max || echo kept`
	for _, args := range [][]string{{"--privileged"}, {"--privileged", "--pid", "private"}} {
		r := d.try(append(append([]string{"run", "--rm", "--pids-limit", "200"}, args...), "core", "sh", "-c", script)...)
		if r.out != ":/x\nkept\n" {
			t.Errorf("%v: %q, %q", args, r.out, r.err)
		}
	}
	if r := d.try("run", "--rm", "core", "sh", "-c", script); strings.Contains(r.out, ":/x") {
		t.Errorf("a container that is not privileged: %q", r.out)
	}
}

// Systemd as process 1 of a privileged container starts, knows where it runs,
// supervises services in cgroups of its own, and shuts down when it is stopped.
func TestSystemd(t *testing.T) {
	d := useDaemon(t)
	d.importDebian("debian-init:bookworm")
	id := d.detached("--privileged", "-t", "--pid", "private", "-e", "container=silo", "debian-init:bookworm",
		"sh", "-c", "[ -e /sbin/init ] || until [ -e /go ]; do sleep 0.1; done; exec /sbin/init")
	installDebian(t, d, id, "systemd-sysv", "dbus")
	d.silo("exec", id, "touch", "/go")
	systemctl := func(args ...string) string {
		return strings.TrimSpace(d.try(append([]string{"exec", id, "systemctl"}, args...)...).out)
	}
	for run := range 2 {
		until(t, "systemd is up", func() bool { return systemctl("is-active", "multi-user.target") == "active" })
		want(t, "the console's output", d.silo("logs", id), "Multi-User System")
		if got := d.silo("exec", id, "systemd-detect-virt", "--container"); got != "container-other" {
			t.Errorf("it takes its container for %q", got)
		}
		if got := d.silo("exec", id, "systemd-run", "-q", "--wait", "--pipe", "-p", "User=nobody", "id", "-un"); got != "nobody" {
			t.Errorf("a service of its own says %q", got)
		}
		begin := time.Now()
		d.silo("stop", "-t", "60", id)
		if took := time.Since(begin); took > 50*time.Second || d.field(id, "{{.State.OOMKilled}} {{.State.ExitCode}}") == "false 137" {
			t.Errorf("run %d: it did not shut down when it was stopped, within %s", run, took)
		}
		if run == 0 {
			d.silo("start", id)
		}
	}
	d.silo("rm", id)
}

package survival

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestKeeperKilled(t *testing.T) {
	d := startDaemon(t)
	d.silo("run", "-d", "--name", "ends", "nano", "sleep", "1000")
	d.silo("run", "-d", "--name", "comes-back", "--restart", "always", "nano", "sleep", "1000")
	d.silo("create", "--name", "waits", "nano", "true")
	pid := d.keeperPID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.until("the container has ended", func() bool { return d.status("ends") == "exited 137" })
	if got := d.silo("inspect", "-f", "{{.State.Error}}", "ends"); !strings.Contains(got, "silo-keeper") {
		t.Errorf("the reason is %q", got)
	}
	d.until("the other is started again", func() bool {
		return d.keeperPID() != pid && strings.HasPrefix(d.status("comes-back"), "running")
	})
	if got := d.silo("exec", "comes-back", "echo", "again"); got != "again" {
		t.Errorf("exec prints %q", got)
	}
	if got := d.silo("run", "--rm", "nano", "echo", "new"); got != "new" {
		t.Errorf("run prints %q", got)
	}
	d.silo("start", "-a", "waits")
	d.silo("start", "ends")
	d.silo("rm", "-f", "ends", "comes-back", "waits")
	d.stop()
	d.clean(nil)
}

func TestKeeperAndSilodKilled(t *testing.T) {
	d := startDaemon(t)
	d.silo("run", "-d", "--name", "ends", "nano", "sleep", "1000")
	d.silo("run", "-d", "--rm", "--name", "vanishes", "nano", "sleep", "1000")
	d.silo("run", "-d", "--name", "comes-back", "--restart", "unless-stopped", "nano", "sleep", "1000")
	pid := d.keeperPID()
	d.kill()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.start()
	if got := d.status("ends"); got != "exited 255" {
		t.Errorf("the container is %q", got)
	}
	d.until("the container of --rm is removed", func() bool { _, _, code := d.try("inspect", "vanishes"); return code != 0 })
	d.until("the other is started again", func() bool { return strings.HasPrefix(d.status("comes-back"), "running") })
	d.silo("rm", "-f", "ends", "comes-back")
	d.stop()
	d.clean(nil)
}

// heavy prints a line, waits, and prints 300,000 more, whose checksum is known.
const heavy = `echo 0; while [ ! -e /ctl/heavy ]; do sleep 0.02; done; seq 1 300000`

func heavySum() string {
	h := sha256.New()
	for i := 0; i <= 300000; i++ {
		fmt.Fprintln(h, i)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestKeeperUpgradedInPlace(t *testing.T) {
	d := startDaemon(t)
	next, err := nextVersion()
	if err != nil {
		t.Fatal(err)
	}
	ctl, mount := d.control()
	d.silo("run", "-d", "--name", "counter", "--log-opt", "max-size=-1", "-v", mount, "nano", "sh", "-c", counting)
	talk := d.attached("run", "-i", "--name", "talk", "nano", "sh", "-c", answering)
	talk.say("one", "got one")
	terminal := d.terminal("run", "-it", "--name", "terminal", "nano", "sh", "-c", answering)
	terminal.say("one", "got one")
	exec := d.attached("exec", "-i", "counter", "sh", "-c", "while read l; do echo got $l; done; exit 6")
	exec.say("one", "got one")
	out, err := os.Create(filepath.Join(d.dir, "heavy"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	follow := d.command("run", "--name", "heavy", "-v", mount, "nano", "sh", "-c", heavy)
	follow.Stdout = out
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	d.until("the heavy one is followed", func() bool { data, _ := os.ReadFile(out.Name()); return len(data) > 0 })
	pid := d.keeperPID()
	d.touch(ctl, "heavy")

	for i, bin := range []string{next, programs, next} { // there, back and there again
		d.stop()
		d.bin = bin
		d.start()
		if got := d.keeperPID(); got != pid {
			t.Fatalf("the keeper was process %d and is %d", pid, got)
		}
		word := "round" + strconv.Itoa(i)
		talk.say(word, "got "+word)
		terminal.say(word, "got "+word)
		exec.say(word, "got "+word)
	}
	log, err := os.ReadFile(filepath.Join(d.dir, "silod.log"))
	if err != nil || strings.Count(string(log), "upgraded in place") != 3 {
		t.Errorf("the keeper was not upgraded three times: %v", err)
	}

	if got := d.silo("exec", "talk", "echo", "new exec"); got != "new exec" {
		t.Errorf("exec prints %q", got)
	}
	again := d.attached("attach", "talk")
	again.say("both", "got both")
	talk.expect("got both")
	talk.in.Close()
	talk.exits(5)
	again.exits(5)
	if _, err := io.WriteString(terminal.in, "\x04"); err != nil {
		t.Fatal(err)
	}
	terminal.exits(5)
	exec.in.Close()
	exec.exits(6)

	_ = follow.Wait()
	d.until("the heavy one has ended", func() bool { return d.status("heavy") == "exited 0" })
	want := heavySum()
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(d.silo("logs", "heavy")+"\n"))); got != want {
		t.Errorf("the log of the heavy one has sum %s, want %s", got, want)
	}
	if data, err := os.ReadFile(out.Name()); err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != want {
		t.Errorf("the attached client of the heavy one got %d bytes, and not what was printed: %v", len(data), err)
	}
	d.touch(ctl, "stop")
	d.until("the counter has ended", func() bool { return d.status("counter") == "exited 7" })
	d.checkCount("counter")
	d.silo("run", "-d", "--name", "stops", "nano", "sleep", "1000")
	d.silo("stop", "-t", "0", "stops")
	d.silo("rm", "counter", "talk", "terminal", "heavy", "stops")
}

func TestAgentKilled(t *testing.T) {
	d := startDaemon(t, "--standby", "0")
	d.silo("rm", d.silo("create", "nano", "true"))
	d.until("the host is at rest", func() bool { return len(d.traces()) == 0 })
	for _, isolation := range []string{"process", "pid"} {
		args := []string{"run", "-d", "--name", isolation}
		if isolation == "pid" {
			args = append(args, "--pid", "private")
		}
		d.silo(append(args, "nano", "sh", "-c", "sleep 1000 & sleep 1000")...)
		agent := d.agentOf(isolation)
		if err := syscall.Kill(agent, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.until("the container has ended", func() bool { return strings.HasPrefix(d.status(isolation), "exited") })
		if got := d.status(isolation); got != "exited 137" {
			t.Errorf("%s: the container is %s", isolation, got)
		}
		if got := d.silo("inspect", "-f", "{{.State.Error}}", isolation); !strings.Contains(got, "agent") {
			t.Errorf("%s: the reason is %q", isolation, got)
		}
		d.silo("rm", isolation)
		d.clean(nil)
	}
}

// agentOf finds the agent of a container: the parent of its command.
func (d *daemon) agentOf(name string) int {
	d.t.Helper()
	data, err := os.ReadFile("/proc/" + d.silo("inspect", "-f", "{{.State.Pid}}", name) + "/status")
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "\nPPid:\t")
	line, _, _ := strings.Cut(rest, "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid <= 1 {
		d.t.Fatalf("no agent of %s", name)
	}
	return pid
}

func TestKillAllInside(t *testing.T) {
	d := startDaemon(t)
	d.silo("run", "-d", "--name", "other", "nano", "sleep", "1000")
	before := d.silo("inspect", "-f", "{{.State.Pid}}", "other")
	keeper := d.keeperPID()
	d.silo("run", "-d", "--name", "root", "nano", "sh", "-c", "sleep 0.1; kill -9 -1; sleep 1000")
	d.until("the container has ended", func() bool { return strings.HasPrefix(d.status("root"), "exited") })
	if got := d.status("other"); got != "running 0" || d.keeperPID() != keeper {
		t.Errorf("the other container is %s", got)
	}
	if got := d.silo("inspect", "-f", "{{.State.Pid}}", "other"); got != before {
		t.Errorf("the other container's process was %s and is %s", before, got)
	}
	d.silo("rm", "-f", "other", "root")
	d.stop()
	d.clean(nil)
}

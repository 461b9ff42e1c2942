package e2e

import (
	"bufio"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogs(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("core", "sh", "-c", "echo one; echo two >&2; while ! test -f /go; do sleep 0.05; done; echo three")
	until(t, "first lines", func() bool { return strings.Count(d.silo("logs", id), "\n") > 0 || d.try("logs", id).err != "" })
	c, cancel := d.command("logs", "-f", id)
	defer cancel()
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	if !lines.Scan() || lines.Text() != "one" {
		t.Errorf("logs -f begins with %q", lines.Text())
	}
	d.silo("exec", id, "touch", "/go")
	if !lines.Scan() || lines.Text() != "three" {
		t.Errorf("logs -f goes on with %q", lines.Text())
	}
	if lines.Scan() {
		t.Errorf("logs -f shows more: %q", lines.Text())
	}
	if err := c.Wait(); err != nil { // it ends with the container
		t.Errorf("logs -f: %v", err)
	}
	r := d.try("logs", id)
	if r.out != "one\nthree\n" || r.err != "two\n" {
		t.Errorf("logs: %q, %q", r.out, r.err)
	}
	if got := d.silo("logs", "--tail", "1", id); got != "three" {
		t.Errorf("logs --tail 1: %q", got)
	}
}

func TestStopAndKill(t *testing.T) {
	d := useDaemon(t)
	polite := d.detached("core", "sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while true; do sleep 0.05; done")
	until(t, "the trap is set", func() bool { return d.silo("logs", polite) == "ready" })
	d.silo("stop", polite)
	if got := d.field(polite, "{{.State.Status}} {{.State.ExitCode}}"); got != "exited 7" {
		t.Errorf("after stop: %s", got)
	}
	deaf := d.detached("core", "sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.05; done")
	until(t, "the trap is set", func() bool { return d.silo("logs", deaf) == "ready" })
	d.silo("stop", "-t", "1", deaf)
	if got := d.field(deaf, "{{.State.Status}} {{.State.ExitCode}}"); got != "exited 137" {
		t.Errorf("after stop of one that ignores TERM: %s", got)
	}
	other := d.sleeper()
	d.silo("kill", "-s", "INT", other)
	if got := d.silo("wait", other); got != "130" {
		t.Errorf("after kill -s INT: exit code %s", got)
	}
}

// An end takes every process of the container along.
func TestStopEndsAllProcesses(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("core", "sh", "-c", "sleep 5151 & setsid sleep 5252 2>/dev/null & sleep 5353")
	until(t, "children run", func() bool { return processWith("sleep\x005151\x00") > 0 && processWith("sleep\x005353\x00") > 0 })
	d.silo("kill", id)
	d.silo("wait", id)
	for _, args := range []string{"sleep\x005151\x00", "sleep\x005252\x00", "sleep\x005353\x00"} {
		until(t, "end of "+args, func() bool { return processWith(args) == 0 })
	}
}

func TestPause(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("core", "sh", "-c", "i=0; while true; do i=$((i+1)); echo $i; sleep 0.02; done")
	until(t, "it counts", func() bool { return len(d.silo("logs", "--tail", "5", id)) > 0 })
	d.silo("pause", id)
	if got := d.field(id, "{{.State.Status}}"); got != "paused" {
		t.Errorf("state %s", got)
	}
	at := d.silo("logs", "--tail", "1", id)
	if again := d.silo("logs", "--tail", "1", id); again != at {
		t.Errorf("counts on from %s to %s while paused", at, again)
	}
	d.silo("unpause", id)
	until(t, "it counts on", func() bool { return d.silo("logs", "--tail", "1", id) != at })
}

func TestRestartPolicy(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("--restart", "on-failure:2", "core", "sh", "-c", "echo run; exit 3")
	until(t, "it gives up after two restarts", func() bool {
		return d.field(id, "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}") == "exited 2 3"
	})
	if got := d.silo("logs", id); got != "run\nrun\nrun" {
		t.Errorf("logs: %q", got)
	}
	always := d.detached("--restart", "always", "core", "sh", "-c", "sleep 0.1")
	until(t, "it is started again", func() bool { return d.field(always, "{{.RestartCount}}") != "0" })
	d.silo("stop", "-t", "0", always)
	if got := d.field(always, "{{.State.Status}}"); got != "exited" {
		t.Errorf("after stop it is %s", got)
	}
}

func TestHealth(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--health-cmd", "test ! -f /sick", "--health-interval", "100ms", "--health-retries", "2", "--health-on-failure", "stop", "--stop-timeout", "0")
	until(t, "healthy", func() bool { return d.field(id, "{{.State.Health.Status}}") == "healthy" })
	d.silo("exec", id, "touch", "/sick")
	until(t, "stopped as unhealthy", func() bool { return d.field(id, "{{.State.Status}}") == "exited" })
	if got := d.field(id, "{{.State.Health.Status}}"); got != "unhealthy" {
		t.Errorf("health: %s", got)
	}
}

// With a PID namespace of its own the first process is number 1; --init puts
// one there that reaps.
func TestIsolationPID(t *testing.T) {
	d := useDaemon(t)
	if got := d.silo("run", "--rm", "--isolation", "pid", "core", "sh", "-c", "echo $$"); got != "1" {
		t.Errorf("the command is process %s", got)
	}
	ps := d.silo("run", "--rm", "--init", "--isolation", "pid", "core", "sh", "-c", "ps; sleep 0")
	lines := strings.Split(ps, "\n")
	if len(lines) < 3 || !strings.HasPrefix(strings.TrimSpace(lines[1]), "1 ") || strings.HasSuffix(lines[1], " sh") {
		t.Errorf("process 1 is not an init:\n%s", ps)
	}
	if r := d.try("run", "--rm", "--init", "--isolation", "pid", "core", "sh", "-c", "exit 9"); r.code != 9 {
		t.Errorf("exit code %d, want the command's 9", r.code)
	}
}

func TestMemoryLimit(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("-m", "16m", "--memory-swap", "16m", "core", "sh", "-c", "exec tail -c 1000000000 /dev/zero")
	if got := d.silo("wait", id); got != "137" {
		t.Errorf("exit code %s, want 137", got)
	}
	if got := d.field(id, "{{.State.OOMKilled}}"); got != "true" {
		t.Errorf("OOMKilled is %s", got)
	}
}

// A fork bomb stays in its container, which can be removed as any other.
func TestForkBomb(t *testing.T) {
	d := useDaemon(t)
	const most = 100 // threads count, and the image's programs have a few each
	id := d.sleeper("--pids-limit", strconv.Itoa(most))
	d.try("exec", id, "sh", "-c", "for i in $(seq 300); do sleep 6161 </dev/null >/dev/null 2>&1 & done")
	// Commands that find no room are refused; the agent, which needs none, lives.
	var tries sync.WaitGroup
	for range 20 {
		tries.Go(func() { d.try("exec", id, "true") })
	}
	tries.Wait()
	if n := strings.Count(d.silo("top", id), "sleep 6161"); n < 2 || n >= most {
		t.Errorf("%d processes of 300 are there with a limit of %d", n, most)
	}
	if n, err := strconv.Atoi(d.silo("stats", "--no-stream", "--format", "{{.PIDs}}", id)); err != nil || n > most+10 { // a process that is moved into a group may exceed its limit, by exec here
		t.Errorf("stats shows %d of %d (%v)", n, most, err)
	}
	d.silo("rm", "-f", id)
	until(t, "the bomb is gone", func() bool { return processWith("sleep\x006161\x00") == 0 })
}

func TestEvents(t *testing.T) {
	d := useDaemon(t)
	c, cancel := d.command("events", "--filter", "container=evented", "--format", "{{.Action}}")
	defer cancel()
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	since := d.silo("info", "--format", "{{.SystemTime}}")
	c.Args = append(c.Args, "--since", since)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	d.silo("run", "--rm", "--name", "evented", "core", "true")
	var got []string
	for lines := bufio.NewScanner(pipe); len(got) == 0 || got[len(got)-1] != "destroy"; {
		if !lines.Scan() {
			t.Fatalf("events end after %v", got)
		}
		got = append(got, lines.Text())
	}
	cancel()
	_ = c.Wait() // ended by us
	text := strings.Join(got, " ")
	for _, action := range []string{"create", "start", "die", "destroy"} {
		want(t, "events", text, action)
	}
}

// The order in which Docker tells of what happens: what is asked for goes
// before what follows from it.
func TestOrderOfEvents(t *testing.T) {
	d := useDaemon(t)
	since := d.silo("info", "--format", "{{.SystemTime}}")
	id := d.silo("run", "-d", "--name", "ordered", "-v", "ordered-data:/data", "--stop-signal", "INT", "core", "sleep", "1000")
	d.silo("exec", "ordered", "true")
	seen := func() string {
		return d.silo("events", "--since", since, "--until", d.silo("info", "--format", "{{.SystemTime}}"),
			"--format", `{{.Type}}:{{.Action}}{{with .Actor.Attributes.signal}}={{.}}{{end}} {{.Actor.ID}} {{.Actor.Attributes.container}}`)
	}
	until(t, "the exec's end is told", func() bool { return strings.Contains(seen(), "exec_die") })
	d.silo("restart", "-t", "1", "ordered")
	d.silo("stop", "-t", "1", "ordered")
	d.silo("start", "ordered")
	d.silo("kill", "ordered")
	d.silo("rm", "ordered")
	d.silo("volume", "rm", "ordered-data")
	var got []string
	for line := range strings.Lines(seen()) {
		if strings.Contains(line, id) || strings.Contains(line, "ordered-data") {
			got = append(got, strings.Fields(line)[0])
		}
	}
	want := strings.Fields(`volume:create container:create network:connect volume:mount container:start
		container:exec_create: container:exec_start: container:exec_die
		container:kill=2 container:die network:disconnect volume:unmount container:stop network:connect volume:mount container:start container:restart
		container:kill=2 container:die network:disconnect volume:unmount container:stop
		network:connect volume:mount container:start container:kill=9 container:die network:disconnect volume:unmount container:destroy volume:destroy`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

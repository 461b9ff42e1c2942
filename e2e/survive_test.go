package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// again kills silod and starts it anew.
func (d *daemon) again() {
	d.t.Helper()
	if err := d.stop(syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	if err := d.start(); err != nil {
		d.t.Fatal(err)
	}
}

// A terminal that is open stays as it is when silod is killed and comes back:
// keys go to the command as they are typed, and are shown once.
func TestTerminalStaysRaw(t *testing.T) {
	d := ownDaemon(t, 0)
	d.silo("run", "-dit", "--name", "raw", "core", "sh")
	p := d.terminal("attach", "raw")
	p.types("echo on$((1+1))e\r")
	p.sees("on2e")
	d.again()
	until(t, "silo asks the new silod for the end", func() bool {
		return strings.Contains(d.silo("ps", "--filter", "name=raw"), "Up")
	})
	time.Sleep(1500 * time.Millisecond) // it asks again within a second
	p.types("echo t$((1+1))o\r")
	p.sees("t2o")
	if n := strings.Count(p.text(), "echo t$"); n != 1 {
		t.Errorf("a line is shown %d times:\n%q", n, p.text())
	}
	p.types("exit\r")
	if got := p.code(); got != 0 {
		t.Errorf("it ended with %d", got)
	}
}

// What silod has been told of a container holds for the next silod.
func TestKnownToTheNextSilod(t *testing.T) {
	d := ownDaemon(t, 0)
	id := d.sleeper("--name", "known")
	var exec struct{ ID string }
	if code := d.ask("POST", "/v1.48/containers/"+id+"/exec", `{"Cmd":["sleep","100000"],"Tty":true,"AttachStdout":true}`, &exec); code != 201 {
		t.Fatalf("exec: %d", code)
	}
	if code := d.ask("POST", "/v1.48/exec/"+exec.ID+"/start", `{"Detach":true,"Tty":true}`, nil); code != 200 {
		t.Fatalf("start of the exec: %d", code)
	}
	// Restarted by its health check, with a back-off in which silod is killed.
	d.silo("run", "-d", "--name", "sick", "--health-cmd", "exit 1", "--health-interval", "100ms", "--health-retries", "1", "--health-on-failure", "restart", "core", "sleep", "100000")
	until(t, "a back-off", func() bool {
		return d.field("sick", "{{.State.Status}} {{.RestartCount}}") == "restarting 3"
	})
	d.again()
	if code := d.ask("POST", "/v1.48/exec/"+exec.ID+"/resize?"+url.Values{"h": {"11"}, "w": {"21"}}.Encode(), "", nil); code != 200 {
		t.Errorf("resize of the exec: %d", code)
	}
	until(t, "the restart that was decided", func() bool { return d.field("sick", "{{.RestartCount}}") > "3" })
}

// A folder of the host's that -v has made is made again for a start that finds it
// gone; one of --mount is not.
func TestBindMadeAgain(t *testing.T) {
	d := useDaemon(t)
	dir := filepath.Join(t.TempDir(), "gone")
	id := d.silo("create", "-v", dir+":/x", "core", "touch", "/x/there")
	t.Cleanup(func() { d.try("rm", "-f", id) })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	d.silo("start", "-a", id)
	if !isFile(filepath.Join(dir, "there")) {
		t.Error("the container wrote elsewhere")
	}
	other := d.silo("create", "--mount", "type=bind,source="+dir+",target=/x", "core", "true")
	t.Cleanup(func() { d.try("rm", "-f", other) })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if r := d.try("start", other); r.code == 0 || !strings.Contains(r.err, dir) {
		t.Errorf("with --mount: %+v", r)
	}
}

// A stop without an end of its patience is no kill, whoever asks for it; and
// what is longer than any is not none.
func TestPatientStops(t *testing.T) {
	d := useDaemon(t)
	const late = `trap "sleep 1; exit 3" TERM; echo up; while :; do sleep 0.1; done`
	id := d.detached("core", "sh", "-c", late)
	until(t, "the trap is set", func() bool { return d.silo("logs", id) == "up" })
	d.silo("stop", "-t", "9223372037", id)
	if got := d.field(id, "{{.State.ExitCode}}"); got != "3" {
		t.Errorf("after a stop of 292 years: %s", got)
	}
	sick := d.detached("--stop-timeout", "-1", "--health-cmd", "exit 1", "--health-interval", "300ms", "--health-retries", "1", "--health-on-failure", "stop", "core", "sh", "-c", late)
	until(t, "its end", func() bool { return d.field(sick, "{{.State.Running}}") == "false" })
	if got := d.field(sick, "{{.State.ExitCode}}"); got != "3" {
		t.Errorf("stopped by its health check: %s", got)
	}
}

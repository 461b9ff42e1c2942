package survival

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDamagedRecords(t *testing.T) {
	d := startDaemon(t, "--standby", "0")
	bad := d.silo("create", "--name", "bad", "nano", "true")
	state := d.silo("run", "-d", "--name", "state", "nano", "sh", "-c", "exit 9")
	runs := d.silo("run", "-d", "--name", "runs", "nano", "sleep", "1000")
	lost := d.silo("run", "-d", "--name", "lost", "nano", "sleep", "1000")
	d.until("the first has ended", func() bool { return d.status("state") == "exited 9" })
	d.stop()
	for _, path := range []string{bad + "/config.json", lost + "/config.json", state + "/state.json", runs + "/state.json", runs + "/endpoint.json"} {
		if err := os.WriteFile(filepath.Join(d.data(), "containers", path), []byte("{\"Format\": 1, garbage\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.start("--standby", "0")
	for _, id := range []string{bad, lost} {
		if got := d.silo("ps", "-a", "--no-trunc", "--filter", "id="+id, "--format", "{{.State}}"); got != "dead" {
			t.Errorf("a container with a damaged record is %q", got)
		}
		if _, errs, code := d.try("start", id); code == 0 || errs == "" {
			t.Error("a container with a damaged record was started")
		}
	}
	if got := d.status("state"); got != "exited 255" {
		t.Errorf("a container with a damaged state is %q", got)
	}
	if got := d.status("runs"); got != "running 0" {
		t.Errorf("a running container with a damaged state is %q", got)
	}
	if got := d.silo("exec", "runs", "echo", "works"); got != "works" {
		t.Errorf("exec prints %q", got)
	}
	if got := d.silo("run", "--rm", "nano", "echo", "new"); got != "new" {
		t.Errorf("run prints %q", got)
	}
	d.silo("start", "state")
	d.until("it has ended again", func() bool { return d.status("state") == "exited 9" })
	d.silo("rm", "-f", bad, lost, "runs", "state")
	d.clean(nil)
}

// TestSideBySide proves that one daemon's sweep leaves another's alone.
func TestSideBySide(t *testing.T) {
	a, b := startDaemon(t), startDaemon(t)
	for _, d := range []*daemon{a, b} {
		d.silo("run", "-d", "--name", "same", "nano", "sleep", "1000")
	}
	b.until("the standby is made", func() bool { return folders(b) == 2 })
	pid := b.silo("inspect", "-f", "{{.State.Pid}}", "same")
	standby := folderNames(b)
	a.kill()
	a.start()
	a.silo("rm", "-f", "same")
	a.stop()
	a.clean(nil)
	if got := folderNames(b); !slices.Equal(got, standby) {
		t.Errorf("the other's folders were %q and are %q", standby, got)
	}
	if got := b.silo("inspect", "-f", "{{.State.Pid}}", "same"); got != pid {
		t.Errorf("the other's container was %s and is %s", pid, got)
	}
	if got := b.silo("exec", "same", "echo", "works"); got != "works" {
		t.Errorf("exec prints %q", got)
	}
	if got := b.silo("run", "--rm", "core", "nslookup", "same"); !strings.Contains(got, b.silo("inspect", "-f", "{{.NetworkSettings.Networks.nat.IPAddress}}", "same")) {
		t.Errorf("the other resolves %q", got)
	}
}

// An exec root is one daemon's: another data root's would take its containers
// for nobody's.
func TestExecRootOfAnother(t *testing.T) {
	d := startDaemon(t)
	d.silo("run", "-d", "--name", "stays", "nano", "sleep", "1000")
	pid := d.silo("inspect", "-f", "{{.State.Pid}}", "stays")
	intrude := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "silod"), "--data-root", filepath.Join(d.dir, "other"), "--exec-root", d.run(),
			"-H", "unix://"+filepath.Join(d.dir, "other.sock"), "--bridge", d.bridge+"x", "--address-pool", "10.249.0.0/16")
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s, want %q", cmd.ProcessState, out, want)
		}
	}
	intrude("in use by another silod")
	d.kill()
	intrude("has running containers of data root " + d.data())
	d.start()
	if got := d.silo("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "stays"); got != "running "+pid {
		t.Errorf("the container is %s, was process %s", got, pid)
	}
	d.silo("rm", "-f", "stays")
}

func folders(d *daemon) int { return len(folderNames(d)) }

func folderNames(d *daemon) (names []string) {
	entries, _ := os.ReadDir(filepath.Join(d.data(), "containers"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

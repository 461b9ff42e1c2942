package survival

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

// faults are all steps at which silod can be made to die: between every two
// changes of the host.
var faults = []string{
	"folder", "cgroup", "launch", "prepare", "network", "disk", "attach", "root", // of a sandbox
	"create: disk", "create: chain", "create: record",
	"start: root", "start: published", "start: started", "start: noted",
	"end: noted", "end: unpublished", "end: saved", "end: destroyed",
	"destroy: killed", "destroy: unplugged", "destroy: cgroup", "destroy: folder",
	"remove: record",
}

// TestFaultsAreThoseOfTheSource compares the table with the program.
func TestFaultsAreThoseOfTheSource(t *testing.T) {
	files, err := filepath.Glob("../../internal/engine/*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\be\.fault\("([^"]*)"\)`)
	var found []string
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllSubmatch(data, -1) {
			found = append(found, string(m[1]))
		}
	}
	want := slices.Clone(faults)
	sort.Strings(want)
	sort.Strings(found)
	if !slices.Equal(found, want) {
		t.Errorf("steps in the source: %q\nsteps in the table: %q", found, want)
	}
}

// TestSilodDiesAtAnyStep makes silod die at each step of a container's life,
// with and without standbys, and looks at what the next silod makes of it:
// a container that works, or nothing.
func TestSilodDiesAtAnyStep(t *testing.T) {
	for _, standby := range []string{"0", "1"} {
		t.Run("standby "+standby, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "--standby", "0")
			d.silo("rm", d.silo("create", "nano", "true"))
			d.clean(nil)
			for _, step := range faults {
				if step == "root" && standby == "0" {
					continue // only a standby's root is laid ahead of its start
				}
				d.stop()
				if !d.dieAt(step, standby) {
					t.Errorf("silod did not come by %q", step)
				}
				d.start("--standby", "0")
				d.allOrNothing(step)
			}
		})
	}
}

// dieAt leads a container through its life until silod dies.
func (d *daemon) dieAt(step, standby string) bool {
	d.t.Helper()
	d.spawn("SILO_TEST_FAULT="+step, "--standby", standby)
	died := func() bool {
		select {
		case <-d.ended:
			return true
		default:
			return false
		}
	}
	d.until("silod answers or dies", func() bool {
		_, _, code := d.try("ps", "-q")
		return died() || code == 0
	})
	port := freePort(d.t)
	for _, args := range [][]string{
		{"create", "--name", "ct", "-p", itoa(port) + ":80", "nano", "sleep", "1000"},
		{"start", "ct"},
		{"restart", "-t", "0", "ct"},
		{"stop", "-t", "0", "ct"},
		{"rm", "ct"},
	} {
		if died() {
			break
		}
		if _, _, code := d.try(args...); code != 0 { // only because silod dies
			d.awaitEnd()
		}
	}
	if !died() {
		d.kill()
		return false
	}
	return true
}

// allOrNothing checks what the daemon has made of a half-done change: every
// container that is shown works, and when it is removed nothing is left.
func (d *daemon) allOrNothing(step string) {
	d.t.Helper()
	ids := strings.Fields(d.silo("ps", "-aq", "--no-trunc"))
	for _, s := range d.traces() {
		if s, ok := strings.CutPrefix(s, "folder "); ok && !slices.Contains(ids, s) {
			d.t.Errorf("died at %q: folder %s is of no container", step, s)
		}
	}
	if len(ids) == 0 {
		d.cleanAfter(step)
		return
	}
	if len(ids) > 1 {
		d.t.Fatalf("died at %q: containers %q", step, ids)
	}
	switch state, _, _ := strings.Cut(d.status("ct"), " "); state {
	case "running":
	case "created", "exited":
		d.cleanAfter(step, "folder "+ids[0])
		d.silo("start", "ct")
	default:
		d.t.Errorf("died at %q: the container is %s", step, state)
	}
	if got := d.silo("exec", "ct", "echo", "works"); got != "works" {
		d.t.Errorf("died at %q: exec prints %q", step, got)
	}
	if got := d.silo("port", "ct"); !strings.HasPrefix(got, "80/tcp") {
		d.t.Errorf("died at %q: ports are %q", step, got)
	}
	d.silo("rm", "-f", "ct")
	d.cleanAfter(step)
}

func (d *daemon) cleanAfter(step string, but ...string) {
	d.t.Helper()
	d.clean(but)
	if d.t.Failed() {
		d.t.Fatalf("died at %q", step)
	}
}

package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"silo/internal/errs"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// layouts are the host's own, and on a hybrid host with all controllers in
// version 1 also what it would be with that alone, so that both ways of
// killing and freezing are tried.
func layouts(t *testing.T) map[string]Layout {
	t.Helper()
	testenv.NeedRoot(t)
	l, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Layout{l.Mode.String(): l}
	old := l
	old.Mode, old.Unified, old.Controllers = V1, "", map[string]Hierarchy{}
	for c, h := range l.Controllers {
		if !h.V2 {
			old.Controllers[c] = h
		}
	}
	if l.Mode == Hybrid && len(old.Controllers) == len(l.Controllers) {
		out["v1"] = old
	}
	return out
}

func eachLayout(t *testing.T, f func(t *testing.T, l Layout)) {
	for name, l := range layouts(t) {
		t.Run(name, func(t *testing.T) { f(t, l) })
	}
}

// testParent is a folder of this test process's own, removed at the end.
func testParent(t *testing.T, l Layout) string {
	t.Helper()
	parent := fmt.Sprintf("silo-test-%d", os.Getpid())
	t.Cleanup(func() {
		if _, err := Sweep(l, parent, nil); err != nil {
			t.Error(err)
		}
		for _, h := range l.dirs() {
			if err := removeTree(filepath.Join(h.Dir, parent)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	})
	return parent
}

func testGroup(t *testing.T, l Layout, name string) *Group {
	t.Helper()
	g := New(l, testParent(t, l), name)
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	return g
}

// start runs a shell script inside the group; it is reaped at the end.
func start(t *testing.T, g *Group, script string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	join := "for f in " + strings.Join(g.ProcsFiles(), " ") + "; do echo 0 > $f || exit 9; done\n"
	cmd := exec.Command("sh", "-c", join+script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(out)
}

// ready waits for the line that a script prints when it has begun.
func ready(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("read %q: %v", line, err)
	}
}

func TestLifeCycle(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "life")
		if err := g.Create(); err != nil {
			t.Errorf("a second Create: %v", err)
		}
		if empty, err := g.Empty(); !empty || err != nil || !g.Exists() {
			t.Errorf("new group: empty %v, %v, exists %v", empty, err, g.Exists())
		}
		cmd, out := start(t, g, "sleep 1000 & echo ready; wait")
		ready(t, out)
		member, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(member), "/"+g.Path()+"\n"); n != len(l.dirs()) {
			t.Errorf("member of %d groups, want %d:\n%s", n, len(l.dirs()), member)
		}
		pids, err := g.Procs()
		if err != nil || !slices.Contains(pids, cmd.Process.Pid) || len(pids) != 2 {
			t.Errorf("processes %v, %v", pids, err)
		}
		if empty, err := g.Empty(); empty || err != nil {
			t.Errorf("with processes: empty %v, %v", empty, err)
		}
		if err := g.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("the process ended with %v", err)
		}
		for range 2 {
			if err := g.Destroy(); err != nil {
				t.Error(err)
			}
			if err := g.Kill(); err != nil {
				t.Error(err)
			}
		}
		if _, err := g.Procs(); !errs.Is(err, errs.NotFound) || g.Exists() {
			t.Errorf("after removal: %v, exists %v", err, g.Exists())
		}
	})
}

func TestFreezeAndKillFrozen(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "frozen")
		cmd, out := start(t, g, "echo ready; while :; do :; done")
		ready(t, out)
		if err := g.Freeze(); err != nil {
			t.Fatal(err)
		}
		if frozen, err := g.Frozen(); !frozen || err != nil {
			t.Errorf("frozen %v, %v", frozen, err)
		}
		before := cpuTime(t, cmd.Process.Pid)
		time.Sleep(100 * time.Millisecond)
		if after := cpuTime(t, cmd.Process.Pid); after != before {
			t.Errorf("a frozen process ran: %s, then %s", before, after)
		}
		if err := g.Thaw(); err != nil {
			t.Fatal(err)
		}
		if frozen, err := g.Frozen(); frozen || err != nil {
			t.Errorf("thawed, but frozen %v, %v", frozen, err)
		}
		for cpuTime(t, cmd.Process.Pid) == before { // it runs again, or the test times out
			time.Sleep(time.Millisecond)
		}
		if err := g.Freeze(); err != nil {
			t.Fatal(err)
		}
		if err := g.Kill(); err != nil {
			t.Fatal(err)
		}
		if empty, err := g.Empty(); !empty || err != nil {
			t.Errorf("after Kill: empty %v, %v", empty, err)
		}
	})
}

// cpuTime gives utime and stime of a process.
func cpuTime(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return strings.Join(strings.Fields(after)[11:13], " ")
}

// A fork bomb: new processes appear faster than they could be listed.
func TestKillForkBomb(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "bomb")
		if _, err := g.Set(Resources{PidsLimit: limit(40)}); err != nil {
			t.Fatal(err)
		}
		_, out := start(t, g, "exec 2>/dev/null; f() { f | f & }; echo ready; while :; do f; done")
		ready(t, out)
		for n := uint64(0); n < 20; { // until it has gone off, or the test times out
			s, err := g.Stats()
			if err != nil {
				t.Fatal(err)
			}
			if n = s.Pids.Current; n > 40 || s.Pids.Limit != 40 {
				t.Fatalf("%d processes, limit %d", n, s.Pids.Limit)
			}
		}
		if err := g.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := g.Destroy(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNestedGroups(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "outer")
		inner := New(l, g.Path(), "inner")
		if err := inner.Create(); err != nil {
			t.Fatal(err)
		}
		cmd, out := start(t, inner, "echo ready; sleep 1000")
		ready(t, out)
		if pids, err := g.Procs(); err != nil || !slices.Contains(pids, cmd.Process.Pid) {
			t.Errorf("processes %v, %v", pids, err)
		}
		if empty, err := g.Empty(); empty || err != nil {
			t.Errorf("empty %v, %v", empty, err)
		}
		if err := errors.Join(g.Kill(), g.Destroy()); err != nil {
			t.Error(err)
		}
	})
}

// Who is given a group makes others below it and moves processes among them; its
// limits are not his, and neither is what is outside.
func TestDelegate(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "given")
		const user = 54321
		if err := g.Delegate(user, user); err != nil {
			t.Fatal(err)
		}
		dir, _ := g.tracker()
		pids, _, _ := g.dir("pids")
		inside := fmt.Sprintf("read go; mkdir %[1]s/a && echo 0 >%[1]s/a/cgroup.procs && grep -o given/a /proc/self/cgroup; "+
			"echo 7 >%[2]s/pids.max || echo limit; echo 0 >%[1]s/../cgroup.procs || echo outside", dir, pids)
		cmd := exec.Command("sh", "-c", inside)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		cmd.Dir = "/"
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out, said strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for _, file := range g.ProcsFiles() {
			if err := os.WriteFile(file, []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
				t.Error(err)
			}
		}
		_, err = io.WriteString(in, "go\n")
		if err := errors.Join(err, in.Close(), cmd.Wait()); err != nil || out.String() != "given/a\nlimit\noutside\n" {
			t.Errorf("inside: %q, %v, %s", out.String(), err, said.String())
		}
	})
}

// spin keeps a group with half a processor busy until the kernel has counted a
// period of that limit, and one in which it held.
func spin(t *testing.T, g *Group) {
	t.Helper()
	cmd, out := start(t, g, "echo ready; while :; do :; done")
	ready(t, out)
	for range 1000 {
		s, err := g.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if s.CPU.Periods > 0 && s.CPU.ThrottledPeriods > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if s, err := g.Stats(); err != nil || s.CPU.Periods == 0 || s.CPU.ThrottledPeriods == 0 {
		t.Errorf("%+v, %v", s.CPU, err)
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

func TestLimitsHold(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "limits")
		r := Resources{
			Memory: 32 << 20, MemorySwap: 32 << 20, MemoryReservation: 16 << 20, NanoCPUs: 500000000, CPUShares: 512,
			CpusetCpus: "0", CpusetMems: "0", PidsLimit: limit(50),
		}
		warnings, err := g.Set(r)
		if err != nil || len(warnings) != 0 {
			t.Fatalf("%v, %v", warnings, err)
		}
		cmd, _ := start(t, g, "exec 2>/dev/null; head -c 100m /dev/zero | tail | wc -c")
		_ = cmd.Wait()
		if n, err := g.OOMKills(); n == 0 || err != nil {
			t.Errorf("OOM kills %d, %v", n, err)
		}
		s, err := g.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if s.Memory.Limit != 32<<20 || s.Memory.MaxUsage < 16<<20 || s.Memory.MaxUsage > 33<<20 || s.Pids.Limit != 50 || s.CPU.Total == 0 {
			t.Errorf("%+v", s)
		}
		spin(t, g)
		// Larger and smaller in one step each, whatever order the kernel wants.
		for _, m := range []int64{256 << 20, 64 << 20, 512 << 20, 6 << 20, -1} {
			r := Resources{Memory: m, NanoCPUs: 1000000000}
			if m > 0 {
				r.MemorySwap = m
			}
			if _, err := g.Set(r); err != nil {
				t.Errorf("memory %d: %v", m, err)
			}
			s, err := g.Stats()
			if err != nil || (m > 0 && s.Memory.Limit != uint64(m)) || (m == -1 && s.Memory.Limit != l.Memory) {
				t.Errorf("memory %d: limit %d, %v", m, s.Memory.Limit, err)
			}
		}
	})
}

func TestSetDevices(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "devices")
		// 1:4 is /dev/port and 1:1 /dev/mem, 1:11 /dev/kmsg: of these only
		// kmsg is given, and only to read.
		rules := []DeviceRule{{Type: 'c', Major: 1, Minor: 11, Access: "r"}}
		for range 2 { // again, as after an update
			if err := g.SetDevices(rules); err != nil {
				t.Fatal(err)
			}
		}
		dir := t.TempDir()
		for name, minor := range map[string]int{"null": 3, "kmsg": 11, "port": 4} {
			if err := syscall.Mknod(filepath.Join(dir, name), syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
				t.Fatal(err)
			}
		}
		_, out := start(t, g, "cd "+dir+`
			try() { if (eval "exec $2") 2>/dev/null; then echo "$1 yes"; else echo "$1 no"; fi; }
			try null '<>null'; try kmsg-read '<kmsg'; try kmsg-write '>>kmsg'; try port '<port'`)
		for _, want := range []string{"null yes", "kmsg-read yes", "kmsg-write no", "port no"} {
			if line, err := out.ReadString('\n'); strings.TrimSpace(line) != want {
				t.Errorf("%q, %v, want %q", line, err, want)
			}
		}
		for _, bad := range []DeviceRule{{Type: 'p', Access: "r"}, {Type: 'c', Access: ""}, {Type: 'c', Access: "x"}, {Type: 'c', Major: -2, Access: "r"}} {
			if err := g.SetDevices([]DeviceRule{bad}); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestSweep(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		parent := testParent(t, l)
		if removed, err := Sweep(l, parent, nil); len(removed) != 0 || err != nil {
			t.Errorf("no parent: %v, %v", removed, err)
		}
		for _, name := range []string{"kept", "lost", "running"} {
			if err := New(l, parent, name).Create(); err != nil {
				t.Fatal(err)
			}
		}
		cmd, out := start(t, New(l, parent, "running"), "echo ready; sleep 1000")
		ready(t, out)
		// A half-removed group: gone from the hierarchy that is looked at first.
		if dirs := New(l, parent, "lost").all(); len(dirs) > 1 {
			if err := syscall.Rmdir(dirs[0]); err != nil {
				t.Fatal(err)
			}
		}
		removed, err := Sweep(l, parent, map[string]bool{"kept": true})
		if err != nil || !slices.Equal(removed, []string{"lost", "running"}) {
			t.Errorf("%v, %v", removed, err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the process of a group that nothing claims lives")
		}
		if !New(l, parent, "kept").Exists() || New(l, parent, "lost").Exists() {
			t.Error("kept is gone or lost is not")
		}
		// The parent goes when nothing is in it any more, and not before.
		if err := RemoveParent(l, parent); err != nil || !New(l, parent, "kept").Exists() {
			t.Errorf("%v, or kept is gone", err)
		}
		if err := New(l, parent, "kept").Destroy(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is none
			if err := RemoveParent(l, parent); err != nil {
				t.Error(err)
			}
		}
		for _, h := range l.dirs() {
			if _, err := os.Stat(filepath.Join(h.Dir, parent)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the parent in %s: %v, want that it is gone", h.Dir, err)
			}
		}
	})
}

func TestDestroyBusy(t *testing.T) {
	eachLayout(t, func(t *testing.T, l Layout) {
		g := testGroup(t, l, "busy")
		cmd, out := start(t, g, "echo ready; sleep 1000")
		ready(t, out)
		err := g.destroy(50 * time.Millisecond)
		if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
			t.Errorf("%v", err)
		}
	})
}

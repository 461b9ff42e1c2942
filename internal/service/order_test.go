package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"silo/internal/service/wire"
)

const oneshotUp = "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/"

// The enabled services come up in order, what they need first, and go down the
// other way round.
func TestOrder(t *testing.T) {
	story(t, map[string]string{
		"a.service": "[Unit]\nAfter=b.service c.service\nRequires=b.service\nWants=c.service\n[Service]\nExecStart=/bin/run a\nExecStop=/bin/ok stop-a\n",
		"b.service": "[Service]\n" + oneshotUp + "slow b\nExecStop=/bin/ok stop-b\n",
		"c.service": "[Unit]\nAfter=b.service\n[Service]\nExecStart=/bin/run c\nExecStop=/bin/ok stop-c\n",
		"/etc/systemd/system/multi-user.target.wants/a.service": "-> ../a.service",
	}, func(t *testing.T, f *fake) {
		up := make(chan []string, 1)
		f.m.Boot(func(failed []string) { up <- failed })
		if failed := <-up; failed != nil {
			t.Errorf("failed: %v", failed)
		}
		if got := f.take(); got != "/bin/slow b; /bin/run c; /bin/run a" {
			t.Errorf("started %q", got)
		}
		done := make(chan bool, 1)
		f.m.End(func() { done <- true })
		<-done
		if got := f.take(); got != "/bin/ok stop-a; SIGTERM run; /bin/ok stop-c; SIGTERM run; /bin/ok stop-b" {
			t.Errorf("stopped %q", got)
		}
		if err := f.do("start", "a"); !strings.Contains(err, "is stopping") {
			t.Errorf("a start after the end: %q", err)
		}
	})
}

// What is asked while generators make units waits for them, and not for all
// that starts afterwards.
func TestAskedWhileGenerating(t *testing.T) {
	const generator = "/usr/lib/systemd/system-generators/slow"
	story(t, map[string]string{
		generator:   "",
		"a.service": "[Service]\nType=notify\nExecStart=/bin/ready\n",
		"/etc/systemd/system/multi-user.target.wants/a.service": "-> ../a.service",
	}, func(t *testing.T, f *fake) {
		if err := os.Chmod(filepath.Join(f.dir, generator), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		begin := time.Now()
		f.m.Boot(nil)
		r := f.m.Handle(wire.Request{Op: wire.OpList}, false)
		if took := time.Since(begin); took < time.Second || took > time.Second+100*time.Millisecond {
			t.Errorf("a list while the generator runs, which takes 1 s, came after %s", took)
		}
		if len(r.Services) != 1 || r.Services[0].Status != wire.Starting {
			t.Errorf("the list holds %+v", r.Services)
		}
		if err := f.do("start", "a"); err != "" {
			t.Errorf("start: %s", err)
		}
		f.is(t, "a", "running")
		f.m.End(func() {})
	})
}

// What is asked for by itself waits for what is under way and goes before it.
func TestOrderOfRequests(t *testing.T) {
	story(t, map[string]string{
		"slow.service":   "[Unit]\nBefore=third.service\n[Service]\n" + oneshotUp + "slow\nExecStop=/bin/slow stop\n",
		"later.service":  "[Unit]\nAfter=slow.service\n[Service]\nExecStart=/bin/run later\n",
		"third.service":  "[Service]\nExecStart=/bin/run third\n",
		"other.service":  "[Service]\nExecStart=/bin/run other\n",
		"idle.service":   "[Service]\nType=idle\nExecStart=/bin/run idle\n",
		"follow.service": "[Unit]\nPartOf=idle.service\nAfter=idle.service\n[Service]\nExecStart=/bin/run follow\n",
	}, func(t *testing.T, f *fake) {
		begin := time.Now()
		after := func(action, name string) time.Duration {
			if err := f.do(action, name); err != "" {
				t.Errorf("%s %s: %s", action, name, err)
			}
			return time.Since(begin)
		}
		go f.do("start", "slow")
		time.Sleep(100 * time.Millisecond)
		if d := after("start", "other"); d > 200*time.Millisecond {
			t.Errorf("what has nothing to do with it took until %s", d)
		}
		for _, name := range []string{"later", "third"} {
			if d := after("start", name); d < time.Second {
				t.Errorf("%s was up after %s, before what it is ordered after", name, d)
			}
		}
		f.take()
		begin = time.Now()
		go f.do("stop", "slow")
		time.Sleep(100 * time.Millisecond)
		if d := after("restart", "later"); d < time.Second {
			t.Errorf("it was up again after %s, before the other's stop", d)
		}
		if err := f.do("start", "idle", "follow"); err != "" {
			t.Error(err)
		}
		begin = time.Now()
		if d := after("restart", "idle"); d > time.Second {
			t.Errorf("a service of type idle waited %s for one that waits for it", d)
		}
		f.is(t, "follow", "running")
		for _, name := range []string{"later", "third", "other", "idle", "follow"} {
			f.do("stop", name)
		}
	})
}

// What hangs on a unit that fails, stops or conflicts.
func TestDependencies(t *testing.T) {
	units := map[string]string{
		"bad.service":    "[Unit]\nOnFailure=hook.service\n[Service]\nType=oneshot\nExecStart=/bin/fail bad\n",
		"needs.service":  "[Unit]\nRequires=bad.service\nAfter=bad.service\n[Service]\nExecStart=/bin/run needs\n",
		"wants.service":  "[Unit]\nWants=bad.service\nAfter=bad.service\n[Service]\nExecStart=/bin/run wants\n",
		"hook.service":   "[Service]\nType=oneshot\nExecStart=/bin/ok hook\n",
		"base.service":   "[Service]\nExecStart=/bin/slow base\n",
		"bound.service":  "[Unit]\nBindsTo=base.service\nAfter=base.service\n[Service]\nExecStart=/bin/run bound\n",
		"part.service":   "[Unit]\nPartOf=hold.service\n[Service]\nExecStart=/bin/run part\n",
		"hold.service":   "[Service]\nExecStart=/bin/run hold\n",
		"enemy.service":  "[Unit]\nConflicts=hold.service\nAfter=hold.service\n[Service]\nExecStart=/bin/run enemy\n",
		"assert.service": "[Unit]\nAssertPathExists=/none\n[Service]\nExecStart=/bin/run\n",
		"cond.service":   "[Unit]\nConditionPathExists=/none\n[Service]\nExecStart=/bin/run\n",
		"mask.service":   "-> /dev/null",
		"t@.service":     "[Service]\nExecStart=/bin/run %i\n",
	}
	story(t, units, func(t *testing.T, f *fake) {
		if err := f.do("start", "needs"); !strings.Contains(err, "needs") {
			t.Errorf("start of what needs a failing unit: %q", err)
		}
		f.is(t, "needs", "stopped")
		synctest.Wait()
		time.Sleep(time.Second)
		if got := f.take(); got != "/bin/fail bad; /bin/ok hook" {
			t.Errorf("ran %q", got)
		}
		if err := f.do("start", "wants"); err != "" {
			t.Errorf("start of what wants a failing unit: %s", err)
		}
		f.is(t, "wants", "running")

		if err := f.do("start", "bound"); err != "" {
			t.Error(err)
		}
		time.Sleep(5 * time.Second) // base ends by itself
		f.is(t, "bound", "stopped")

		if err := f.do("start", "hold", "part"); err != "" {
			t.Error(err)
		}
		f.take()
		if err := f.do("restart", "hold"); err != "" {
			t.Error(err)
		}
		if got := f.take(); strings.Count(got, "/bin/run part") != 1 || strings.Count(got, "/bin/run hold") != 1 {
			t.Errorf("restart of what another is part of: %q", got)
		}
		if err := f.do("start", "enemy"); err != "" {
			t.Error(err)
		}
		f.is(t, "hold", "stopped")
		f.is(t, "part", "stopped")
		f.is(t, "enemy", "running")

		for unit, part := range map[string]string{"assert": "AssertPathExists=/none", "mask": "masked", "none": "no unit none.service"} {
			if err := f.do("start", unit); !strings.Contains(err, part) {
				t.Errorf("start %s: %q, want %q", unit, err, part)
			}
		}
		if err := f.do("start", "cond"); err != "" {
			t.Errorf("start with a condition that does not hold: %s", err)
		}
		f.is(t, "cond", "stopped")
		f.take()
		if err := f.do("start", "t@x"); err != "" {
			t.Error(err)
		}
		if got := f.take(); got != "/bin/run x" {
			t.Errorf("template ran %q", got)
		}
	})
}

// A stop in the middle of a start wins, and the start says so.
func TestStopDuringStart(t *testing.T) {
	story(t, map[string]string{"a.service": "[Service]\nType=notify\nExecStart=/bin/run\n"}, func(t *testing.T, f *fake) {
		answer := make(chan string, 1)
		go func() { answer <- f.do("start", "a") }()
		time.Sleep(time.Second)
		f.is(t, "a", "starting")
		if err := f.do("stop", "a"); err != "" {
			t.Error(err)
		}
		if err := <-answer; !strings.Contains(err, "another job") {
			t.Errorf("start: %q", err)
		}
		f.is(t, "a", "stopped")
	})
}

// Only who NotifyAccess= lets is heard.
func TestNotifyAccess(t *testing.T) {
	for access, want := range map[string]string{"main": "failed", "exec": "failed", "all": "running", "none": "failed"} {
		t.Run(access, func(t *testing.T) {
			story(t, map[string]string{
				"a.service": "[Service]\nType=notify\nTimeoutStartSec=5\nNotifyAccess=" + access + "\nExecStart=/bin/run\n",
				"b.service": "[Service]\nExecStart=/bin/run b\n",
			}, func(t *testing.T, f *fake) {
				go f.do("start", "a")
				synctest.Wait()
				s := f.is(t, "a", "starting")
				f.mu.Lock()
				f.procs[7] = &fproc{Process: f.procs[s.MainPID].Process} // a child of it
				f.procs[8] = &fproc{Process: &Process{}}                 // of nobody
				f.mu.Unlock()
				for _, pid := range []int{7, 8} {
					f.m.post(func() { f.m.notified(sender{pid: pid, mark: f.MarkOf(pid)}, "MAINPID=8\nREADY=1") })
				}
				time.Sleep(time.Minute)
				if got := f.is(t, "a", want); want == "running" && got.MainPID != s.MainPID {
					t.Errorf("main process is %d: a stranger was taken", got.MainPID)
				}
				f.do("stop", "a")
			})
		})
	}
}

// Timers of both kinds.
func TestTimers(t *testing.T) {
	story(t, map[string]string{
		"span.timer":    "[Timer]\nOnActiveSec=10\nOnUnitActiveSec=1min\n",
		"span.service":  "[Service]\nType=oneshot\nExecStart=/bin/ok span\n",
		"wall.timer":    "[Timer]\nOnCalendar=*:0/10\nUnit=other.service\nPersistent=yes\n",
		"other.service": "[Service]\nType=oneshot\nExecStart=/bin/ok wall\n",
	}, func(t *testing.T, f *fake) {
		if err := f.do("start", "span.timer", "wall.timer"); err != "" {
			t.Fatal(err)
		}
		if next := f.is(t, "other", "stopped").Next; next.Minute()%10 != 0 || !next.After(time.Now()) {
			t.Errorf("next time of the calendar: %s", next)
		}
		time.Sleep(65 * time.Minute)
		trace := f.take()
		if n := strings.Count(trace, "span"); n < 64 || n > 65 {
			t.Errorf("each minute from ten seconds on: %d times in 65 minutes", n)
		}
		if n := strings.Count(trace, "wall"); n != 6 {
			t.Errorf("each ten minutes: %d times in 65 minutes", n)
		}
		if _, err := os.Stat(filepath.Join(f.dir, stamps+"wall.timer")); err != nil {
			t.Errorf("Persistent=: %v", err)
		}
		if err := f.do("stop", "span.timer", "wall.timer"); err != "" {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := f.take(); got != "" {
			t.Errorf("after the stop: %q", got)
		}
	})
}

// A delay is added to the time that the calendar gives, and not moved on with
// every look at it.
func TestRandomDelay(t *testing.T) {
	story(t, map[string]string{
		"spread.timer":   "[Timer]\nOnCalendar=*:*:00\nRandomizedDelaySec=4min\nPersistent=yes\n",
		"spread.service": "[Service]\nType=oneshot\nExecStart=/bin/ok spread\n",
		"daily.timer":    "[Timer]\nOnCalendar=daily\nRandomizedDelaySec=12h\n",
		"daily.service":  "[Service]\nType=oneshot\nExecStart=/bin/ok daily\n",
	}, func(t *testing.T, f *fake) {
		if err := f.do("start", "spread.timer", "daily.timer"); err != "" {
			t.Fatal(err)
		}
		if fi, err := os.Stat(filepath.Join(f.dir, stamps+"spread.timer")); err != nil || time.Until(fi.ModTime()).Abs() > time.Second {
			t.Errorf("the time from which what is missed counts: %v, %v", fi, err)
		}
		time.Sleep(100 * time.Hour)
		trace := f.take()
		if n := strings.Count(trace, "spread"); n < 100*60/6 || n > 100*60 {
			t.Errorf("each minute, up to 4 minutes late: %d times in 100 hours", n)
		}
		if n := strings.Count(trace, "daily"); n < 3 || n > 4 {
			t.Errorf("each day, up to 12 hours late: %d times in 100 hours", n)
		}
		if err := f.do("stop", "spread.timer", "daily.timer"); err != "" {
			t.Fatal(err)
		}
	})
}

// The end of the command waits for services that hold state only, and for
// those not for ever.
func TestEnd(t *testing.T) {
	for _, tt := range []struct {
		name, unit string
		shutdown   int // seconds that silod gives; 0 is no `silo stop`
		took       time.Duration
	}{
		{"simple", "ExecStart=/bin/stubborn\n", 0, 0},
		{"with ExecStop", "ExecStart=/bin/run\nExecStop=/bin/ok\n", 0, 10 * time.Millisecond},
		{"stubborn with ExecStop", "ExecStart=/bin/stubborn\nExecStop=/bin/ok\n", 0, endWait},
		{"stop", "ExecStart=/bin/stubborn\n", 5, 5 * time.Second},
		{"stop that waits for ever", "ExecStart=/bin/stubborn\nTimeoutStopSec=30\n", -1, 31 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, map[string]string{"a.service": "[Service]\n" + tt.unit}, func(t *testing.T, f *fake) {
				if err := f.do("start", "a"); err != "" {
					t.Fatal(err)
				}
				begun := time.Now()
				if tt.shutdown != 0 {
					f.m.Handle(wire.Request{Op: wire.OpAction, Action: wire.Shutdown, Seconds: tt.shutdown}, true)
				}
				done := make(chan bool, 1)
				f.m.End(func() { done <- true })
				<-done
				if took := time.Since(begun); took > tt.took || tt.took == endWait && took < endWait {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// A service that owns a part of the way to its directories cannot lead root to
// what is not its own.
func TestDirectoriesFollowNoLink(t *testing.T) {
	const inner = "[Service]\nUser=www\nExecStart=/bin/run\n"
	story(t, map[string]string{
		"state.service":   inner + "StateDirectory=app app/cache\n",
		"deep.service":    inner + "StateDirectory=app/x/new\n",
		"run.service":     inner + "RuntimeDirectory=r/x/etc\n",
		"link.service":    inner + "RuntimeDirectory=l:app/x/link\n",
		"private.service": inner + "StateDirectory=mine\n",
	}, func(t *testing.T, f *fake) {
		in := func(p string) string { return filepath.Join(f.dir, p) }
		f.write("/var/lib/other/secret", "x")
		f.write("/run/other/etc/passwd", "x")
		for dir, mode := range map[string]os.FileMode{"var/lib/app": 0o777, "run/r": 0o777, "run/app": 0o777, "var/lib/private/mine": 0o755} {
			if err := os.MkdirAll(in(dir), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(in(dir), mode); err != nil { // not root's alone, as if the service owned it
				t.Fatal(err)
			}
		}
		for link, target := range map[string]string{"var/lib/app/cache": "../other", "var/lib/app/x": "../other", "run/r/x": "../other", "run/app/x": "../other", "var/lib/mine": "private/mine"} {
			if err := os.Symlink(target, in(link)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(in("var/lib/other"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"state", "deep", "run", "link"} {
			if err := f.do("start", name); !strings.Contains(err, "resources") {
				t.Errorf("start %s: %q", name, err)
			}
			if log := strings.Join(f.is(t, name, "failed").Log, "\n"); !strings.Contains(log, "is not followed") {
				t.Errorf("log of %s: %s", name, log)
			}
		}
		if fi, err := os.Stat(in("var/lib/other")); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("what the link leads to was changed: %v, %v", fi.Mode(), err)
		}
		for _, p := range []string{"var/lib/other/new", "run/other/link"} {
			if _, err := os.Lstat(in(p)); err == nil {
				t.Errorf("%s was made", p)
			}
		}
		if _, err := os.Stat(in("run/other/etc/passwd")); err != nil {
			t.Errorf("a runtime directory's removal: %v", err)
		}
		if err := f.do("start", "private"); err != "" { // a link that root alone can have made, as systemd leaves it
			t.Error(err)
		}
	})
}

// Directories, dynamic users and enabling leave their traces in the root.
func TestFiles(t *testing.T) {
	story(t, map[string]string{
		"a.service": "[Service]\nExecStart=/bin/run\nRuntimeDirectory=a/b\nRuntimeDirectoryMode=0700\nStateDirectory=a\n[Install]\nWantedBy=multi-user.target\n",
	}, func(t *testing.T, f *fake) {
		if err := f.do("start", "a"); err != "" {
			t.Fatal(err)
		}
		if fi, err := os.Stat(filepath.Join(f.dir, "run/a/b")); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("RuntimeDirectory: %v, %v", fi, err)
		}
		if err := f.do("stop", "a"); err != "" {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(f.dir, "run/a/b")); err == nil {
			t.Error("the runtime directory is left")
		}
		if _, err := os.Stat(filepath.Join(f.dir, "var/lib/a")); err != nil {
			t.Errorf("StateDirectory: %v", err)
		}
		if f.is(t, "a", "stopped").Enabled {
			t.Error("enabled before it was")
		}
		link := filepath.Join(f.dir, "etc/systemd/system/multi-user.target.wants/a.service")
		if err := f.do("enable", "a"); err != "" {
			t.Fatal(err)
		}
		if _, err := os.Lstat(link); err != nil || !f.is(t, "a", "stopped").Enabled {
			t.Errorf("enable: %v", err)
		}
		if err := f.do("disable", "a"); err != "" {
			t.Fatal(err)
		}
		if _, err := os.Lstat(link); err == nil || f.is(t, "a", "stopped").Enabled {
			t.Error("it is enabled after disable")
		}
		nobody := f.m.Handle(wire.Request{Op: wire.OpAction, Action: wire.Start, Units: []string{"a"}}, false)
		if !strings.Contains(nobody.Error, "only user 0") {
			t.Errorf("a start by nobody: %q", nobody.Error)
		}
	})
}

// Lines of the manager wait for the keeper without holding up the manager, and
// without end they are dropped.
func TestOwnLinesAreBounded(t *testing.T) {
	block, got := make(chan struct{}), make(chan string, 10*maxOwn)
	l := lines{rings: map[string]*ring{}, out: func(_, _ string, data []byte) { <-block; got <- string(data) }}
	for range 3 * maxOwn {
		l.own("a", "line\n")
	}
	if n := len(l.last("a")); n != ringLines {
		t.Errorf("%d last lines are kept, want %d", n, ringLines)
	}
	close(block)
	n := 0
	for text := range got {
		if n++; strings.Contains(text, "missing") {
			break
		}
	}
	if n < maxOwn || n > 2*maxOwn+1 {
		t.Errorf("%d lines came through, want about %d", n, maxOwn)
	}
}

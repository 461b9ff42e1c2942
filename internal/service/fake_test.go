package service

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"silo/internal/service/unit"
	"silo/internal/service/wire"
)

// fake is a System without processes. What a program does is told by its name:
// ok ends at once, fail ends with 3, run runs until it is asked to end,
// stubborn until it is killed, daemon leaves a child and ends, ready says so
// after a second.
type fake struct {
	mu     sync.Mutex
	m      *Manager
	t      *testing.T
	dir    string
	next   int
	procs  map[int]*fproc
	trace  []string
	failed []string
}

type fproc struct {
	*Process
	child   bool
	ignores bool
}

func (f *fake) Spawn(p *Process) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trace = append(f.trace, strings.Join(p.Args, " "))
	program := filepath.Base(p.Path)
	if program == "missing" {
		return 0, fmt.Errorf("exec %s: no such file", p.Path)
	}
	f.next++
	pid := f.next
	f.procs[pid] = &fproc{Process: p, child: true, ignores: program == "stubborn"}
	switch program {
	case "ok":
		f.later(0, pid, Exit{})
	case "fail":
		f.later(0, pid, Exit{Code: 3})
	case "slow":
		f.later(time.Second, pid, Exit{})
	case "crash":
		f.later(time.Second, pid, Exit{Signal: 11})
	case "daemon":
		f.next++
		f.procs[f.next] = &fproc{Process: p, child: true}
		f.write("/run/d.pid", fmt.Sprintln(f.next))
		f.later(0, pid, Exit{})
	case "liar": // names a process of nobody
		f.next++
		f.procs[f.next] = &fproc{Process: &Process{}, child: true}
		f.write("/run/d.pid", fmt.Sprintln(f.next))
		f.next++
		f.procs[f.next] = &fproc{Process: p, child: true}
		f.later(0, pid, Exit{})
	case "vanish":
		f.later(0, pid, Exit{})
	case "ready":
		m := f.m
		time.AfterFunc(time.Second, func() { m.post(func() { m.notified(sender{pid: pid, mark: p.Mark}, "READY=1\nSTATUS=all well") }) })
	}
	return pid, nil
}

// later ends a process, in a moment at the earliest.
func (f *fake) later(d time.Duration, pid int, e Exit) {
	time.AfterFunc(d+time.Millisecond, func() { f.end(pid, e) })
}

func (f *fake) end(pid int, e Exit) {
	f.mu.Lock()
	p := f.procs[pid]
	delete(f.procs, pid)
	f.mu.Unlock()
	if p != nil {
		f.m.Exited(pid, e)
	}
}

func (f *fake) Members() map[Mark][]Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[Mark][]Member{}
	for _, pid := range slices.Sorted(maps.Keys(f.procs)) {
		if p := f.procs[pid]; p.Mark != 0 {
			out[p.Mark] = append(out[p.Mark], Member{PID: pid, Child: p.child})
		}
	}
	return out
}

func (f *fake) MarkOf(pid int) Mark {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.procs[pid]; p != nil {
		return p.Mark
	}
	return 0
}

func (f *fake) Ancestors(int) []int { return nil }

func (f *fake) Kill(pid int, sig unit.Signal) error {
	f.mu.Lock()
	p := f.procs[pid]
	if p != nil && sig != sigCONT {
		f.trace = append(f.trace, fmt.Sprintf("%s %s", signalName(int(sig)), filepath.Base(p.Path)))
	}
	f.mu.Unlock()
	if p == nil || sig == sigCONT || p.ignores && sig != sigKILL {
		return nil
	}
	f.later(0, pid, Exit{Signal: int(sig)})
	return nil
}

func (f *fake) Resident(int) int64 { return 4096 }

func (f *fake) User(name, group string, _ []string) (User, error) {
	switch name {
	case "0", "root":
		return User{Name: "root", Home: "/root", Shell: "/bin/sh", UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}, nil
	case "www":
		return User{Name: "www", Home: "/srv", Shell: "/bin/sh", UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}, nil
	}
	if strings.Trim(name, "0123456789") == "" {
		return User{}, nil
	}
	return User{}, fmt.Errorf("user %s: unable to find it", name)
}

func (f *fake) Output(string, string, []byte) {}

func (f *fake) Failed(name, result string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = append(f.failed, name+" "+result)
}

func (f *fake) write(name, text string) {
	p := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		f.t.Error(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		f.t.Error(err)
	}
}

// take gives what has happened since it was called last.
func (f *fake) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.trace, "; ")
	f.trace = nil
	return s
}

// story runs a test with units in a time of its own.
func story(t *testing.T, units map[string]string, tell func(t *testing.T, f *fake)) {
	t.Helper()
	dir := t.TempDir()
	f := &fake{t: t, dir: dir, next: 100, procs: map[int]*fproc{}}
	for name, text := range units {
		if !strings.HasPrefix(name, "/") {
			name = "/etc/systemd/system/" + name
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			p := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, p); err != nil {
				t.Fatal(err)
			}
			continue
		}
		f.write(name, text)
	}
	synctest.Test(t, func(t *testing.T) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		m := New(Options{System: f, Root: root})
		f.m = m
		tell(t, f)
		synctest.Wait()
		close(m.queue.wake)
		root.Close()
	})
}

// do asks for something and gives the error that came of it.
func (f *fake) do(action string, units ...string) string {
	return f.m.Handle(wire.Request{Op: wire.OpAction, Action: action, Units: units}, true).Error
}

// is fails unless a service has a status.
func (f *fake) is(t *testing.T, name, want string) wire.Service {
	t.Helper()
	synctest.Wait()
	r := f.m.Handle(wire.Request{Op: wire.OpAction, Action: wire.Status, Units: []string{name}}, true)
	if r.Error != "" || len(r.Services) != 1 {
		t.Fatalf("status of %s: %+v", name, r)
	}
	if got := r.Services[0].Status; got != want {
		t.Errorf("%s is %s (%s), want %s; log %q", name, got, r.Services[0].Result, want, r.Services[0].Log)
	}
	return r.Services[0]
}

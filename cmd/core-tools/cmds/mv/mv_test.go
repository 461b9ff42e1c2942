package main

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"coretools.silo/attr"
	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

func newMover(in string) (*mover, *strings.Builder, *strings.Builder) {
	var out, errs strings.Builder
	return &mover{in: strings.NewReader(in), out: &out, errs: &errs, rename: syscall.Rename, made: map[string]bool{}}, &out, &errs
}

// far is a rename to another file system.
func far(string, string) error { return syscall.EXDEV }

func TestPlan(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/x": "", "f": "", "l": "->d"}))
	for _, tt := range []struct {
		args, sources, target string
		into, bad             bool
	}{
		{"a b", "a", "b", false, false},
		{"a d", "a", "d", true, false},
		{"a l", "a", "l", true, false},
		{"-T a d", "a", "d", false, false},
		{"-t d a b", "a b", "d", true, false},
		{"a b d", "a b", "d", true, false},
		{"a b f", "", "", false, true},
		{"a b none", "", "", false, true},
		{"-t f a", "", "", false, true},
		{"-T a b c", "", "", false, true},
		{"-T -t d a", "", "", false, true},
		{"a", "", "", false, true},
		{"", "", "", false, true},
	} {
		opt, err := getopt.Read("finvTt:u", nil, strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		sources, target, into, err := (&mover{}).plan(opt)
		if (err != nil) != tt.bad || !tt.bad && (!slices.Equal(sources, strings.Fields(tt.sources)) || target != tt.target || into != tt.into) {
			t.Errorf("%s: %q to %q, into %v, %v", tt.args, sources, target, into, err)
		}
	}
}

// TestMove moves within a file system and to another one, with the same results.
func TestMove(t *testing.T) {
	for _, rename := range []func(string, string) error{syscall.Rename, far} {
		t.Chdir(treetest.Lay(t, map[string]string{
			"a": "A", "b": "B", "c": "C", "full/x": "x", "dir/sub/y": "y", "dir/l": "->sub", "dir/broken": "->none", "link": "->b",
		}))
		if err := os.Mkdir("empty", 0o700); err != nil {
			t.Fatal(err)
		}
		m, out, _ := newMover("")
		m.verbose, m.rename = true, rename
		for _, tt := range []struct{ src, dst, want string }{
			{"a", "new", ""},
			{"new", "b", ""},
			{"b", "b", "'b' and 'b' are the same file"},
			{"b", "./b", "'b' and './b' are the same file"},
			{"link", "b", "'link' and 'b' are the same file"},
			{"none", "x", "lstat none: no such file or directory"},
			{"c", "full", "'full': a folder is in the way of 'c'"},
			{"full", "c", "'c': a file is in the way of the folder 'full'"},
			{"dir", "full", "move dir full: directory not empty"},
			{"dir", "empty", ""},
			{"c", "b", "b: was just made: 'c' does not replace it"},
		} {
			if got := text(m.move(tt.src, tt.dst)); got != tt.want {
				t.Errorf("%s to %s: %q, want %q", tt.src, tt.dst, got, tt.want)
			}
		}
		if got, err := os.ReadFile("b"); string(got) != "A" {
			t.Errorf("b is %q, %v, want A", got, err)
		}
		if got, err := os.ReadFile("empty/l/y"); string(got) != "y" {
			t.Errorf("empty/l/y is %q, %v, want y", got, err)
		}
		if want := "renamed 'a' -> 'new'\nrenamed 'new' -> 'b'\nrenamed 'dir' -> 'empty'\n"; out.String() != want {
			t.Errorf("told %q, want %q", out.String(), want)
		}
		if entries, _ := os.ReadDir("."); len(entries) != 5 {
			t.Errorf("what is left: %v, want b c empty full link", entries)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestIntoItself(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/e/f": "x", "to": "->d/e"}))
	for _, rename := range []func(string, string) error{syscall.Rename, far} {
		m, _, _ := newMover("")
		m.rename = rename
		for _, dst := range []string{"d/d", "d/e/d", "to/d"} {
			if got, want := text(m.move("d", dst)), "cannot move 'd' into itself, '"+dst+"'"; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	if _, err := os.Stat("d/e/f"); err != nil {
		t.Error(err)
	}
}

func TestPolicy(t *testing.T) {
	for _, tt := range []struct {
		policy   byte
		update   bool
		newer    bool // the source
		answer   string
		terminal bool
		protect  bool
		moved    bool
		asked    string
	}{
		{policy: 0, moved: true},
		{policy: 'n'},
		{policy: 'i', answer: "y\n", moved: true, asked: "mv: overwrite 'b'? "},
		{policy: 'i', answer: "no\n", asked: "mv: overwrite 'b'? "},
		{policy: 'i', answer: "", asked: "mv: overwrite 'b'? "},
		{policy: 'f', moved: true, terminal: true, protect: true},
		{update: true},
		{update: true, newer: true, moved: true},
	} {
		t.Chdir(treetest.Lay(t, map[string]string{"a": "A", "b": "B"}))
		older, now := syscall.NsecToTimespec(time.Now().Add(-time.Hour).UnixNano()), syscall.NsecToTimespec(time.Now().UnixNano())
		times := map[string]syscall.Timespec{"a": older, "b": now}
		if tt.newer {
			times["a"], times["b"] = now, older
		}
		for name, at := range times {
			if err := attr.SetTimes(name, at, at, false); err != nil {
				t.Fatal(err)
			}
		}
		m, _, errs := newMover(tt.answer)
		m.policy, m.update, m.terminal = tt.policy, tt.update, tt.terminal
		if tt.protect {
			_ = os.Chmod("b", 0o400)
		}
		if err := m.move("a", "b"); err != nil {
			t.Errorf("%+v: %v", tt, err)
		}
		content, _ := os.ReadFile("b")
		if moved := string(content) == "A"; moved != tt.moved || errs.String() != tt.asked {
			t.Errorf("%+v: moved %v, asked %q", tt, moved, errs.String())
		}
	}
}

// TestCopied looks whether a copy keeps all that a rename would.
func TestCopied(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/one": "text", "d/sub/f": "", "d/l": "->one"}))
	if err := os.Link("d/one", "d/sub/two"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo("d/pipe", 0o640); err != nil {
		t.Fatal(err)
	}
	modes := map[string]uint32{"d/one": 0o4751, "d/sub/f": 0o600, "d/sub": 0o2711, "d": 0o750}
	for _, path := range []string{"d/one", "d/sub/f", "d/sub", "d"} {
		if err := syscall.Chmod(path, modes[path]); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"d/l", "d/one", "d/pipe", "d/sub/f", "d/sub", "d"}
	before := map[string]syscall.Stat_t{}
	for i, path := range names {
		at := syscall.Timespec{Sec: int64(1000 + i), Nsec: 5}
		if err := attr.SetTimes(path, at, at, true); err != nil {
			t.Fatal(err)
		}
		var st syscall.Stat_t
		_ = syscall.Lstat(path, &st)
		before[path] = st
	}
	m, _, _ := newMover("")
	m.rename = far
	if err := m.move("d", "e"); err != nil {
		t.Fatal(err)
	}
	for path, was := range before {
		var st syscall.Stat_t
		if err := syscall.Lstat("e"+path[1:], &st); err != nil {
			t.Error(err)
			continue
		}
		if st.Mode != was.Mode || st.Uid != was.Uid || st.Gid != was.Gid || st.Mtim != was.Mtim || st.Nlink != was.Nlink {
			t.Errorf("%s: mode %o, owner %d:%d, time %v, %d names; want %o, %d:%d, %v, %d", path,
				st.Mode, st.Uid, st.Gid, st.Mtim, st.Nlink, was.Mode, was.Uid, was.Gid, was.Mtim, was.Nlink)
		}
	}
	if entries, _ := os.ReadDir("."); len(entries) != 1 {
		t.Errorf("what is left: %v, want e alone", entries)
	}
}

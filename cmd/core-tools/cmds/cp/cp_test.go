package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"coretools.silo/attr"
	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

// TestUpdate copies with -u over an older and a newer file and to a new name.
func TestUpdate(t *testing.T) {
	for _, tt := range []struct{ args, src, dst, want string }{
		{"-u", "old", "new", "new"},
		{"-u", "new", "old", "new"},
		{"-u", "old", "none", "old"},
		{"-u", "same", "old", "old"},
		{"", "old", "new", "old"},
		{"-ru", "d", "e", "E"},
	} {
		t.Chdir(treetest.Lay(t, map[string]string{"old": "old", "new": "new", "same": "same", "d/f": "D", "e/f": "E"}))
		for name, at := range map[string]int64{"old": 1000, "same": 1000, "new": 2000, "d/f": 1000, "e/f": 2000} {
			if err := attr.SetTimes(name, syscall.Timespec{Sec: at}, syscall.Timespec{Sec: at}, false); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if opt, err = getopt.Read("rRafipPLHvdnTt:u", nil, strings.Fields(tt.args)); err != nil {
			t.Fatal(err)
		}
		newCopier().copyAny(tt.src, tt.dst, true)
		path := tt.dst
		if path == "e" {
			path = "e/f"
		}
		if got, err := os.ReadFile(path); string(got) != tt.want {
			t.Errorf("%s %s %s: %q, %v, want %q", tt.args, tt.src, tt.dst, got, err, tt.want)
		}
	}
}

// TestFolderModes: a new folder has the mode of the original, less the umask,
// and its parent's set-group-id bit; one that was there keeps its own.
func TestFolderModes(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/f": "", "to/x": "", "there/f": ""}))
	for path, mode := range map[string]fs.FileMode{"d": 0o777, "to": 0o755 | fs.ModeSetgid, "there": 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	defer syscall.Umask(syscall.Umask(0o22))
	var err error
	if opt, err = getopt.Read("r", nil, []string{"-r"}); err != nil {
		t.Fatal(err)
	}
	newCopier().copyAny("d", "to/d", true)
	newCopier().copyAny("d", "there", true)
	for path, want := range map[string]fs.FileMode{"to/d": 0o755 | fs.ModeSetgid, "there": 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want|fs.ModeDir {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want|fs.ModeDir)
		}
	}
}

// TestSameFile: a target that leads to the source is not opened for writing.
func TestSameFile(t *testing.T) {
	for _, tt := range []struct{ args, src, dst, want string }{
		{"", "a", "l", "'a' and 'l' are the same file"},
		{"-f", "a", "hard", "'a' and 'hard' are the same file"},
		{"-f", "l", "a", "'l' and 'a' are the same file"},
		{"-P", "l", "a", "'l' and 'a' are the same file"},
		{"-a", "a", "far", "'a' and 'far' are the same file"},
		{"-r", "src/./x", "dst/x", "'src/./x' and 'dst/x' are the same file"},
		{"-P", "l", "far", ""},
		{"", "a", "other", ""},
	} {
		t.Chdir(treetest.Lay(t, map[string]string{
			"a": "A", "l": "->a", "far": "->l", "b": "B", "other": "->b", "src/x": "X", "dst/x": "->../src/x",
		}))
		if err := os.Link("a", "hard"); err != nil {
			t.Fatal(err)
		}
		setOptions(t, tt.args)
		info, err := os.Stat(tt.src)
		if strings.Contains(tt.args, "P") {
			info, err = os.Lstat(tt.src)
		}
		was, errWas := os.Lstat(tt.dst)
		if err := errors.Join(err, errWas); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := occupied(tt.src, tt.dst, info, was); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("cp %s %s %s: %q, want %q", tt.args, tt.src, tt.dst, got, tt.want)
		}
		c := newCopier()
		c.copyAny(tt.src, tt.dst, true)
		if want := min(len(tt.want), 1); c.status.Code() != want {
			t.Errorf("cp %s %s %s: exit %d, want %d", tt.args, tt.src, tt.dst, c.status.Code(), want)
		}
		for name, want := range map[string]string{"a": "A", "src/x": "X"} {
			if got, err := os.ReadFile(name); string(got) != want {
				t.Errorf("cp %s %s %s: %s is %q, %v, want %q", tt.args, tt.src, tt.dst, name, got, err, want)
			}
		}
	}
}

// TestSameFileBelow copies a folder over one with links to its files.
func TestSameFileBelow(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"src/x": "X", "src/y": "Y", "dst/x": "->../src/x"}))
	setOptions(t, "-r")
	c := newCopier()
	c.copyAny("src/.", "dst", true)
	for name, want := range map[string]string{"src/x": "X", "dst/y": "Y"} {
		if got, err := os.ReadFile(name); string(got) != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	if c.status.Code() != 1 {
		t.Errorf("exit %d, want 1", c.status.Code())
	}
}

// TestHardLinks: -a and -d keep what is one file one file, also where other
// files were; without them each name gets its own.
func TestHardLinks(t *testing.T) {
	for args, want := range map[string]bool{"-a": true, "-rd": true, "-rp": false, "-r": false} {
		t.Chdir(treetest.Lay(t, map[string]string{"d/one": "text", "d/sub/f": "", "to/sub/two": "old"}))
		if err := os.Link("d/one", "d/sub/two"); err != nil {
			t.Fatal(err)
		}
		setOptions(t, args)
		c := newCopier()
		for range 2 { // the second time all is there
			c.copyAny("d", "to", true)
		}
		one, err := os.Stat("to/one")
		two, errTwo := os.Stat("to/sub/two")
		if err := errors.Join(err, errTwo); err != nil || c.status.Code() != 0 {
			t.Fatalf("%s: %v, exit %d", args, err, c.status.Code())
		}
		if got := os.SameFile(one, two); got != want {
			t.Errorf("%s: one file: %v, want %v", args, got, want)
		}
		if text, err := os.ReadFile("to/sub/two"); string(text) != "text" {
			t.Errorf("%s: two is %q, %v", args, text, err)
		}
	}
}

func setOptions(t *testing.T, args string) {
	t.Helper()
	var err error
	if opt, err = getopt.Read("rRafipPLHvdnTt:u", nil, strings.Fields(args)); err != nil {
		t.Fatal(err)
	}
}

// TestIntoItself: a folder is not copied into what lies below it, whatever the
// path is called.
func TestIntoItself(t *testing.T) {
	for _, dst := range []string{"d/copy", "d/sub/copy", "link/copy", "./x/../d/copy", "into/copy"} {
		t.Chdir(treetest.Lay(t, map[string]string{"d/sub/f": "F", "link": "->d", "into": "->d/sub", "x/f": "X"}))
		setOptions(t, "-r")
		c := newCopier()
		c.copyAny("d", dst, true)
		if _, err := os.Lstat(dst); c.status.Code() != 1 || err == nil {
			t.Errorf("cp -r d %s: exit %d, and %v", dst, c.status.Code(), err)
		}
	}
	c := newCopier()
	if c.copyAny("d", "dd", true); c.status.Code() != 0 {
		t.Errorf("cp -r d dd: exit %d", c.status.Code())
	}
}

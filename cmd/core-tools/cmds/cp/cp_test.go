package main

import (
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
		copyAny(tt.src, tt.dst, true, &getopt.Status{})
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
	copyAny("d", "to/d", true, &getopt.Status{})
	copyAny("d", "there", true, &getopt.Status{})
	for path, want := range map[string]fs.FileMode{"to/d": 0o755 | fs.ModeSetgid, "there": 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want|fs.ModeDir {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want|fs.ModeDir)
		}
	}
}

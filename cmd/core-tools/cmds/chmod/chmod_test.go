package main

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"coretools.silo/filemode"
	"coretools.silo/treetest"
)

func TestTakeModes(t *testing.T) {
	for _, tt := range []struct{ args, rest, modes string }{
		{"chmod -x f", "chmod f", "-x"},
		{"chmod -R -w d", "chmod -R d", "-w"},
		{"chmod -w -x f", "chmod f", "-w -x"},
		{"chmod -rwx f", "chmod f", "-rwx"},
		{"chmod -v 644 f", "chmod -v 644 f", ""},
		{"chmod -- -x f", "chmod -- -x f", ""},
		{"chmod --reference=a -Rf b", "chmod --reference=a -Rf b", ""},
	} {
		rest, modes := takeModes(strings.Fields(tt.args))
		if !slices.Equal(rest, strings.Fields(tt.rest)) || !slices.Equal(modes, strings.Fields(tt.modes)) {
			t.Errorf("%s: %q and %q, want %s and %s", tt.args, rest, modes, tt.rest, tt.modes)
		}
	}
}

func modeOf(t *testing.T, path string) uint32 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Mode & 0o7777
}

func TestTree(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/f": "", "d/e/g": "", "d/out": "->../outside", "outside": "", "to": "->d"}))
	change, err := filemode.Parse("u=rwX,go=")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	c := &changer{change: change, recursive: true, out: &out, errs: &errs, changed: true}
	for _, path := range []string{"d/f", "outside"} {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod("d/e", 0o2755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Chmod("d/e", 0o2755); err != nil {
		t.Fatal(err)
	}
	c.file("to", true)
	for path, want := range map[string]uint32{"d": 0o700, "d/f": 0o600, "d/e": 0o2700, "d/e/g": 0o600, "outside": 0o644} {
		if got := modeOf(t, path); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	if want := "mode of 'to/f' changed from 0644 (rw-r--r--) to 0600 (rw-------)\n"; !strings.Contains(out.String(), want) || c.failed || errs.Len() > 0 {
		t.Errorf("failed %v, out %q, errors %q; want %q among it", c.failed, out.String(), errs.String(), want)
	}
}

func TestTold(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"f": "", "broken": "->none"}))
	for _, tt := range []struct {
		c         changer
		mode      string
		path      string
		out, errs string
		failed    bool
	}{
		{changer{all: true}, "644", "f", "mode of 'f' retained as 0644 (rw-r--r--)\n", "", false},
		{changer{changed: true}, "644", "f", "", "", false},
		{changer{}, "644", "none", "", "chmod: stat none: no such file or directory\n", true},
		{changer{}, "644", "broken", "", "chmod: stat broken: no such file or directory\n", true},
		{changer{silent: true}, "644", "none", "", "", true},
		{changer{asOption: true, umask: 0o22}, "-r", "f", "", "", false},
		{changer{asOption: true, umask: 0o22}, "+w", "f", "", "", false},
		{changer{asOption: true, umask: 0o22}, "666", "f", "", "", false},
		{changer{asOption: true, umask: 0o22}, "-w", "f", "", "chmod: f: the mode is r--rw-rw-, not r--r--r--, because of the umask 022\n", true},
	} {
		change, err := filemode.Parse(tt.mode)
		if err != nil {
			t.Fatal(err)
		}
		if tt.mode == "-w" {
			_ = syscall.Chmod("f", 0o666)
		}
		var out, errs strings.Builder
		c := tt.c
		c.change, c.out, c.errs = change, &out, &errs
		c.file(tt.path, true)
		if out.String() != tt.out || errs.String() != tt.errs || c.failed != tt.failed {
			t.Errorf("%s %s: %q, %q, failed %v; want %q, %q, %v", tt.mode, tt.path, out.String(), errs.String(), c.failed, tt.out, tt.errs, tt.failed)
		}
	}
}

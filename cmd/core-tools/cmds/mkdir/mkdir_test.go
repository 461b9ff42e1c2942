package main

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestMakeDir(t *testing.T) {
	t.Chdir(t.TempDir())
	defer syscall.Umask(syscall.Umask(0o22))
	for _, tt := range []struct {
		dir            string
		parents, exact bool
		mode           uint32
		want           fs.FileMode // 0 for an error
	}{
		{"plain", false, false, 0o777, 0o755},
		{"plain", false, false, 0o777, 0},
		{"plain", true, true, 0o700, 0o755}, // it was there
		{"exact", false, true, 0o2777, 0o777 | fs.ModeSetgid},
		{"a/b", false, false, 0o777, 0},
		{"a/b", true, true, 0o1700, 0o700 | fs.ModeSticky},
		{"a", true, false, 0o777, 0o755},
	} {
		err := makeDir(tt.dir, tt.parents, tt.exact, tt.mode)
		if (err != nil) != (tt.want == 0) {
			t.Errorf("%+v: %v", tt, err)
		}
		if err != nil {
			continue
		}
		if info, err := os.Stat(tt.dir); err != nil || info.Mode() != tt.want|fs.ModeDir {
			t.Errorf("%+v: %v, %v", tt, info.Mode(), err)
		}
	}
}

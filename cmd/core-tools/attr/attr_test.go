package attr

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"coretools.silo/treetest"
)

func times(t *testing.T, path string) (access, change syscall.Timespec) {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Atim, st.Mtim
}

func TestSetTimes(t *testing.T) {
	root := treetest.Lay(t, map[string]string{"f": "x", "l": "->f"})
	f, l := filepath.Join(root, "f"), filepath.Join(root, "l")
	one, two := syscall.Timespec{Sec: 1000, Nsec: 7}, syscall.Timespec{Sec: 2000, Nsec: 9}
	if err := SetTimes(f, one, two, false); err != nil {
		t.Fatal(err)
	}
	if err := SetTimes(f, Omit, Omit, false); err != nil {
		t.Fatal(err)
	}
	if err := SetTimes(l, two, one, true); err != nil {
		t.Fatal(err)
	}
	if a, c := times(t, f); a != one || c != two {
		t.Errorf("times of the file are %v and %v, want %v and %v", a, c, one, two)
	}
	if a, c := times(t, l); a != two || c != one {
		t.Errorf("times of the link are %v and %v, want %v and %v", a, c, two, one)
	}
	if err := SetTimes(l, Now, Omit, false); err != nil {
		t.Fatal(err)
	}
	if a, c := times(t, f); a.Sec <= two.Sec || c != two {
		t.Errorf("times of the file are %v and %v, want now and %v", a, c, two)
	}
	if err := SetTimes(filepath.Join(root, "none"), Now, Now, false); err == nil {
		t.Error("set times of what is not there")
	}
}

func TestKeep(t *testing.T) {
	root := treetest.Lay(t, map[string]string{"from": "x", "to": "x"})
	from, to := filepath.Join(root, "from"), filepath.Join(root, "to")
	if err := syscall.Chmod(from, 0o4751); err != nil {
		t.Fatal(err)
	}
	if err := SetTimes(from, syscall.Timespec{Sec: 5}, syscall.Timespec{Sec: 6}, false); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := Keep(to, info); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(to, &st); err != nil {
		t.Fatal(err)
	}
	if st.Mode&0o7777 != 0o4751 || st.Atim.Sec != 5 || st.Mtim.Sec != 6 {
		t.Errorf("mode %o, times %d and %d, want 4751, 5 and 6", st.Mode&0o7777, st.Atim.Sec, st.Mtim.Sec)
	}
}

package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"coretools.silo/attr"
	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

func TestStamp(t *testing.T) {
	now := time.Date(2024, 6, 1, 0, 0, 0, 0, time.Local)
	for word, want := range map[string]string{
		"01020304": "2024-01-02 03:04:00", "2501020304": "2025-01-02 03:04:00", "6901020304.05": "1969-01-02 03:04:05", "199901020304": "1999-01-02 03:04:00",
	} {
		if got, err := parseStamp(word, now); err != nil || got.Format(time.DateTime) != want {
			t.Errorf("%s is %v, %v; want %s", word, got, err, want)
		}
	}
	for _, word := range []string{"", "1", "13020304", "01020304.5", "01020304.", "x1020304"} {
		if got, err := parseStamp(word, now); err == nil {
			t.Errorf("%q is %v", word, got)
		}
	}
}

func TestTouch(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"f": "", "r": "", "l": "->f"}))
	one, two := syscall.Timespec{Sec: 1000}, syscall.Timespec{Sec: 2000}
	if err := attr.SetTimes("r", one, two, false); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args           string
		access, change int64 // of the file named; 0 for now
	}{
		{"f", 0, 0},
		{"-r r f", 1000, 2000},
		{"-a -d @5 f", 5, 2000},
		{"-m -d @6 f", 5, 6},
		{"-am -d @7 f", 7, 7},
		{"-d @8 new", 8, 8},
		{"-h -d @9 l", 9, 9},
		{"-d @1 -r r f", 1000, 2000},
	} {
		opt, err := getopt.Read("amchd:r:t:", nil, strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		access, change, err := moments(opt)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		path := opt.Operands[0]
		if err := touch(path, access, change, opt); err != nil {
			t.Errorf("%s: %v", tt.args, err)
		}
		var st syscall.Stat_t
		_ = syscall.Lstat(path, &st)
		if tt.access == 0 {
			tt.access, tt.change = st.Atim.Sec, st.Mtim.Sec
			if time.Since(time.Unix(st.Mtim.Sec, 0)) > time.Hour {
				t.Errorf("%s: time %v, want now", tt.args, st.Mtim)
			}
		}
		if st.Atim.Sec != tt.access || st.Mtim.Sec != tt.change {
			t.Errorf("%s: times %d and %d, want %d and %d", tt.args, st.Atim.Sec, st.Mtim.Sec, tt.access, tt.change)
		}
	}
	for args, want := range map[string]bool{"-c": true, "-ch": true, "-h": false} {
		opt, _ := getopt.Read("amchd:r:t:", nil, []string{args})
		if err := touch("none", attr.Now, attr.Now, opt); (err == nil) != want {
			t.Errorf("%s: %v, want it to go well: %v", args, err, want)
		}
	}
	if _, err := os.Lstat("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("-c made a file: %v", err)
	}
}

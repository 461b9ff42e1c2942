package main

import (
	"os"
	"strings"
	"testing"

	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

func TestCompare(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{
		"a": "abc\ndef\n", "b": "abX\ndef\nmore", "line": "abc\n", "part": "abc\nde", "empty": "", "same": "abc\ndef\n",
		"long": strings.Repeat("x", 70<<10) + "\ny\n", "long2": strings.Repeat("x", 70<<10) + "\nz\n",
	}))
	for _, tt := range []struct {
		args, out, errs string
		same            bool
	}{
		{"a same", "", "", true},
		{"a b", "a b differ: byte 3, line 1\n", "", false},
		{"-s a b", "", "", false},
		{"-s a line", "", "", false},
		{"-l a b", "3 143 130\n", "cmp: EOF on a after byte 8\n", false},
		{"a line", "", "cmp: EOF on line after byte 4, line 1\n", false},
		{"a part", "", "cmp: EOF on part after byte 6, in line 2\n", false},
		{"empty a", "", "cmp: EOF on empty which is empty\n", false},
		{"-n 2 a b", "", "", true},
		{"-n 4 a line", "", "", true},
		{"-n0 a b", "", "", true},
		{"-i 2 a b", "a b differ: byte 1, line 1\n", "", false},
		{"-i 3:3 -n 5 a b", "", "", true},
		{"-i 99 a b", "", "", true},
		{"a b 3 3 -n 5", "", "", true},
		{"-i 0:1 a a", "a a differ: byte 1, line 1\n", "", false},
		{"long long2", "long long2 differ: byte 71682, line 2\n", "", false},
		{"-l long long2", "71682 171 172\n", "", false},
	} {
		opt, err := getopt.Read("lsn:i:", nil, strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		c, err := newComparison(opt)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		var out, errs strings.Builder
		c.out, c.errs = &out, &errs
		same, err := c.files()
		if err != nil || same != tt.same || out.String() != tt.out || errs.String() != tt.errs {
			t.Errorf("%s: same %v, %v, %q, %q; want %v, %q, %q", tt.args, same, err, out.String(), errs.String(), tt.same, tt.out, tt.errs)
		}
	}
}

// TestStdin compares what comes in by a pipe, which cannot be sought in.
func TestStdin(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"a": "abc\n"}))
	saved := os.Stdin
	defer func() { os.Stdin = saved }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, _ = w.WriteString("--abc\n")
	w.Close()
	os.Stdin = r
	opt, err := getopt.Read("lsn:i:", nil, []string{"-i", "0:2", "a"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := newComparison(opt)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := c.files(); err != nil || !same {
		t.Errorf("same %v, %v; want true", same, err)
	}
}

func TestTrouble(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"a": "x", "d/f": ""}))
	for _, args := range []string{"a none", "a d"} {
		opt, _ := getopt.Read("lsn:i:", nil, strings.Fields(args))
		c, err := newComparison(opt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.files(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line", args, err)
		}
	}
	for _, args := range []string{"", "-ls a b", "-n x a b", "-i 1:x a b", "-i -1 a b", "a b c", "-n 1Q a b", "-n K a b"} {
		opt, _ := getopt.Read("lsn:i:", nil, strings.Fields(args))
		if _, err := newComparison(opt); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	for word, want := range map[string]int64{"7": 7, "1K": 1024, "1k": 1024, "2kB": 2000, "1MiB": 1 << 20} {
		if got, err := parseSize(word); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", word, got, err, want)
		}
	}
}

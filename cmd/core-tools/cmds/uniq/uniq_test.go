package main

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

func TestCopy(t *testing.T) {
	for _, tt := range []struct{ args, in, want string }{
		{"", "a\na\nb\na\n", "a\nb\na\n"},
		{"", "", ""},
		{"", "a\na", "a\n"},
		{"", "\n\n", "\n"},
		{"-c", "a\na\nb\n", "      2 a\n      1 b\n"},
		{"-d", "a\na\nb\nc\nc\n", "a\nc\n"},
		{"-u", "a\na\nb\nc\nc\n", "b\n"},
		{"-du", "a\na\nb\n", ""},
		{"-cd", "a\na\nb\n", "      2 a\n"},
		{"-i", "a\nA\nB\nb\n", "a\nB\n"},
		{"-f1", "1 x\n2 x\n3 y\n", "1 x\n3 y\n"},
		{"-f 1", " 1\tx\n2\tx\n", " 1\tx\n"},
		{"-f 2", "a b\nc d\n", "a b\n"},
		{"-s 2", "aax\nbbx\nccy\n", "aax\nccy\n"},
		{"-s 9", "a\nb\n", "a\n"},
		{"-f1 -s1", "1 ax\n2 bx\n", "1 ax\n2 bx\n"}, // the blank counts as a character
		{"-f1 -s2", "1 ax\n2 bx\n", "1 ax\n"},
		{"-w1", "ab\nac\nb\n", "ab\nb\n"},
		{"-w0", "a\nb\n", "a\n"},
	} {
		opt, err := getopt.Read("cduif:s:w:", nil, strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		f, err := newFilter(opt)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		out := bufio.NewWriter(&text)
		if err := f.copy(out, bufio.NewReader(strings.NewReader(tt.in))); err != nil {
			t.Fatal(err)
		}
		_ = out.Flush()
		if text.String() != tt.want {
			t.Errorf("%s of %q: %q, want %q", tt.args, tt.in, text.String(), tt.want)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"in": "a\na\n"}))
	opt, _ := getopt.Read("cduif:s:w:", nil, nil)
	f, err := newFilter(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(f, []string{"in", "out"}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("out"); err != nil || string(got) != "a\n" {
		t.Errorf("out is %q, %v", got, err)
	}
	for _, names := range [][]string{{"none"}, {"in", "none/out"}, {"."}} {
		if err := run(f, names); err == nil {
			t.Errorf("%q: no error", names)
		}
	}
	for _, word := range []string{"-f x", "-s -1", "-w 99999999999"} {
		opt, _ := getopt.Read("cduif:s:w:", nil, strings.Fields(word))
		if _, err := newFilter(opt); err == nil {
			t.Errorf("%s: no error", word)
		}
	}
}

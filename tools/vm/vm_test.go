package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// entries reads an archive back: names in order, and the content of files.
func entries(t *testing.T, data []byte) (names []string, content map[string]string) {
	t.Helper()
	content = map[string]string{}
	for len(data) >= 110 {
		field := func(n int) int {
			v, err := strconv.ParseUint(string(data[6+8*n:14+8*n]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(v)
		}
		if string(data[:6]) != "070701" {
			t.Fatalf("after %v: magic %q", names, data[:6])
		}
		size, nameSize := field(6), field(11)
		name := string(data[110 : 110+nameSize-1])
		start := (110 + nameSize + 3) &^ 3
		names = append(names, name)
		content[name] = string(data[start : start+size])
		data = data[(start+size+3)&^3:]
	}
	return names, content
}

func TestArchive(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a/b/five"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b/five", filepath.Join(dir, "a/link")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	a := &archive{w: &out, seen: map[string]bool{}}
	a.dirs("x/")
	a.add("/x/y", dir)
	a.entry("TRAILER!!!", 0, 0, 0, 0, nil)
	if a.err != nil {
		t.Fatal(a.err)
	}
	names, content := entries(t, out.Bytes())
	if got, want := strings.Join(names, " "), "x x/y x/y/a x/y/a/b x/y/a/b/five x/y/a/link TRAILER!!!"; got != want {
		t.Errorf("names %s, want %s", got, want)
	}
	if content["x/y/a/b/five"] != "12345" || content["x/y/a/link"] != "b/five" {
		t.Errorf("content %q", content)
	}
}

func TestConsole(t *testing.T) {
	for in, want := range map[string]struct {
		code int
		text string
	}{
		"hello\r\nsilo-vm: exit 3\r\nreboot\r\n": {3, "hello\nreboot\n"},
		"no newline silo-vm: exit 0\r\n":         {0, "no newline "},
		"panic":                                  {-1, "panic"},
	} {
		var out bytes.Buffer
		code, err := console(strings.NewReader(in), &out, "")
		if err != nil || code != want.code || out.String() != want.text {
			t.Errorf("%q: %d %q, %v", in, code, out.String(), err)
		}
	}
	if _, err := console(strings.NewReader("silo-vm: exit x\n"), &bytes.Buffer{}, ""); err == nil {
		t.Error("a bad mark passed")
	}
	var out bytes.Buffer
	if _, err := console(strings.NewReader("one\nnow cut\nthree\n"), &out, "cut"); !errors.Is(err, errCut) || out.String() != "one\nnow cut\n" {
		t.Errorf("cut: %v after %q", err, out.String())
	}
}

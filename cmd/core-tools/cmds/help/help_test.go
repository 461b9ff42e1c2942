package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHelp(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.txt": "# Files\n= ls, dir | [FILE...]\nlist files\nMore of it.\n\n= true |\nnothing\n",
		"a.txt": "no topic yet\n# Topics\n= users\nwho\n",
		"c.md":  "# Other\n= x | y\nz\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	topics := read(dir)
	want := `help TOPIC tells more; most commands also take --help.

Topics
  users    who

Files
  ls, dir  list files
  true     nothing
`
	if got := overview(topics); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for name, want := range map[string]string{
		"DIR":   "usage: ls [FILE...]\nalso:  dir\n\nlist files\nMore of it.\n",
		"true":  "usage: true\n\nnothing\n",
		"users": "who\n",
	} {
		if got, ok := find(topics, name); !ok || got.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, ok, got, want)
		}
	}
	if _, ok := find(topics, "none"); ok {
		t.Error("found a topic that is not there")
	}
	if got := read(filepath.Join(dir, "none")); len(got) != 0 {
		t.Errorf("no folder: %+v", got)
	}
}

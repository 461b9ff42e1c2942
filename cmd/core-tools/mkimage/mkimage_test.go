package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coretools.silo/argfix"
)

const definitions = "../../../images"

// all lists the definitions from the lowest up.
func all(t *testing.T, name string) []*definition {
	t.Helper()
	d, err := readDefinition(definitions, name)
	if err != nil {
		t.Fatal(err)
	}
	if d.from == nil {
		return []*definition{d}
	}
	return append(all(t, d.from.name), d)
}

// TestDefinitions checks that each name is given once and that each further
// name is one that its program knows.
func TestDefinitions(t *testing.T) {
	seen := map[string]string{}
	claim := func(name, by string) {
		if was, ok := seen[name]; ok {
			t.Errorf("%s is in %s and in %s", name, was, by)
		}
		seen[name] = by
	}
	for _, d := range all(t, "core") {
		for _, p := range d.programs {
			claim(p.name, d.name)
			for _, l := range p.links {
				claim(l, d.name)
			}
		}
		for _, b := range d.boxes {
			for _, c := range b.commands {
				claim(path.Base(c), d.name)
				if own, ok := strings.CutPrefix(c, ownPath); ok {
					if _, err := os.Stat("../cmds/" + own); err != nil {
						t.Errorf("%s: %v", d.name, err)
					}
				}
			}
			for command, links := range b.links {
				for _, l := range links {
					claim(l, d.name)
					if alias := argfix.Aliases[l]; len(alias) == 0 || alias[0] != command {
						t.Errorf("%s: %s links to %s, but argfix makes %q of it", d.name, l, command, alias)
					}
				}
			}
		}
	}
	entries, err := os.ReadDir("../cmds")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if seen[e.Name()] == "" {
			t.Errorf("cmds/%s is in no image", e.Name())
		}
	}
}

func TestBadDefinitions(t *testing.T) {
	for text, want := range map[string]string{
		"what is this":    "bad.txt:1: what: unknown word",
		"title":           "bad.txt:1: title: needs a value",
		"own ls":          "bad.txt:1: commands before the first box",
		"\nlink a b":      "bad.txt:2: link a: no such command above",
		"from nothing":    "no such file",
		"box b\nown a a2": "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "bad.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readDefinition(dir, "bad")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestLayer checks modes, owners and order, and that layers depend on content
// only.
func TestLayer(t *testing.T) {
	one := tree{}
	one.skeleton()
	if err := one.copyFrom(filepath.Join(definitions, "rootfs")); err != nil {
		t.Fatal(err)
	}
	first, err := one.layer("a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := one.layer("a")
	if err != nil {
		t.Fatal(err)
	}
	if first.digest != second.digest {
		t.Error("two layers of one tree differ")
	}
	var names []string
	headers := map[string]*tar.Header{}
	for r := tar.NewReader(bytes.NewReader(first.tar)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(epoch) {
			t.Errorf("%s: time %v, want %v", h.Name, h.ModTime, epoch)
		}
		if parent := path.Dir(path.Clean(h.Name)); parent != "." && headers[parent+"/"] == nil {
			t.Errorf("%s comes before %s", h.Name, parent)
		}
		names = append(names, h.Name)
		headers[h.Name] = h
	}
	if !slices.Contains(names, "etc/passwd") {
		t.Error("no etc/passwd")
	}
	for name, mode := range map[string]int64{"tmp/": 0o1777, "root/": 0o700, "bin/": 0o755, "home/ContainerUser/": 0o700} {
		if h := headers[name]; h == nil || h.Mode != mode {
			t.Errorf("%s: %+v, want mode %o", name, h, mode)
		}
	}
	if h := headers["home/ContainerUser/"]; h == nil || h.Uid != 65530 || h.Gid != 65530 {
		t.Errorf("home/ContainerUser: %+v, want owner 65530", h)
	}
}

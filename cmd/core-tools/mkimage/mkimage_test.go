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
	for _, d := range all(t, "core") {
		for name, program := range d.over {
			if seen[name] == "" || seen[program] != d.name {
				t.Errorf("%s: %s takes %s, which is in %q; the program is in %q", d.name, program, name, seen[name], seen[program])
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

// commandsOf are all names in the folder bin that a definition makes.
func commandsOf(d *definition) (names []string) {
	for _, p := range d.programs {
		names = append(append(names, p.name), p.links...)
	}
	for _, b := range d.boxes {
		for _, c := range b.commands {
			names = append(names, path.Base(c))
		}
		for _, l := range b.links {
			names = append(names, l...)
		}
	}
	return names
}

// TestManual checks that the manual tells of every command, and of none that
// is not there.
func TestManual(t *testing.T) {
	topics := map[string]int{}
	group := ""
	for _, file := range []string{"rootfs/usr/share/help/a-nano.txt", "core/usr/share/help/b-core.txt"} {
		text, err := os.ReadFile(filepath.Join(definitions, file))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if g, ok := strings.CutPrefix(line, "# "); ok {
				group = g
			}
			head, ok := strings.CutPrefix(line, "= ")
			if !ok {
				continue
			}
			if lines[i+1] == "" || len(lines[i+1]) > 80 {
				t.Errorf("%s: %q does not say in a line what it is about", file, head)
			}
			names, _, isCommand := strings.Cut(head, " |")
			if !isCommand && group != "Topics" {
				t.Errorf("%s: %q has no arguments and is no topic", file, head)
			}
			for _, n := range strings.Split(names, ", ") {
				if isCommand {
					topics[n]++
				}
			}
		}
	}
	for _, d := range all(t, "core") {
		for _, c := range commandsOf(d) {
			// A box is no command: it is called by the names in it.
			if topics[c] == 0 {
				t.Errorf("%s: the manual does not tell of %s", d.name, c)
			}
			delete(topics, c)
		}
	}
	for c := range topics {
		t.Errorf("the manual tells of %s, which is in no image", c)
	}
}

// TestUnits checks that the services of core run programs that are there and
// are enabled as their units say.
func TestUnits(t *testing.T) {
	d := all(t, "core")[1]
	tree := tree{}
	if err := tree.copyFrom(filepath.Join(definitions, "core")); err != nil {
		t.Fatal(err)
	}
	if err := tree.enable(d); err != nil {
		t.Fatal(err)
	}
	commands := commandsOf(d)
	disabled := 0
	for name, e := range tree {
		unit, ok := strings.CutPrefix(name, "usr/lib/systemd/system/")
		if !ok || !e.mode.IsRegular() {
			continue
		}
		for line := range strings.Lines(string(e.content)) {
			line = strings.TrimSpace(line)
			if run, ok := strings.CutPrefix(line, "ExecStart=/bin/"); ok && !slices.Contains(commands, strings.Fields(run)[0]) {
				t.Errorf("%s runs %s, which is not in the image", unit, run)
			}
			if target, ok := strings.CutPrefix(line, "WantedBy="); ok {
				link, enabled := tree["etc/systemd/system/"+target+".wants/"+unit]
				if !enabled {
					disabled++
				} else if link.target != "/"+name {
					t.Errorf("%s is enabled by a link to %s", unit, link.target)
				}
			}
		}
	}
	if disabled != 1 {
		t.Errorf("%d units are disabled, want one", disabled)
	}
	if e := tree["etc/systemd/system/default.target"]; e.target != "/usr/lib/systemd/system/multi-user.target" {
		t.Errorf("the default target is %q", e.target)
	}
	d.wants["multi-user.target"] = append(d.wants["multi-user.target"], "none.service")
	if err := tree.enable(d); err == nil || !strings.Contains(err.Error(), "none.service: no such unit") {
		t.Errorf("a unit that is not there: %v", err)
	}
}

// TestAccounts checks the identities that every image has.
func TestAccounts(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(definitions, "rootfs/etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	var accounts, identities []string
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 {
			t.Fatalf("%q has %d fields", line, len(f))
		}
		if f[1] == "*" {
			identities = append(identities, f[0]+"="+f[2])
		} else {
			accounts = append(accounts, f[0])
		}
	}
	if got := strings.Join(accounts, " "); got != "Administrator Guest DefaultAccount" {
		t.Errorf("accounts: %s", got)
	}
	if got := strings.Join(identities, " "); got != "ContainerAdministrator=0 root=0 ContainerUser=65530 nobody=65534" {
		t.Errorf("identities: %s", got)
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

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a small repository out of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func long(lines int) string { return strings.Repeat("\t_ = 1\n", lines) }

// TestRules breaks each rule once and wants exactly that complaint.
func TestRules(t *testing.T) {
	const doc = "// Package a is here.\npackage a\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string // part of the one problem, "" for none
	}{
		{"clean", map[string]string{"a/a.go": doc}, ""},
		{"no package comment", map[string]string{"a/a.go": "package a\n"}, "doc: a: no file has a package comment"},
		{"two package comments", map[string]string{"a/a.go": doc, "a/b.go": doc}, "doc: a: 2 files"},
		{"drawer", map[string]string{"a/a.go": "// Package util is.\npackage util\n"}, "name: a: a package called util"},
		{"long file", map[string]string{"a/a.go": doc + strings.Repeat("\n", 600)}, "file: a/a.go: 602 lines"},
		{"too long a file", map[string]string{"a/a.go": doc + strings.Repeat("\n", 900), "tools/vet/exceptions.txt": ""}, "over 800 lines"},
		{"excepted file", map[string]string{
			"a/a.go": doc + strings.Repeat("\n", 600), "tools/vet/exceptions.txt": "file a/a.go: one table\n",
		}, ""},
		{"exception for nothing", map[string]string{"a/a.go": doc, "tools/vet/exceptions.txt": "file a/a.go: old\n"}, "nothing breaks this rule"},
		{"long function", map[string]string{
			"a/a.go": doc + "func f() {\n" + long(60) + "}\n" + strings.Repeat("func _() {}\n", 40),
		}, "func: a/a.go:f: 62 lines"},
		{"table", map[string]string{
			"a/a.go": doc + "func f() {\n\t_ = []int{\n" + strings.Repeat("\t\t1,\n", 80) + "\t}\n}\n",
		}, ""},
		{"unix", map[string]string{"a/a.go": doc + "import \"golang.org/x/sys/unix\"\n"}, "one door to the kernel"},
		{"unix where it may be", map[string]string{"internal/linux/a.go": "// Package linux is.\npackage linux\nimport \"golang.org/x/sys/unix\"\n"}, ""},
		{"parts", map[string]string{"internal/disk/a.go": "// Package disk is.\npackage disk\nimport \"silo/internal/network/nat\"\n"}, "parts do not import each other"},
		{"allowed parts", map[string]string{"internal/disk/a.go": "// Package disk is.\npackage disk\nimport \"silo/internal/vhdx\"\n"}, ""},
		{"error", map[string]string{"a/a.go": doc + "import \"errors\"\nvar E = errors.New(\"failed to open\")\n"}, "error: a/a.go:4"},
		{"error kind", map[string]string{"a/a.go": doc + "import \"silo/internal/errs\"\nvar E = errs.NotFound(\"unable to\")\n"}, "error: a/a.go:4"},
		{"skip", map[string]string{"a/a.go": doc, "a/a_test.go": "package a\nfunc f(t *testing.T) { t.Skipf(\"no %s\", x) }\n"}, "skip: a/a_test.go:2"},
		{"named file", map[string]string{"a/a.go": doc + "// See a/b.go.\n"}, "named-file: a/a.go:3: a/b.go"},
		{"named file that is there", map[string]string{"a/a.go": doc + "// See a/a.go and golang.org/x/foo.go.\n"}, ""},
		{"document", map[string]string{"a/a.go": doc, "README.md": "see HACKING.md\n"}, "named-file: README.md:1: HACKING.md"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			problems, err := run(write(t, tt.files), false)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.want == "" && len(problems) > 0:
				t.Errorf("%q, want nothing", problems)
			case tt.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], tt.want)):
				t.Errorf("%q, want one with %q", problems, tt.want)
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	for text, want := range map[string]bool{
		"disk: add a template":   true,
		"core-tools, images: x1": true,
		"Add things":             false,
		"disk: ends with dot.":   false,
		"disk:no blank":          false,
	} {
		if got := subject.MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

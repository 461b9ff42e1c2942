package main

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

// run does what rm does with the operands, and tells what it printed and its
// exit code.
func run(t *testing.T, args, answers string) (out, asked string, code int) {
	t.Helper()
	opt, err := getopt.Read(letters, long, strings.Fields(args))
	if err != nil {
		t.Fatal(err)
	}
	var o, e strings.Builder
	r := newRemover(opt)
	r.in, r.out, r.errs = bufio.NewReader(strings.NewReader(answers)), &o, &e
	for _, path := range opt.Operands {
		r.remove(path)
	}
	return o.String(), e.String(), r.status.Code()
}

func left(t *testing.T) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if path != "." {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestRemove(t *testing.T) {
	const all = "-x d d/f d/sub d/sub/g empty f l link out out/keep"
	for _, tt := range []struct {
		args, left string
		code       int
	}{
		{"f", "-x d d/f d/sub d/sub/g empty l link out out/keep", 0},
		{"none f", "-x d d/f d/sub d/sub/g empty l link out out/keep", 1},
		{"-f none f/x", all, 0},
		{"-f", all, 0},
		{"-f d", all, 1},
		{"d f", "-x d d/f d/sub d/sub/g empty l link out out/keep", 1},
		{"-d d", all, 1},
		{"-d empty", "-x d d/f d/sub d/sub/g f l link out out/keep", 0},
		{"-r d", "-x empty f l link out out/keep", 0},
		{"--recursive d/ link", "-x empty f l out out/keep", 0},
		{"-Rf none d", "-x empty f l link out out/keep", 0},
		{"-r link/", all, 1},
		{"-rf link/", all, 1},
		{"l", "-x d d/f d/sub d/sub/g empty f link out out/keep", 0},
		{"-- -x", "d d/f d/sub d/sub/g empty f l link out out/keep", 0},
		{"./-x", "d d/f d/sub d/sub/g empty f l link out out/keep", 0},
		{"-rf . .. d/. d/sub/.. d/../ ./ f", "-x d d/f d/sub d/sub/g empty l link out out/keep", 1},
	} {
		t.Chdir(treetest.Lay(t, map[string]string{
			"f": "", "d/f": "", "d/sub/g": "->../../out", "l": "->f", "link": "->out", "out/keep": "", "-x": "",
		}))
		if err := os.Mkdir("empty", 0o755); err != nil {
			t.Fatal(err)
		}
		_, asked, code := run(t, tt.args, "")
		if got := left(t); got != tt.left || code != tt.code || asked != "" {
			t.Errorf("rm %s: left %q, exit %d, want %q, %d; asked %q", tt.args, got, code, tt.left, tt.code, asked)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/f": "", "f": ""}))
	r := &remover{recursive: true, policy: 'f'}
	for path, want := range map[string]string{
		".":      "refusing to remove '.' or '..': '.'",
		"d/../":  "refusing to remove '.' or '..': 'd/../'",
		"/":      "it is dangerous to remove '/', which is all there is: --no-preserve-root allows it",
		"//":     "it is dangerous to remove '//', which is all there is: --no-preserve-root allows it",
		"f/":     "remove f/: not a directory",
		"":       "remove : no such file or directory",
		"none":   "remove none: no such file or directory",
		"d/..x/": "remove d/..x/: no such file or directory",
	} {
		if _, err := r.check(path); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
	for path, want := range map[string]string{"f": "f", "d/": "d", "d//": "d", "d/f": "d/f"} {
		if got, err := r.check(path); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", path, got, err, want)
		}
	}
	for args, want := range map[string]bool{"--no-preserve-root": true, "--preserve-root": false, "--no-preserve-root --preserve-root": false, "": false} {
		opt, err := getopt.Read(letters, long, strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		r := newRemover(opt)
		if _, err := r.check("/"); (err == nil) != want {
			t.Errorf("%s /: %v, want it allowed: %v", args, err, want)
		}
	}
}

func TestTold(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/f": "", "f": "", "g": ""}))
	if out, _, _ := run(t, "-rv f d", ""); out != "removed 'f'\nremoved 'd/f'\nremoved 'd'\n" {
		t.Errorf("told %q", out)
	}
	for _, tt := range []struct{ args, answers, asked, left string }{
		{"-i g", "n\n", "rm: remove the file 'g'? ", "d d/f g"},
		{"-fi g", "", "rm: remove the file 'g'? ", "d d/f g"},
		{"-ri d", "y\nn\n", "rm: go into the folder 'd'? rm: remove the file 'd/f'? ", "d d/f g"},
		{"-ri d", "n\n", "rm: go into the folder 'd'? ", "d d/f g"},
		{"-ri d", "y\nyes\nn\n", "rm: go into the folder 'd'? rm: remove the file 'd/f'? rm: remove the folder 'd'? ", "d g"},
		{"-if g", "", "", "d d/f"},
	} {
		if err := os.MkdirAll("d", 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"d/f", "g"} {
			if err := os.WriteFile(name, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, asked, code := run(t, tt.args, tt.answers); asked != tt.asked || left(t) != tt.left || code != 0 {
			t.Errorf("rm %s: asked %q, left %q, exit %d, want %q, %q", tt.args, asked, left(t), code, tt.asked, tt.left)
		}
	}
}

// TestSwapped puts a link in the place of a folder whose content is about to
// be removed.
func TestSwapped(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/sub/f": "", "out/f": "keep", "out/sub/f": "keep"}))
	r := &remover{recursive: true}
	dir, err := place{fd: atCWD, name: "d", path: "d"}.open()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := os.Rename("d", "away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("out", "d"); err != nil {
		t.Fatal(err)
	}
	if !r.content(place{fd: atCWD, name: "d", path: "d"}, dir, []string{"sub"}) {
		t.Error("sub is not gone")
	}
	if err := os.Symlink("../out/sub", "away/sub"); err != nil {
		t.Fatal(err)
	}
	if !r.content(place{fd: atCWD, name: "d", path: "d"}, dir, []string{"sub"}) {
		t.Error("the link sub is not gone")
	}
	if got, want := left(t), "away d out out/f out/sub out/sub/f"; got != want {
		t.Errorf("left %q, want %q", got, want)
	}
}

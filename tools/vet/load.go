package main

import (
	"bufio"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// repository is all that is checked.
type repository struct {
	root       string
	fset       *token.FileSet
	files      []*file
	texts      []string // Markdown and other prose, relative to root
	exceptions map[string]string
	used       map[string]bool
	problems   []string
}

// file is one Go file, generated ones left out.
type file struct {
	path  string // relative to root
	dir   string
	ast   *ast.File
	lines int
	test  bool
	// ignored tells that a build constraint keeps the file out of every
	// build: a generator, which `go run` takes by its name.
	ignored bool
}

// coreTools is a module of its own: rules on imports are not for it.
const coreTools = "cmd/core-tools"

func load(root string) (*repository, error) {
	r := &repository{root: root, fset: token.NewFileSet(), exceptions: map[string]string{}, used: map[string]bool{}}
	if err := r.readExceptions(); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); rel != "." && (name == ".git" || name == "testdata" || rel == "bin" || rel == "images/built") {
				return fs.SkipDir
			}
			return nil
		}
		switch filepath.Ext(rel) {
		case ".go":
			return r.loadGo(rel)
		case ".md":
			r.texts = append(r.texts, rel)
		}
		return nil
	})
	return r, err
}

func (r *repository) loadGo(rel string) error {
	src, err := os.ReadFile(filepath.Join(r.root, rel))
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(r.fset, filepath.Join(r.root, rel), src, parser.ParseComments)
	if err != nil {
		return err
	}
	if ast.IsGenerated(f) {
		return nil
	}
	r.files = append(r.files, &file{
		path: filepath.ToSlash(rel), dir: filepath.ToSlash(filepath.Dir(rel)), ast: f,
		lines: strings.Count(string(src), "\n"), test: strings.HasSuffix(rel, "_test.go"),
		ignored: strings.HasPrefix(string(src), "//go:build ignore"),
	})
	return nil
}

// readExceptions reads lines "RULE THING: reason".
func (r *repository) readExceptions() error {
	path := filepath.Join(r.root, "tools/vet/exceptions.txt")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(scan.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, reason, ok := strings.Cut(line, ": ")
		if !ok || len(strings.Fields(what)) != 2 || strings.TrimSpace(reason) == "" {
			return fmt.Errorf("%s:%d: want RULE THING: reason", path, n)
		}
		r.exceptions[what] = reason
	}
	return scan.Err()
}

// report notes a problem with thing under rule, unless it is excepted.
func (r *repository) report(rule, thing, format string, args ...any) {
	key := rule + " " + thing
	if _, ok := r.exceptions[key]; ok {
		r.used[key] = true
		return
	}
	r.problems = append(r.problems, fmt.Sprintf("%s: %s: %s", rule, thing, fmt.Sprintf(format, args...)))
}

// checkExceptions finds exceptions that nothing needs any more.
func (r *repository) checkExceptions() {
	for key := range r.exceptions {
		if !r.used[key] {
			r.problems = append(r.problems, "exceptions.txt: "+key+": nothing breaks this rule: remove the line")
		}
	}
}

func (r *repository) line(pos token.Pos) int { return r.fset.Position(pos).Line }

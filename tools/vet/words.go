package main

import (
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// badStarts are how an error text must not begin: an error reads as a path,
// operation first, and that it failed is known.
var badStarts = []string{"failed", "failure", "error", "unable", "could not", "couldn't"}

func (r *repository) checkErrors() {
	for _, f := range r.files {
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !makesError(call) {
				return true
			}
			for _, arg := range call.Args {
				lit, ok := arg.(*ast.BasicLit)
				if !ok {
					continue
				}
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					continue
				}
				for _, bad := range badStarts {
					if strings.HasPrefix(strings.ToLower(text), bad) {
						r.report("error", fmt.Sprintf("%s:%d", f.path, r.line(lit.Pos())), "%q: say the operation first, not that it failed", text)
					}
				}
				break
			}
			return true
		})
	}
}

// skips are the ways in which a test leaves itself out.
var skips = []string{"Skip", "Skipf", "SkipNow"}

// checkSkips wants skips to go through package testenv, which knows whether
// this run may skip anything.
func (r *repository) checkSkips() {
	for _, f := range r.files {
		if !f.test || strings.HasPrefix(f.path, coreTools) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(skips, sel.Sel.Name) {
				r.report("skip", fmt.Sprintf("%s:%d", f.path, r.line(call.Pos())), "%s skips in silence: use testenv.Need and its like", sel.Sel.Name)
			}
			return true
		})
	}
}

// makesError tells whether a call makes an error of a text: errors.New,
// fmt.Errorf, and the kinds of package errs.
func makesError(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	switch pkg.Name + "." + sel.Sel.Name {
	case "errors.New", "fmt.Errorf":
		return true
	}
	return pkg.Name == "errs"
}

// namedFile finds paths of this repository in prose: a word with a slash, or a
// capitalised Markdown file, with an ending that our files have.
var namedFile = regexp.MustCompile(`(?:^|[\s("'` + "`" + `])((?:[A-Za-z0-9_.-]+/)+[A-Za-z0-9_.-]+\.(?:go|md|txt|service|socket|s|sh)|[A-Z][A-Z]+\.md)\b`)

// placeholder is a name that stands for many: images/NAME.txt.
var placeholder = regexp.MustCompile(`/[A-Z]+\.[a-z]+$`)

// checkNamedFiles looks for files that comments and documents name, from the
// root or from beside the file that names them.
func (r *repository) checkNamedFiles() {
	for _, f := range r.files {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				r.checkProse(f.path, r.line(c.Pos()), c.Text)
			}
		}
	}
	for _, t := range r.texts {
		data, err := os.ReadFile(filepath.Join(r.root, t))
		if err != nil {
			r.problems = append(r.problems, err.Error())
			continue
		}
		for i, line := range strings.Split(string(data), "\n") {
			r.checkProse(t, i+1, line)
		}
	}
}

func (r *repository) checkProse(path string, line int, text string) {
	for _, m := range namedFile.FindAllStringSubmatch(text, -1) {
		name := strings.TrimPrefix(m[1], "./")
		first, _, _ := strings.Cut(name, "/")
		if placeholder.MatchString(name) {
			continue
		}
		// Paths of other trees are not ours to check: only what starts with
		// a folder of this repository, or lies at its root.
		if _, err := os.Stat(filepath.Join(r.root, first)); err != nil && strings.Contains(name, "/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(r.root, name)); err == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(r.root, filepath.Dir(path), name)); err == nil {
			continue
		}
		r.report("named-file", fmt.Sprintf("%s:%d", path, line), "%s does not exist", name)
	}
}

// subject is how a commit begins: the area, a colon, what was done.
var subject = regexp.MustCompile(`^[a-z0-9][a-z0-9,/_. -]*: [^ ].*[^.]$`)

const mostSubject = 72 // characters

// checkCommits reads the subjects of all commits on this branch.
func (r *repository) checkCommits() error {
	cmd := exec.Command("git", "log", "--no-merges", "--format=%h%x09%s%x09%b%x00")
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("git log: %w", err)
	}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		hash, rest, ok := strings.Cut(strings.TrimSpace(entry), "\t")
		if !ok {
			continue
		}
		text, _, _ := strings.Cut(rest, "\t")
		if n := len([]rune(text)); n > mostSubject {
			r.report("commit", hash, "%d characters, at most %d: %s", n, mostSubject, text)
		}
		if !subject.MatchString(text) {
			r.report("commit", hash, "want \"area: verb …\" with no full stop: %s", text)
		}
	}
	return nil
}

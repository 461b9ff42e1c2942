package main

import (
	"slices"
	"strconv"
	"strings"
)

// drawers are names that say nothing about what is inside.
var drawers = []string{"util", "utils", "common", "helper", "helpers", "types", "pkg", "misc", "shared", "lib", "base"}

// checkPackages wants one comment for each package and a name that means
// something.
func (r *repository) checkPackages() {
	docs := map[string][]string{} // by folder and, after a blank, package
	dirs := map[string]bool{}
	for _, f := range r.files {
		if f.test {
			continue
		}
		key := f.dir + " " + f.ast.Name.Name
		if f.ignored {
			continue // a generator that `go run` takes by its file
		}
		dirs[key] = true
		if f.ast.Doc != nil && strings.TrimSpace(f.ast.Doc.Text()) != "" {
			docs[key] = append(docs[key], f.path)
		}
		if name := f.ast.Name.Name; slices.Contains(drawers, name) || strings.HasSuffix(name, "util") || strings.HasSuffix(name, "utils") {
			r.report("name", f.dir, "a package called %s says nothing about what is in it", name)
		}
	}
	for key := range dirs {
		dir, _, _ := strings.Cut(key, " ")
		switch n := len(docs[key]); {
		case n == 0:
			r.report("doc", dir, "no file has a package comment")
		case n > 1:
			r.report("doc", dir, "%d files have a package comment: %s", n, strings.Join(docs[key], ", "))
		}
	}
}

// parts are what engine joins. They never import each other: a part may
// import what is below all of them, and what allowed names.
var parts = []string{
	"internal/agent", "internal/cgroup", "internal/disk", "internal/erofs", "internal/event", "internal/image",
	"internal/keeper", "internal/layer", "internal/logfile", "internal/network", "internal/sandbox", "internal/vhdx",
}

var allowedParts = map[string][]string{
	"internal/disk":   {"internal/vhdx"},
	"internal/layer":  {"internal/erofs"},
	"internal/keeper": {"internal/agent", "internal/logfile"}, // it is the parent of agents and writes the logs
}

// partOf is the part that a folder belongs to, "" for none.
func partOf(dir string) string {
	for _, p := range parts {
		if dir == p || strings.HasPrefix(dir, p+"/") {
			return p
		}
	}
	return ""
}

// bans are imports that only some folders may have.
var bans = []struct {
	path    string
	allowed []string
	reason  string
}{
	{"golang.org/x/sys/unix", []string{"internal/linux"}, "one door to the kernel: use or add a wrapper in internal/linux"},
	{"silo/internal/engine", []string{"internal/engine", "internal/daemon", "cmd/silod", "e2e"}, "imports point one way"},
	{"silo/internal/daemon", []string{"internal/daemon", "internal/engine", "cmd/silod", "client"}, "imports point one way"},
	{"silo/internal/cli", []string{"internal/cli", "cmd/silo"}, "imports point one way"},
	{"github.com/stretchr/testify", nil, "tests use the standard library and go-cmp"},
	{"io/ioutil", nil, "deprecated: os and io have it all"},
	{"log", []string{"tools"}, "log with log/slog"},
}

func (r *repository) checkImports() {
	for _, f := range r.files {
		if strings.HasPrefix(f.dir, coreTools) {
			continue
		}
		for _, spec := range f.ast.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			r.checkImport(f, path)
		}
	}
}

func (r *repository) checkImport(f *file, path string) {
	for _, b := range bans {
		if path == "log" && (f.test || f.ignored) {
			continue
		}
		if path == b.path && !slices.ContainsFunc(b.allowed, func(a string) bool { return f.dir == a || strings.HasPrefix(f.dir, a+"/") }) {
			r.report("import", f.path, "%s: %s", path, b.reason)
		}
	}
	from, to := partOf(f.dir), partOf(strings.TrimPrefix(path, "silo/"))
	if from != "" && to != "" && from != to && strings.HasPrefix(path, "silo/") && !slices.Contains(allowedParts[from], to) {
		r.report("import", f.path, "%s: parts do not import each other: engine joins them", path)
	}
}

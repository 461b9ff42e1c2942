package unit

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// GeneratorDirs are the folders where generators put units, in the order in
// which each is told them: systemd.generator(7).
var GeneratorDirs = [...]string{generatorDir, generatorDir + ".early", generatorDir + ".late"}

// generatorDir begins their names.
const generatorDir = "/run/systemd/generator"

// searchPath is where units are, the first place wins.
var searchPath = [...]string{
	generatorDir + ".early",
	"/etc/systemd/system",
	"/run/systemd/system",
	generatorDir,
	"/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system",
	"/lib/systemd/system",
	generatorDir + ".late",
}

// configDir is where enabling makes its links.
const configDir = "/etc/systemd/system"

// place is one folder of the search path.
type place struct {
	path string // as in searchPath
	real string // with links followed
}

// found is the first file or link of a name on the search path.
type found struct {
	dir    string // as in searchPath
	target string // of a link, "" for a file
}

// index is what lies in the folders of the search path.
type index struct {
	places []place
	files  map[string]found
	// subs are the folders beside the files: nginx.service.d and its like, by
	// name, in search order, as absolute paths.
	subs map[string][]string
}

// scan reads the folders of the search path.
func (t *tree) scan() *index {
	ix := &index{files: map[string]found{}, subs: map[string][]string{}}
	for _, dir := range searchPath {
		entries, real := t.list(dir)
		if real == "" || slices.ContainsFunc(ix.places, func(p place) bool { return p.real == real }) {
			continue // not there, or the same folder as another: /lib is often a link
		}
		ix.places = append(ix.places, place{dir, real})
		for _, e := range entries {
			t.enter(ix, dir, real, e)
		}
	}
	return ix
}

func (t *tree) enter(ix *index, dir, real string, e fs.DirEntry) {
	name := e.Name()
	switch path.Ext(name) {
	case ".d", ".wants", ".requires", ".upholds":
		ix.subs[name] = append(ix.subs[name], path.Join(dir, name))
		return
	}
	if _, ok := ix.files[name]; ok {
		return
	}
	if _, err := ParseName(name); err != nil {
		return
	}
	f := found{dir: dir}
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		target, err := t.fsys.ReadLink(path.Join(real, name)[1:])
		if err != nil || target == "" {
			return
		}
		if !path.IsAbs(target) {
			// Kept in terms of real: the folder may itself be reached by a link.
			target = path.Join(real, target)
		}
		f.target = path.Clean(target)
	case !e.Type().IsRegular():
		return
	}
	ix.files[name] = f
}

// onPath tells whether a folder is one of the search path.
func (t *tree) onPath(ix *index, dir string) bool {
	if slices.Contains(searchPath[:], dir) {
		return true
	}
	real, _, err := t.real(dir)
	return err == nil && slices.ContainsFunc(ix.places, func(p place) bool { return p.real == real })
}

// lookup finds the file of a name: its own or that of its template.
func (ix *index) lookup(n Name) (found, string, bool) {
	if f, ok := ix.files[n.Full]; ok {
		return f, n.Full, true
	}
	if tmpl := n.Template(); tmpl != "" {
		if f, ok := ix.files[tmpl]; ok {
			return f, tmpl, true
		}
	}
	return found{}, "", false
}

// alias gives the name that a link makes of n: the name of what it points to,
// if that is on the search path too and of the same sort. The link of a
// template or instance to a template keeps the instance.
func (t *tree) alias(ix *index, n Name, f found) (Name, bool) {
	if f.target == "" || !t.onPath(ix, path.Dir(f.target)) {
		return Name{}, false
	}
	to, err := ParseName(path.Base(f.target))
	if err != nil || to.Ending != n.Ending || to.At != n.At {
		return Name{}, false
	}
	if to.IsTemplate() && n.Instance != "" {
		to, err = ParseName(to.With(n.Instance))
	}
	return to, err == nil && to.Full != n.Full
}

// devNull tells whether a link masks: it leads to /dev/null.
func devNull(target string) bool { return target == "/dev/null" }

// final follows aliases. It stops at a name that is no alias; the error text
// is for a chain that never ends.
func (s *Set) final(n Name) (Name, string) {
	for range mostLinks {
		f, _, ok := s.index.lookup(n)
		if !ok {
			return n, ""
		}
		to, ok := s.tree.alias(s.index, n, f)
		if !ok {
			return n, ""
		}
		n = to
	}
	return n, "its links lead to each other without end"
}

// canonical gives the unit's own name for any of its names.
func (s *Set) canonical(name string) string {
	if to, ok := s.names[name]; ok {
		return to
	}
	n, err := ParseName(name)
	if err != nil {
		return name
	}
	to, _ := s.final(n)
	s.names[name] = to.Full
	return to.Full
}

// Files lists the names of all units that have a file or link, templates too,
// sorted.
func (s *Set) Files() []string {
	list := make([]string, 0, len(s.index.files))
	for name := range s.index.files {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// generatorPath is where generators are, the first place wins.
var generatorPath = [...]string{
	"/run/systemd/system-generators", "/etc/systemd/system-generators", "/usr/local/lib/systemd/system-generators",
	"/usr/lib/systemd/system-generators", "/lib/systemd/system-generators",
}

// Generators lists the programs that make units when the system starts, in the
// order of their names, as paths in the container. Each takes three arguments,
// folders on the search path: /run/systemd/generator, generator.early and
// generator.late. Those of systemd itself are left out: they make mounts,
// terminals and the like.
func (s *Set) Generators() []string {
	byName := map[string]string{}
	for _, dir := range generatorPath {
		entries, _ := s.tree.list(dir)
		for _, e := range entries {
			if _, ok := byName[e.Name()]; !ok {
				byName[e.Name()] = path.Join(dir, e.Name())
			}
		}
	}
	var names []string
	for name, p := range byName {
		_, info, err := s.tree.real(p)
		ours := strings.HasPrefix(name, "systemd-")
		if err == nil && !ours && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = byName[name]
	}
	return names
}

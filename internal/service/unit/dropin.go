package unit

import (
	"path"
	"slices"
	"strings"
)

// dropIns lists the files that change a unit, in the order of their names. The
// more special folder wins where two have a file of the same name, then the
// order of the search path; a link to /dev/null or an empty file takes a file
// of the same name away.
func (s *Set) dropIns(n Name, aliases []string) []string {
	byName := map[string]string{}
	var names []string
	for _, sub := range dropInFolders(n, aliases) {
		for _, dir := range s.index.subs[sub] {
			entries, _ := s.tree.list(dir)
			for _, e := range entries {
				name := e.Name()
				if _, ok := byName[name]; ok || !strings.HasSuffix(name, ".conf") || len(names) >= mostDropIns {
					continue
				}
				byName[name] = path.Join(dir, name)
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	var list []string
	for _, name := range names {
		p := byName[name]
		real, info, err := s.tree.real(p)
		if err != nil || devNull(real) || info.Mode().IsRegular() && info.Size() == 0 {
			continue
		}
		list = append(list, p)
	}
	return list
}

// dropInFolders lists the names of folders that are for a unit, the most
// special first: its names, its names cut at dashes, the same of the template,
// and the kind.
func dropInFolders(n Name, aliases []string) []string {
	var list []string
	add := func(name string) {
		if !slices.Contains(list, name+".d") {
			list = append(list, name+".d")
		}
	}
	for _, name := range append([]string{n.Full}, aliases...) {
		a, err := ParseName(name)
		if err != nil {
			continue
		}
		for _, form := range []string{name, a.Template()} {
			if form == "" {
				continue
			}
			add(form)
			stem := strings.TrimSuffix(form, "."+a.Ending)
			at := ""
			if a.At {
				// foo-bar@.service has foo-@.service.d as well.
				stem, at = a.Prefix, "@"
			}
			for i := len(stem) - 1; i > 0; i-- {
				if stem[i] == '-' && i < len(stem)-1 {
					add(stem[:i+1] + at + "." + a.Ending)
				}
			}
		}
	}
	add(n.Ending)
	return list
}

// linked adds the dependencies that links in .wants, .requires and .upholds
// folders make.
func (s *Set) linked(d *decoder) {
	forms := append([]string{d.name.Full}, d.u.Aliases...)
	if t := d.name.Template(); t != "" {
		forms = append(forms, t)
	}
	for ending, r := range map[string]Relation{".wants": Wants, ".requires": Requires, ".upholds": Upholds} {
		masked := map[string]bool{}
		for _, form := range forms {
			for _, dir := range s.index.subs[form+ending] {
				s.linksIn(d, dir, r, masked)
			}
		}
	}
}

func (s *Set) linksIn(d *decoder, dir string, r Relation, masked map[string]bool) {
	entries, real := s.tree.list(dir)
	for _, e := range entries {
		n, err := ParseName(e.Name())
		if err != nil || masked[n.Full] {
			continue
		}
		if target, err := s.tree.fsys.ReadLink(path.Join(real, n.Full)[1:]); err == nil && devNull(target) {
			masked[n.Full] = true // hides links of this name further down the search path
			continue
		}
		name := n.Full
		if n.IsTemplate() {
			if d.name.Instance == "" {
				continue
			}
			name = n.With(d.name.Instance)
		}
		if err := d.u.relate(r, name); err != nil {
			d.path = dir
			d.once(dir, "%s: %v", dir, err)
			return
		}
	}
}

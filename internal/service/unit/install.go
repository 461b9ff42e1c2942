package unit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"silo/internal/errs"
)

// Link is one change to the links in /etc/systemd/system: to make one, which
// replaces what is there, or to remove one. The folder of a link to make may
// have to be made first.
type Link struct {
	Path   string // absolute in the container
	Target string // of the link to make; "" to remove
}

// EnableState is what a unit's links and its [Install] section come to.
type EnableState string

const (
	Enabled   EnableState = "enabled"  // a link starts it
	Disabled  EnableState = "disabled" // could be enabled
	Static    EnableState = "static"   // has no [Install]: others pull it in, or nobody
	Indirect  EnableState = "indirect" // only its Also= can be enabled
	Alias     EnableState = "alias"    // another name of a unit
	IsMasked  EnableState = "masked"
	Generated EnableState = "generated" // made by a generator
	NoFile    EnableState = "not-found"
	BadUnit   EnableState = "bad"
)

// EnableState tells whether a unit is enabled.
func (s *Set) EnableState(name string) EnableState {
	n, err := ParseName(name)
	if err != nil {
		return BadUnit
	}
	f, file, ok := s.index.lookup(n)
	switch {
	case !ok:
		return NoFile
	case devNull(f.target):
		return IsMasked
	case strings.HasPrefix(f.dir, generatorDir):
		return Generated
	}
	if _, isAlias := s.tree.alias(s.index, n, f); isAlias && file == name {
		return Alias
	}
	if s.isLinked(n) {
		return Enabled
	}
	in, _, err := s.install(n)
	switch {
	case err != nil:
		if u := s.Load(name); u.State == Masked {
			return IsMasked
		}
		return BadUnit
	case in.Empty():
		return Static
	case len(in.WantedBy)+len(in.RequiredBy)+len(in.UpheldBy)+len(in.Alias) == 0:
		return Indirect
	}
	return Disabled
}

// isLinked tells whether a link starts a unit, or an instance of a template.
func (s *Set) isLinked(n Name) bool {
	for _, l := range s.madeLinks() {
		if l.under == "" && l.name == n.Full {
			continue // a linked file, not an alias
		}
		if s.meant(n, l) {
			return true
		}
	}
	return false
}

// madeLink is a link that starts a unit: in /etc/systemd/system or
// /run/systemd/system, or made by a generator.
type madeLink struct {
	dir    string // of these
	under  string // folder below it, as in multi-user.target.wants; "" for none
	name   string
	target string
}

func (l madeLink) path() string { return path.Join(l.dir, l.under, l.name) }

// madeLinks lists the links that enabling and generators make, masks left out.
func (s *Set) madeLinks() []madeLink {
	if s.made != nil {
		return s.made
	}
	list := []madeLink{}
	read := func(dir, under string) {
		entries, real := s.tree.list(path.Join(dir, under))
		for _, e := range entries {
			name := e.Name()
			if _, err := ParseName(name); err != nil {
				continue
			}
			target, err := s.tree.fsys.ReadLink(path.Join(real, name)[1:])
			if err == nil && !devNull(target) {
				list = append(list, madeLink{dir, under, name, target})
			}
		}
	}
	for _, dir := range append([]string{configDir, "/run/systemd/system"}, GeneratorDirs[:]...) {
		read(dir, "")
		for _, sub := range sortedKeys(s.index.subs) {
			if !strings.HasSuffix(sub, ".d") && slices.Contains(s.index.subs[sub], path.Join(dir, sub)) {
				read(dir, sub)
			}
		}
	}
	s.made = list
	return list
}

// meant tells whether a link is of a unit: by its own name, or by what it leads
// to. Links of instances are of their template too.
func (s *Set) meant(n Name, l madeLink) bool {
	same := func(name string) bool {
		if name == n.Full {
			return true
		}
		m, err := ParseName(name)
		return err == nil && n.IsTemplate() && m.Template() == n.Full
	}
	if same(l.name) {
		return true
	}
	// The link of an instance leads to the template's file, which says nothing
	// about other instances; so only names without an instance count here.
	m, err := ParseName(l.name)
	return err == nil && !m.At && same(path.Base(l.target))
}

// install reads the [Install] section and the file of a unit, as one can be
// enabled that cannot run here.
func (s *Set) install(n Name) (*Install, string, error) {
	f, file, ok := s.index.lookup(n)
	switch {
	case !ok:
		return nil, "", errs.NotFoundf("unit %s: no file of this name", n.Full)
	case devNull(f.target):
		return nil, "", errs.Conflictf("unit %s is masked: unmask it first", n.Full)
	}
	if n.IsTemplate() {
		// Not a unit of its own, so Load does not keep it from being read.
		u := s.load(n)
		if u.State == Bad && u.Path == "" {
			return nil, "", errs.Invalidf("unit %s: %s", n.Full, u.Reason)
		}
		return &u.Install, path.Join(f.dir, file), nil
	}
	u := s.Load(n.Full)
	switch u.State {
	case Masked:
		return nil, "", errs.Conflictf("unit %s is masked: %s", n.Full, u.Reason)
	case NotFound:
		return nil, "", errs.NotFoundf("unit %s: %s", n.Full, u.Reason)
	case Bad:
		return nil, "", errs.Invalidf("unit %s: %s", n.Full, u.Reason)
	case Provided:
		return nil, "", errs.New(errs.NotSupported, "unit %s: %s", n.Full, u.Reason)
	case Loaded, Synthetic:
	}
	// The link leads to the file itself, not to another link of the search path.
	p := u.Path
	if f, file, ok := s.index.lookup(mustName(u.Name)); ok {
		p = path.Join(f.dir, file)
	}
	return &u.Install, p, nil
}

// mustName takes the name of a unit that was loaded.
func mustName(name string) Name {
	n, err := ParseName(name)
	if err != nil {
		return Name{Full: name}
	}
	return n
}

// Enable plans the links that enable units, those of Also= too. What is so
// already is not in the plan.
func (s *Set) Enable(names ...string) ([]Link, error) {
	var plan []Link
	err := s.withAlso(names, func(n Name, in *Install, file string) error {
		if in.Empty() {
			if slices.Contains(names, n.Full) {
				return errs.Invalidf("enable %s: it has no [Install] section: others pull it in, or nobody", n.Full)
			}
			return nil
		}
		links, err := s.wanted(n, in, file)
		if err != nil {
			return err
		}
		for _, l := range links {
			old, err := s.tree.fsys.ReadLink(l.Path[1:])
			if err == nil && old == l.Target || slices.Contains(plan, l) {
				continue
			}
			if _, statErr := s.tree.fsys.Lstat(l.Path[1:]); err != nil && statErr == nil {
				return errs.Conflictf("enable %s: %s exists and is no link", n.Full, l.Path)
			}
			plan = append(plan, l)
		}
		return nil
	})
	return plan, err
}

// wanted lists the links that an [Install] section asks for.
func (s *Set) wanted(n Name, in *Install, file string) ([]Link, error) {
	var plan []Link
	self := n
	if n.IsTemplate() && in.DefaultInstance != "" {
		var err error
		if self, err = ParseName(n.With(in.DefaultInstance)); err != nil {
			return nil, errs.Invalidf("enable %s: DefaultInstance: %v", n.Full, err)
		}
	}
	for _, by := range []struct {
		ending string
		names  []string
	}{{".wants", in.WantedBy}, {".requires", in.RequiredBy}, {".upholds", in.UpheldBy}} {
		for _, target := range by.names {
			if t := mustName(target); self.IsTemplate() && !t.IsTemplate() {
				return nil, errs.Invalidf("enable %s: it is a template without a default instance: name one, as in %s", n.Full, n.With("x"))
			}
			plan = append(plan, Link{path.Join(configDir, target+by.ending, self.Full), file})
		}
	}
	for _, alias := range in.Alias {
		a := mustName(alias)
		if a.Ending != n.Ending || a.At != n.At {
			return nil, errs.Invalidf("enable %s: alias %s is of another kind", n.Full, alias)
		}
		if alias != n.Full {
			plan = append(plan, Link{path.Join(configDir, alias), file})
		}
	}
	return plan, nil
}

// withAlso visits units and what their Also= names, each once.
func (s *Set) withAlso(names []string, visit func(Name, *Install, string) error) error {
	seen := map[string]bool{}
	todo := slices.Clone(names)
	for len(todo) > 0 {
		n, err := ParseName(todo[0])
		if err != nil {
			return errs.Invalidf("%v", err)
		}
		todo = todo[1:]
		if to, endless := s.final(n); endless == "" {
			n = to // an alias is enabled by what it stands for
		}
		if seen[n.Full] || len(seen) > mostUnits {
			continue
		}
		seen[n.Full] = true
		in, file, err := s.install(n)
		if err != nil {
			return err
		}
		if err := visit(n, in, file); err != nil {
			return err
		}
		todo = append(todo, in.Also...)
	}
	return nil
}

// Disable plans the removal of the links that start units, those of Also= and
// aliases too. Links of the image's own folders below /usr stay. A unit that
// is gone can be disabled as well.
func (s *Set) Disable(names ...string) ([]Link, error) {
	all := slices.Clone(names)
	for _, name := range names {
		if _, err := ParseName(name); err != nil {
			return nil, errs.Invalidf("%v", err)
		}
		err := s.withAlso([]string{name}, func(n Name, _ *Install, _ string) error {
			all = append(all, n.Full)
			return nil
		})
		if err != nil && errs.KindOf(err) == errs.Invalid && s.Load(name).State != Bad {
			return nil, err
		}
	}
	slices.Sort(all)
	var plan []Link
	for _, l := range s.madeLinks() {
		if l.dir != configDir {
			continue
		}
		for _, name := range slices.Compact(all) {
			// A link of the same name beside the units is a linked file; it
			// goes too, as systemd has it.
			if s.meant(mustName(name), l) {
				plan = append(plan, Link{Path: l.path()})
				break
			}
		}
	}
	return plan, nil
}

// Mask plans the links that keep units from being started by anything.
func (s *Set) Mask(names ...string) ([]Link, error) {
	var plan []Link
	for _, name := range names {
		if _, err := ParseName(name); err != nil {
			return nil, errs.Invalidf("%v", err)
		}
		p := path.Join(configDir, name)
		target, err := s.tree.fsys.ReadLink(p[1:])
		if err == nil && devNull(target) {
			continue
		}
		if _, statErr := s.tree.fsys.Lstat(p[1:]); err != nil && statErr == nil {
			return nil, fmt.Errorf("mask %s: %w", name, errs.Conflictf("%s is a file, which would be lost", p))
		}
		plan = append(plan, Link{p, "/dev/null"})
	}
	return plan, nil
}

// Unmask plans the removal of what Mask made.
func (s *Set) Unmask(names ...string) ([]Link, error) {
	var plan []Link
	for _, name := range names {
		if _, err := ParseName(name); err != nil {
			return nil, errs.Invalidf("%v", err)
		}
		p := path.Join(configDir, name)
		if target, err := s.tree.fsys.ReadLink(p[1:]); err == nil && devNull(target) {
			plan = append(plan, Link{Path: p})
		}
	}
	return plan, nil
}

package unit

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Host is what specifiers and conditions can know about the container. Empty
// fields stand for empty texts.
type Host struct {
	Hostname       string
	MachineID      string
	BootID         string
	KernelRelease  string
	KernelCmdline  string
	Architecture   string            // in systemd's words: x86-64, arm64
	Virtualization string            // in systemd's words; "" is container-other
	OSRelease      map[string]string // of /etc/os-release
	User           string            // whom the manager runs as, in the container
	Group          string
	UID, GID       int
	Home, Shell    string
	Environment    []string // of the manager, NAME=value
	Capabilities   []string // that the container may have, CAP_…
	Controllers    []string // of control groups
	CPUs           int
	Memory         uint64 // bytes

	// Zone finds a time zone by its IANA name. With nil only UTC is known.
	Zone func(name string) (*time.Location, error)
}

// Set is the units of one container as its files were when they were read.
// What it read stays; changes are seen by a new Set. It is not for use by more
// than one goroutine at a time.
type Set struct {
	tree     tree
	host     Host
	index    *index
	rows     map[string]row
	policies map[string]policy
	units    map[string]*Unit    // by their own name
	names    map[string]string   // any name to the unit's own
	links    map[string][]string // the other names of a unit; made when first used
	made     []madeLink          // see madeLinks; nil until first used
}

// NewSet reads which units there are below fsys, the root of a container. Links
// are followed in this package, absolute ones from that root, so fsys need not
// follow them. Opening must not wait, as for the other end of a FIFO.
func NewSet(fsys fs.ReadLinkFS, host Host) *Set {
	s := &Set{
		tree: tree{fsys: fsys}, host: host, rows: rows(), policies: policies(),
		units: map[string]*Unit{}, names: map[string]string{},
	}
	s.index = s.tree.scan()
	return s
}

// Load gives the unit of a name or alias. It always gives one: State and Reason
// tell what came of it.
func (s *Set) Load(name string) *Unit {
	n, err := ParseName(name)
	if err != nil {
		return &Unit{Name: name, State: Bad, Reason: err.Error()}
	}
	to, endless := s.final(n)
	if endless != "" {
		return &Unit{Name: name, Kind: n.Kind(), State: Bad, Reason: endless}
	}
	s.names[name] = to.Full
	if u, ok := s.units[to.Full]; ok {
		return u
	}
	if len(s.units) >= mostUnits {
		return &Unit{Name: to.Full, Kind: to.Kind(), State: Bad, Reason: "too many units are loaded"}
	}
	u := s.load(to)
	s.units[to.Full] = u
	return u
}

// Loaded lists the units that were asked for so far, or that a transaction
// looked at, by name.
func (s *Set) Loaded() []*Unit {
	list := make([]*Unit, 0, len(s.units))
	for _, u := range s.units {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *Unit) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// load reads a unit that is not in the set yet. n is no alias.
func (s *Set) load(n Name) *Unit {
	u := newUnit(n)
	f, _, ok := s.index.lookup(n)
	if ok && devNull(f.target) {
		// A mask stands over everything, also over what the container does.
		u.State, u.Reason = Masked, path.Join(f.dir, n.Full)+" leads to /dev/null"
		return u
	}
	if why := provided(n); why != "" {
		u.State, u.Reason = Provided, why
		return u
	}
	if n.Ending == "path" {
		u.State, u.Reason = Bad, "paths are not watched: .path units are not supported"
		return u
	}
	d := &decoder{set: s, u: u, name: n, spec: specifiers{name: n, host: &s.host}, bindIPv6: "default"}
	u.Aliases = s.aliases(n)
	if err := s.fragments(d, ok); err != nil {
		u.fail(err)
		return u
	}
	if u.State != Loaded && u.State != Synthetic {
		return u
	}
	s.linked(d)
	err := d.settle()
	d.path, d.line = u.Path, 0
	if err == nil {
		err = d.finish()
	}
	if err != nil {
		u.fail(err)
	}
	return u
}

// fail makes a unit bad. What was read of it stays, for those who look at it.
func (u *Unit) fail(err error) {
	u.State, u.Reason = Bad, strings.ReplaceAll(err.Error(), "\n", "; ")
}

// fragments reads the unit's file and drop-ins.
func (s *Set) fragments(d *decoder, have bool) error {
	u, n := d.u, d.name
	if !have {
		if n.IsTemplate() || !synthetic(u) {
			u.State, u.Reason = NotFound, "no file of this name"
			return nil
		}
	}
	if have {
		f, file, _ := s.index.lookup(n)
		u.Path = path.Join(f.dir, file)
		text, err := s.tree.read(u.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			u.State, u.Reason = NotFound, u.Path+" leads to nothing"
			return nil
		case err != nil:
			return err
		case len(text) == 0:
			u.State, u.Reason = Masked, u.Path+" is empty"
			return nil
		}
		u.State = Loaded
		d.spec.path = u.Path
		if err := d.file(u.Path, text); err != nil {
			return err
		}
	}
	for _, p := range s.dropIns(n, u.Aliases) {
		text, err := s.tree.read(p)
		if err != nil {
			return err
		}
		u.DropIns = append(u.DropIns, p)
		if err := d.file(p, text); err != nil {
			return err
		}
	}
	return nil
}

// aliases lists the other names that links give a unit.
func (s *Set) aliases(n Name) []string {
	if s.links == nil {
		s.links = map[string][]string{}
		for name, f := range s.index.files {
			if f.target == "" || devNull(f.target) {
				continue
			}
			a, err := ParseName(name)
			if err != nil {
				continue
			}
			if to, endless := s.final(a); endless == "" && to.Full != name {
				s.links[to.Full] = append(s.links[to.Full], name)
			}
		}
	}
	list := slices.Clone(s.links[n.Full])
	if t := n.Template(); t != "" {
		for _, name := range s.links[t] {
			if a, err := ParseName(name); err == nil && a.IsTemplate() && len(n.Instance)+len(name) <= mostNameLen {
				list = append(list, a.With(n.Instance))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

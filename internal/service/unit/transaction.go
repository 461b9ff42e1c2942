package unit

import (
	"fmt"
	"slices"
	"strings"
)

// JobKind is what is to be done with a unit.
type JobKind string

const (
	JobStart  JobKind = "start"
	JobStop   JobKind = "stop"
	JobReload JobKind = "reload"
	// JobVerify is of Requisite=: it fails unless the unit is up.
	JobVerify JobKind = "verify"
)

// Job is one thing to do. A restart is two: a stop and, later, a start.
type Job struct {
	Unit string
	Kind JobKind
	// After are the jobs, by their place in the transaction, that must have
	// ended before this one begins, whether well or not.
	After []int
	// Needs are units without which this one cannot start: if the job of one
	// of them fails, so does this, with the result "dependency".
	Needs []string
	// Anchor is set for what was asked for and what that cannot do without.
	Anchor bool
}

// Transaction is jobs in an order in which each comes after all it waits for.
type Transaction struct {
	Jobs  []Job
	Notes []string // what was dropped, and why
}

// Active tells which units are up: started, and not stopped or failed since.
// One that is only starting is not up; its job joins the one under way.
type Active func(name string) bool

// builder collects the jobs of a transaction.
type builder struct {
	set    *Set
	active Active
	roots  []string
	starts map[string]*node // by unit
	stops  map[string]*node
	verify map[string]*node
	notes  []string

	neededBy map[string][]string // starts that need a unit
	downWith map[string][]string // loaded units that go down with a unit; made when first used
	loose    map[[2]int]bool     // waits between nodes that are given up
}

// node is a job under way to a transaction.
type node struct {
	unit   *Unit
	kind   JobKind
	anchor bool
}

func (s *Set) builder(active Active, names []string) *builder {
	b := &builder{
		set: s, active: active, starts: map[string]*node{}, stops: map[string]*node{}, verify: map[string]*node{},
		neededBy: map[string][]string{}, loose: map[[2]int]bool{},
	}
	for _, name := range names {
		b.roots = append(b.roots, s.canonical(name))
	}
	return b
}

// Start computes what is to be done so that units are up: they, all they
// require and want, and the stop of what conflicts with them. The error says
// why one of them, or something it cannot do without, cannot start.
func (s *Set) Start(active Active, names ...string) (*Transaction, error) {
	b := s.builder(active, names)
	if err := b.start(); err != nil {
		return nil, err
	}
	return b.order(), nil
}

// Stop computes what is to be done so that units are down: they, and those of
// the loaded units that cannot be up without them.
func (s *Set) Stop(active Active, names ...string) *Transaction {
	b := s.builder(active, names)
	for _, name := range b.roots {
		b.stop(name, true)
	}
	return b.order()
}

// Restart stops and starts units, and with them those of the loaded units that
// are up and cannot be without them.
func (s *Set) Restart(active Active, names ...string) (*Transaction, error) {
	b := s.builder(active, names)
	for _, name := range b.roots {
		if active(name) {
			b.stop(name, true)
		}
	}
	roots := b.roots
	for name := range b.stops {
		if !slices.Contains(roots, name) {
			b.roots = append(b.roots, name)
		}
	}
	slices.Sort(b.roots[len(roots):])
	b.active = func(name string) bool { return b.stops[name] == nil && active(name) }
	if err := b.start(); err != nil {
		return nil, err
	}
	return b.order(), nil
}

// Reload computes the reload of units that are up and of those they pass it on
// to.
func (s *Set) Reload(active Active, names ...string) (*Transaction, error) {
	b := s.builder(active, names)
	passedOn := s.reverse(ReloadFrom)
	todo := slices.Clone(b.roots)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if b.starts[name] != nil {
			continue
		}
		isRoot := slices.Contains(b.roots, name)
		if !active(name) {
			if isRoot {
				return nil, fmt.Errorf("reload %s: it is not running", name)
			}
			continue
		}
		u := s.Load(name)
		b.starts[name] = &node{unit: u, kind: JobReload, anchor: isRoot}
		todo = append(todo, u.Deps[PropagatesReload]...)
		todo = append(todo, passedOn[name]...)
	}
	return b.order(), nil
}

// reverse gives, for each unit, the loaded units with one of the relations to
// it, in order.
func (s *Set) reverse(relations ...Relation) map[string][]string {
	m := map[string][]string{}
	for _, u := range s.Loaded() {
		for _, r := range relations {
			for _, name := range u.Deps[r] {
				if l := m[name]; len(l) == 0 || l[len(l)-1] != u.Name {
					m[name] = append(l, u.Name)
				}
			}
		}
	}
	return m
}

// stop adds a unit's stop and, for what is up, that of those that go down with
// it.
func (b *builder) stop(name string, anchor bool) {
	if b.downWith == nil {
		b.downWith = b.set.reverse(Requires, Requisite, BindsTo, PartOf, StopFrom)
	}
	todo := []string{name}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if b.stops[name] != nil {
			continue
		}
		u := b.set.Load(name)
		b.stops[name] = &node{unit: u, kind: JobStop, anchor: anchor}
		for _, other := range slices.Concat(b.downWith[name], u.Deps[PropagatesStop]) {
			if b.active(other) {
				todo = append(todo, other)
			}
		}
	}
}

func (b *builder) note(format string, args ...any) {
	if len(b.notes) < mostNotes*4 {
		b.notes = append(b.notes, fmt.Sprintf(format, args...))
	}
}

// start fills b.starts with the roots and all they pull in, drops what cannot
// start, and settles conflicts.
func (b *builder) start() error {
	b.close()
	if err := b.dropBroken(); err != nil {
		return err
	}
	b.anchor()
	if err := b.settle(); err != nil {
		return err
	}
	b.unpulled()
	b.requisites()
	if err := b.uncircle(); err != nil {
		return err
	}
	if err := b.stopConflicting(); err != nil {
		return err
	}
	b.unpulled()
	for name, n := range b.starts {
		if b.isUp(n) {
			delete(b.starts, name)
		}
	}
	b.requisites()
	return nil
}

// isUp tells whether a start has nothing to do.
func (b *builder) isUp(n *node) bool {
	return n.kind == JobStart && (b.active(n.unit.Name) || n.unit.State == Provided)
}

// pulls are the relations by which the start of one unit starts another; the
// first two it cannot do without.
var pulls = [...]Relation{Requires, BindsTo, Wants, Upholds}

// needs lists what a unit cannot start without.
func needs(u *Unit) []string {
	list := append(slices.Clone(u.Deps[Requires]), u.Deps[BindsTo]...)
	slices.Sort(list)
	return slices.Compact(list)
}

// close adds starts of the roots and all they pull in.
func (b *builder) close() {
	todo := slices.Clone(b.roots)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if b.starts[name] != nil {
			continue
		}
		u := b.set.Load(name)
		b.starts[name] = &node{unit: u, kind: JobStart}
		if b.whyNot(u) != "" {
			continue
		}
		for _, r := range pulls {
			todo = append(todo, u.Deps[r]...)
		}
		for _, other := range needs(u) {
			b.neededBy[other] = append(b.neededBy[other], name)
		}
	}
}

// whyNot tells why a unit cannot be started as it was loaded, "" if it can.
func (b *builder) whyNot(u *Unit) string {
	switch u.State {
	case Loaded, Synthetic, Provided:
		if n, err := ParseName(u.Name); err == nil && n.IsTemplate() {
			return "a template: name an instance"
		}
		return ""
	case Masked, NotFound, Bad:
		return string(u.State) + ": " + u.Reason
	}
	return string(u.State)
}

// dropBroken takes away what cannot start and what cannot do without that,
// until nothing changes.
func (b *builder) dropBroken() error {
	why := map[string]string{}
	for name, n := range b.starts {
		if w := b.whyNot(n.unit); w != "" && !(b.active(name) && !slices.Contains(b.roots, name)) {
			why[name] = w
		}
	}
	return b.drop(why, true)
}

// drop takes units out of the starts, for the reasons given, with all that
// cannot do without them. It is an error if that reaches a root. What was
// merely wanted and does not exist is dropped in silence, as is usual.
func (b *builder) drop(why map[string]string, quietIfMissing bool) error {
	todo := sortedKeys(why)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		n := b.starts[name]
		if n == nil {
			continue
		}
		if slices.Contains(b.roots, name) {
			return fmt.Errorf("start %s: %s", name, why[name])
		}
		if !quietIfMissing || n.unit.State != NotFound {
			b.note("%s is left out: %s", name, why[name])
		}
		delete(b.starts, name)
		for _, other := range b.neededBy[name] {
			if _, ok := why[other]; !ok {
				why[other] = fmt.Sprintf("needs %s: %s", name, shorten(why[name]))
			}
			todo = append(todo, other)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// anchor marks the roots and what they cannot do without.
func (b *builder) anchor() {
	todo := slices.Clone(b.roots)
	for len(todo) > 0 {
		n := b.starts[todo[0]]
		todo = todo[1:]
		if n == nil || n.anchor {
			continue
		}
		n.anchor = true
		todo = append(todo, needs(n.unit)...)
	}
}

// unpulled takes away starts that nothing pulls in any more, since what did
// was dropped.
func (b *builder) unpulled() {
	reached := map[string]bool{}
	todo := slices.Clone(b.roots)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		n := b.starts[name]
		if n == nil || reached[name] {
			continue
		}
		reached[name] = true
		for _, r := range pulls {
			todo = append(todo, n.unit.Deps[r]...)
		}
	}
	for name := range b.starts {
		if !reached[name] {
			delete(b.starts, name)
		}
	}
}

// requisites makes the checks of Requisite= anew.
func (b *builder) requisites() {
	b.verify = map[string]*node{}
	for _, n := range b.starts {
		if b.isUp(n) {
			continue
		}
		for _, name := range n.unit.Deps[Requisite] {
			if b.starts[name] == nil {
				b.verify[name] = &node{unit: b.set.Load(name), kind: JobVerify}
			}
		}
	}
}

// String is the transaction as a list of its jobs, for logs and tests.
func (t *Transaction) String() string {
	var b strings.Builder
	for i := range t.Jobs {
		fmt.Fprintf(&b, "%s %s\n", t.Jobs[i].Kind, t.Jobs[i].Unit)
	}
	return b.String()
}

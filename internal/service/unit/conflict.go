package unit

import (
	"fmt"
	"slices"
)

// conflict is two units that cannot both be up.
type conflict struct {
	a, b string // a says Conflicts=b
}

// conflicts lists those between starts, in a fixed order.
func (b *builder) conflicts() []conflict {
	var list []conflict
	for _, name := range sortedKeys(b.starts) {
		for _, other := range b.starts[name].unit.Deps[Conflicts] {
			if b.starts[other] != nil {
				list = append(list, conflict{name, other})
			}
		}
	}
	return list
}

// settle decides between starts that conflict. Of two starts the one goes that was not asked for;
// if neither was, the one that the other names; if both were, nothing can be
// done.
func (b *builder) settle() error {
	for _, c := range b.conflicts() {
		x, y := b.starts[c.a], b.starts[c.b]
		if x == nil || y == nil {
			continue // one of them went with an earlier conflict
		}
		if x.anchor && y.anchor {
			return fmt.Errorf("start %s: %s conflicts with %s, and both are required", b.roots[0], c.a, c.b)
		}
		out, in := c.b, c.a
		if y.anchor {
			out, in = c.a, c.b
		}
		if err := b.drop(map[string]string{out: "conflicts with " + in}, false); err != nil {
			return err
		}
	}
	return nil
}

// stopConflicting adds the stops of units that are up and conflict with a
// start, in either direction.
func (b *builder) stopConflicting() error {
	against := b.set.reverse(Conflicts)
	for _, name := range sortedKeys(b.starts) {
		n := b.starts[name]
		if n == nil || b.active(name) {
			continue
		}
		for _, other := range slices.Concat(n.unit.Deps[Conflicts], against[name]) {
			if other == name || !b.active(other) {
				continue
			}
			if s := b.starts[other]; s != nil && s.anchor && !n.anchor {
				// What is up is needed more than what would start.
				if err := b.drop(map[string]string{name: "conflicts with " + other}, false); err != nil {
					return err
				}
				break
			}
			b.stop(other, n.anchor)
		}
	}
	why := map[string]string{}
	for name, s := range b.stops {
		if n := b.starts[name]; n != nil && b.active(name) && s.kind == JobStop {
			if n.anchor {
				return fmt.Errorf("start %s: %s is required and would have to be stopped", b.roots[0], name)
			}
			why[name] = "is stopped by a conflict"
		}
	}
	return b.drop(why, false)
}

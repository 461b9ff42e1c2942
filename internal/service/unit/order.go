package unit

import (
	"fmt"
	"slices"
	"strings"
)

// sorter orders the nodes of a transaction.
type sorter struct {
	nodes []*node
	after [][]int // by node: those that must end before it begins
}

// order turns the collected jobs into a transaction. Starts have no circle any
// more; where stops or reloads go round in one, which must not keep anybody
// from stopping a service, one of them no longer waits.
func (b *builder) order() *Transaction {
	for {
		st := b.sorter()
		cycle := st.cycle()
		if cycle == nil {
			return b.transaction(st)
		}
		b.note("the order goes round in a circle, one does not wait: %s", st.circle(cycle))
		last := len(cycle) - 1
		b.loose[[2]int{cycle[last], cycle[last-1]}] = true
	}
}

// uncircle drops starts that were not asked for until After= and Before= do
// not go round in a circle.
func (b *builder) uncircle() error {
	for range mostCircles {
		st := b.sorter()
		cycle := st.cycle()
		if cycle == nil {
			return nil
		}
		if st.nodes[cycle[0]].kind == JobStop {
			return nil // stops are never before and after starts at once: order sees to them
		}
		if err := b.breakCycle(st, cycle); err != nil {
			return err
		}
		b.unpulled()
		b.requisites()
	}
	return fmt.Errorf("order of jobs goes round in more than %d circles", mostCircles)
}

// circle is a cycle as a text.
func (st *sorter) circle(cycle []int) string {
	var names []string
	for _, i := range cycle {
		names = append(names, st.nodes[i].unit.Name)
		if len(names) == 8 && len(cycle) > 9 {
			names = append(names, "…")
			break
		}
	}
	return strings.Join(append(names, names[0]), " before ")
}

// sorter lists all nodes in a fixed order and what each waits for.
func (b *builder) sorter() *sorter {
	st := &sorter{}
	at := map[string][]int{} // a unit can have a stop and a start
	for _, m := range []map[string]*node{b.stops, b.verify, b.starts} {
		for _, name := range sortedKeys(m) {
			if b.isUp(m[name]) {
				continue
			}
			at[name] = append(at[name], len(st.nodes))
			st.nodes = append(st.nodes, m[name])
		}
	}
	st.after = make([][]int, len(st.nodes))
	wait := func(later, earlier int) {
		if later != earlier && !b.loose[[2]int{later, earlier}] {
			st.after[later] = append(st.after[later], earlier)
		}
	}
	for i, n := range st.nodes {
		for _, j := range at[n.unit.Name] {
			if n.kind != JobStop && st.nodes[j].kind == JobStop {
				wait(i, j)
			}
		}
		for _, name := range n.unit.Deps[After] {
			for _, j := range at[name] {
				pair(st.nodes, j, i, wait)
			}
		}
		for _, name := range n.unit.Deps[Before] {
			for _, j := range at[name] {
				pair(st.nodes, i, j, wait)
			}
		}
	}
	for i := range st.after {
		slices.Sort(st.after[i])
		st.after[i] = slices.Compact(st.after[i])
	}
	return st
}

// pair orders the jobs of two units, of which the first is to be up before the
// second. A stop goes before a start, whichever unit it is of, and two stops go
// the other way round.
func pair(nodes []*node, first, second int, wait func(later, earlier int)) {
	if nodes[second].kind == JobStop {
		wait(first, second)
		return
	}
	wait(second, first)
}

// cycle gives the nodes of one circle, nil if there is none. It walks without
// recursion: a chain may be as long as there are units.
func (st *sorter) cycle() []int {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(st.nodes))
	type frame struct{ node, next int }
	for root := range st.nodes {
		if state[root] != unseen {
			continue
		}
		stack := []frame{{root, 0}}
		state[root] = open
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.next == len(st.after[top.node]) {
				state[top.node] = done
				stack = stack[:len(stack)-1]
				continue
			}
			to := st.after[top.node][top.next]
			top.next++
			switch state[to] {
			case unseen:
				state[to] = open
				stack = append(stack, frame{to, 0})
			case open:
				var list []int
				for i := len(stack) - 1; stack[i].node != to; i-- {
					list = append(list, stack[i].node)
				}
				return append(list, to)
			}
		}
	}
	return nil
}

// breakCycle drops one start of a circle: not one that was asked for, and
// rather something else than a target.
func (b *builder) breakCycle(st *sorter, cycle []int) error {
	rank := func(i int) int {
		switch n := st.nodes[i]; {
		case n.anchor:
			return 0
		case n.unit.Kind == KindTarget:
			return 1
		}
		return 2
	}
	victim := cycle[0]
	for _, i := range cycle {
		if rank(i) > rank(victim) || rank(i) == rank(victim) && st.nodes[i].unit.Name > st.nodes[victim].unit.Name {
			victim = i
		}
	}
	circle := st.circle(cycle)
	if rank(victim) == 0 {
		return fmt.Errorf("order of jobs goes round in a circle, and all are required: %s", circle)
	}
	reason := "the order goes round in a circle: " + circle
	n := st.nodes[victim]
	if n.kind != JobVerify {
		return b.drop(map[string]string{n.unit.Name: reason}, false)
	}
	// Without its check those that have it as a requisite cannot go on.
	why := map[string]string{}
	for name, other := range b.starts {
		if slices.Contains(other.unit.Deps[Requisite], n.unit.Name) {
			why[name] = reason
		}
	}
	return b.drop(why, false)
}

// transaction sorts the nodes; of those that can go, the first in their order
// goes first. There is no circle in them.
func (b *builder) transaction(st *sorter) *Transaction {
	t := &Transaction{Notes: b.notes}
	waits := make([]int, len(st.nodes))     // for how many
	unlocks := make([][]int, len(st.nodes)) // whom
	var ready []int
	for i := range st.nodes {
		waits[i] = len(st.after[i])
		for _, j := range st.after[i] {
			unlocks[j] = append(unlocks[j], i)
		}
		if waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	place := make([]int, len(st.nodes))
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		place[i] = len(t.Jobs)
		t.Jobs = append(t.Jobs, st.job(i, place))
		for _, j := range unlocks[i] {
			if waits[j]--; waits[j] == 0 {
				at, _ := slices.BinarySearch(ready, j)
				ready = slices.Insert(ready, at, j)
			}
		}
	}
	return t
}

// job makes the job of a node, all before it having their places.
func (st *sorter) job(i int, place []int) Job {
	n := st.nodes[i]
	job := Job{Unit: n.unit.Name, Kind: n.kind, Anchor: n.anchor}
	for _, j := range st.after[i] {
		job.After = append(job.After, place[j])
	}
	slices.Sort(job.After)
	if n.kind == JobStart {
		job.Needs = append(needs(n.unit), n.unit.Deps[Requisite]...)
	}
	return job
}

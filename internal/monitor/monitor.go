// Package monitor is the live form of a container's properties: what a screen
// of some size shows of its processes, and what keys do to it. It draws lines
// of text and reads no terminal, which is the command's part.
package monitor

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"silo/api"
)

// Smallest screen on which something useful can be shown.
const (
	MinWidth  = 40
	MinHeight = 8
)

// Model is what is looked at, and how.
type Model struct {
	p       api.Properties
	err     string
	percent map[int]float64 // of one processor, by process
	total   float64         // of the container
	last    map[int]sample
	lastAll sample
	sort    int  // column
	up      bool // ascending
	tree    bool
	filter  string
	typing  bool // the filter
	help    bool
	held    bool // the picture stands still
	top     int  // first line shown
}

// sample is processor time at a time.
type sample struct {
	cpu int64
	at  time.Time
}

// column is one of the table.
type column struct {
	title string
	width int // 0: what is left
	right bool
	least int // width of the screen from which on it is shown
	text  func(*Model, *api.ProcessView) string
	less  func(*Model, *api.ProcessView, *api.ProcessView) bool
}

func columns() []column {
	return []column{
		{"OUTSIDE", 8, true, 0, func(_ *Model, p *api.ProcessView) string { return number(p.PID) }, func(_ *Model, a, b *api.ProcessView) bool { return a.PID < b.PID }},
		{"INSIDE", 8, true, 0, func(_ *Model, p *api.ProcessView) string { return number(p.PIDInside) }, func(_ *Model, a, b *api.ProcessView) bool { return a.PIDInside < b.PIDInside }},
		{"SESSION", 8, true, 90, func(_ *Model, p *api.ProcessView) string { return number(int(p.Session)) }, func(_ *Model, a, b *api.ProcessView) bool { return a.Session < b.Session }},
		{"USER", 10, false, 70, func(_ *Model, p *api.ProcessView) string { return user(p) }, func(_ *Model, a, b *api.ProcessView) bool { return user(a) < user(b) }},
		{"ID OUTSIDE", 11, true, 100, func(_ *Model, p *api.ProcessView) string { return fmt.Sprint(p.UID) }, func(_ *Model, a, b *api.ProcessView) bool { return a.UID < b.UID }},
		{"S", 1, false, 60, func(_ *Model, p *api.ProcessView) string { return p.State }, func(_ *Model, a, b *api.ProcessView) bool { return a.State < b.State }},
		{"CPU%", 6, true, 0, func(m *Model, p *api.ProcessView) string { return fmt.Sprintf("%.1f", m.percent[p.PID]) }, func(m *Model, a, b *api.ProcessView) bool { return m.percent[a.PID] < m.percent[b.PID] }},
		{"MEMORY", 8, true, 50, func(_ *Model, p *api.ProcessView) string { return bytes(p.Memory) }, func(_ *Model, a, b *api.ProcessView) bool { return a.Memory < b.Memory }},
		{"NAME", 0, false, 0, name, func(_ *Model, a, b *api.ProcessView) bool { return a.Name < b.Name }},
	}
}

// New looks at a container by processor time, the highest first.
func New() *Model { return &Model{percent: map[int]float64{}, last: map[int]sample{}, sort: 6} }

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func user(p *api.ProcessView) string {
	switch {
	case p.UserInside != "":
		return p.UserInside
	case p.PIDInside != 0:
		return fmt.Sprint(p.UIDInside)
	}
	return "-"
}

func name(_ *Model, p *api.ProcessView) string {
	text := p.Name
	if p.PID == 0 {
		text = p.NameInside
	}
	if p.Executable != "" {
		text += "  " + p.Executable
	}
	if p.Answer == api.Differs {
		text = "! " + text
	}
	return text
}

// bytes writes a size in at most six characters.
func bytes(n int64) string {
	units := "BKMGTP"
	f := float64(n)
	for i := range units {
		if f < 1024 || i == len(units)-1 {
			if i == 0 || f >= 100 {
				return fmt.Sprintf("%.0f%c", f, units[i])
			}
			return fmt.Sprintf("%.1f%c", f, units[i])
		}
		f /= 1024
	}
	return ""
}

// Update takes in a new look. While the picture is held it is passed over.
func (m *Model) Update(p api.Properties) {
	if m.held {
		return
	}
	m.err = ""
	percent, last := map[int]float64{}, map[int]sample{}
	rate := func(now, before sample) float64 {
		if d := now.at.Sub(before.at); d > 0 && now.cpu >= before.cpu && !before.at.IsZero() {
			return float64(now.cpu-before.cpu) * 100 / float64(d.Milliseconds()+1)
		}
		return 0
	}
	for _, x := range p.Processes {
		now := sample{x.CPU, p.At}
		if x.PID != 0 {
			percent[x.PID], last[x.PID] = rate(now, m.last[x.PID]), now
		}
	}
	all := sample{p.Usage.CPU, p.At}
	m.total = rate(all, m.lastAll)
	m.p, m.percent, m.last, m.lastAll = p, percent, last, all
}

// Fail shows why there is no new look.
func (m *Model) Fail(err error) { m.err = err.Error() }

// rows are the processes as they are shown, with how deep each stands in the
// tree.
func (m *Model) rows() (list []*api.ProcessView, depth []int) {
	for i := range m.p.Processes {
		if p := &m.p.Processes[i]; m.shows(p) {
			list = append(list, p)
		}
	}
	col := columns()[m.sort]
	sort.SliceStable(list, func(i, j int) bool {
		if m.up {
			return col.less(m, list[i], list[j])
		}
		return col.less(m, list[j], list[i])
	})
	depth = make([]int, len(list))
	if m.tree {
		return asTree(list)
	}
	return list, depth
}

// shows tells whether a process passes the filter.
func (m *Model) shows(p *api.ProcessView) bool {
	if m.filter == "" {
		return true
	}
	text := strings.ToLower(strings.Join(append([]string{p.Name, p.Executable, user(p), fmt.Sprint(p.PID), fmt.Sprint(p.PIDInside)}, p.Args...), " "))
	return strings.Contains(text, strings.ToLower(m.filter))
}

// asTree puts children behind their parents. One whose parent is not there
// stands at the left.
func asTree(list []*api.ProcessView) (out []*api.ProcessView, depth []int) {
	byPID := map[int]bool{}
	for _, p := range list {
		byPID[p.PID] = p.PID != 0
	}
	children := map[int][]*api.ProcessView{}
	var roots []*api.ProcessView
	for _, p := range list {
		if p.PID != 0 && byPID[p.Parent] && p.Parent != p.PID {
			children[p.Parent] = append(children[p.Parent], p)
		} else {
			roots = append(roots, p)
		}
	}
	seen := map[*api.ProcessView]bool{}
	var add func(*api.ProcessView, int)
	add = func(p *api.ProcessView, d int) {
		if seen[p] {
			return
		}
		seen[p] = true
		out, depth = append(out, p), append(depth, d)
		if p.PID != 0 {
			for _, c := range children[p.PID] {
				add(c, d+1)
			}
		}
	}
	for _, p := range roots {
		add(p, 0)
	}
	for _, p := range list { // a circle, which only a number that was given away anew can make
		add(p, 0)
	}
	return out, depth
}

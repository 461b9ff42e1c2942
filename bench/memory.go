package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// memoryContainers is how many idle containers the memory is measured over.
const memoryContainers = 50

// memory measures what an idle container costs: the growth, from none to
// many, of the proportional set size of the agents, the keeper and silod.
func (b *bench) memory() error {
	n := min(memoryContainers, b.containers)
	if err := b.d.settled(b.ctx, 0, 0); err != nil {
		return err
	}
	none := b.d.memory()
	if err := b.idles(n); err != nil {
		return err
	}
	many := b.d.memory()
	each := float64(many.sum()-none.sum()) / float64(n) / 1024
	b.report.value("memory of an idle container, MB", n, fmt.Sprintf("%.2f", each), "3", each <= 3)
	b.report.note("of it agent %.2f, keeper %.2f, silod %.2f; silod %.1f MB and keeper %.1f MB with none",
		float64(many.agents-none.agents)/float64(n)/1024, float64(many.keeper-none.keeper)/float64(n)/1024,
		float64(many.daemon-none.daemon)/float64(n)/1024, float64(none.daemon)/1024, float64(none.keeper)/1024)
	if b.only == "memory" {
		return b.d.removeAll(b.ctx)
	}
	return nil
}

// use is memory in KiB.
type use struct{ agents, keeper, daemon int }

func (u use) sum() int { return u.agents + u.keeper + u.daemon }

func (d *daemon) memory() use {
	keeper := d.keeper()
	u := use{keeper: pss(keeper), daemon: pss(d.cmd.Process.Pid)}
	for _, pid := range agents(keeper) {
		u.agents += pss(pid)
	}
	return u
}

// pss reads the proportional set size of a process in KiB, 0 if it is gone.
func pss(pid int) int {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	for _, l := range strings.Split(string(data), "\n") {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "Pss:" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// agents lists the keeper's agents: not a child that is the keeper itself still,
// between fork and exec.
func agents(keeper int) []int {
	own, _ := os.ReadFile("/proc/" + strconv.Itoa(keeper) + "/comm")
	return slices.DeleteFunc(children(keeper), func(pid int) bool {
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		return string(comm) == string(own)
	})
}

// children lists the processes whose parent is pid.
func children(pid int) (out []int) {
	tasks, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	for _, t := range tasks {
		data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + t.Name() + "/children")
		for _, f := range strings.Fields(string(data)) {
			n, _ := strconv.Atoi(f)
			out = append(out, n)
		}
	}
	return out
}

package cgroup

import (
	"math"
	"strconv"
	"strings"
)

// Limits are what a group is held to; 0 and "" are no limit.
type Limits struct {
	Memory    int64   // bytes
	CPUs      float64 // processors' worth of time
	CPUSet    string  // the processors it may use, as the kernel decides
	Processes int64
}

// Limits reads them. What this host does not offer is no limit.
func (g *Group) Limits() Limits {
	var l Limits
	if g.bad != nil {
		return l
	}
	limit := func(controller, v2, v1 string) int64 {
		dir, unified, ok := g.dir(controller)
		if !ok {
			return 0
		}
		file := v1
		if unified {
			file = v2
		}
		n, err := readNumber(dir, file)
		if err != nil || n >= math.MaxInt64/2 { // what version 1 writes for none
			return 0
		}
		return int64(n)
	}
	l.Memory = limit("memory", "memory.max", "memory.limit_in_bytes")
	l.Processes = limit("pids", "pids.max", "pids.max")
	if dir, v2, ok := g.dir("cpuset"); ok {
		file := "cpuset.effective_cpus"
		if v2 {
			file = "cpuset.cpus.effective"
		}
		l.CPUSet, _ = readText(dir, file) // a kernel without it: not known
	}
	l.CPUs = g.quota()
	return l
}

// quota is the share of processor time, in processors.
func (g *Group) quota() float64 {
	dir, v2, ok := g.dir("cpu")
	if !ok {
		return 0
	}
	var words []string
	if v2 {
		text, _ := readText(dir, "cpu.max")
		words = strings.Fields(text)
	} else {
		quota, _ := readText(dir, "cpu.cfs_quota_us")
		period, _ := readText(dir, "cpu.cfs_period_us")
		words = []string{quota, period}
	}
	if len(words) != 2 {
		return 0
	}
	q, err1 := strconv.ParseFloat(words[0], 64)
	p, err2 := strconv.ParseFloat(words[1], 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}

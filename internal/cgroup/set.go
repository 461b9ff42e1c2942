package cgroup

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"

	"silo/internal/errs"
)

// Set limits a group that exists. It stops at the first limit that the kernel
// refuses, with its reason and kind; limits of lesser weight that this kernel
// does not know come back as warnings, a line each. Invalid and Conflict mean
// that other values may work, NotSupported that this host cannot.
func (g *Group) Set(r Resources) (warnings []string, err error) {
	if g.bad != nil {
		return nil, g.bad
	}
	if err := r.Validate(g.layout); err != nil {
		return nil, err
	}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	for _, step := range []struct {
		what string
		set  func(Resources, func(string, ...any)) error
	}{
		{"CPU", g.setCPU}, {"cpuset", g.setCpuset}, {"memory", g.setMemory}, {"pids", g.setPids}, {"block I/O", g.setBlkio},
	} {
		if err := step.set(r, warn); err != nil {
			return warnings, fmt.Errorf("limit %s of cgroup %s: %w", step.what, g.path, err)
		}
	}
	return warnings, nil
}

// need gives a controller's folder, or says that the host has none.
func (g *Group) need(controller string) (dir string, v2 bool, err error) {
	dir, v2, ok := g.dir(controller)
	if !ok {
		return "", false, errs.New(errs.NotSupported, "the host has no %s controller: enable it in the kernel (it may need cgroup_enable=%s at boot), or ask for no such limit", controller, controller)
	}
	return dir, v2, nil
}

func (g *Group) setCPU(r Resources, _ func(string, ...any)) error {
	quota, period := r.CPUQuota, r.CPUPeriod
	if r.NanoCPUs > 0 {
		period = stdPeriod
		quota = r.NanoCPUs * stdPeriod / nanoPerCPU
	}
	if quota == 0 && period == 0 && r.CPUShares == 0 {
		return nil
	}
	dir, v2, err := g.need("cpu")
	if err != nil {
		return err
	}
	if r.CPUShares != 0 {
		file, value := "cpu.shares", uint64(r.CPUShares)
		if v2 {
			file, value = "cpu.weight", cgroups.ConvertCPUSharesToCgroupV2Value(value)
		}
		if err := write(dir, file, strconv.FormatUint(value, 10)); err != nil {
			return err
		}
	}
	if quota == 0 && period == 0 {
		return nil
	}
	if v2 {
		return setMaxV2(dir, quota, period)
	}
	return setQuotaV1(dir, quota, period)
}

// setMaxV2 writes cpu.max, "quota period", of which one may stay as it is.
func setMaxV2(dir string, quota, period int64) error {
	q := "max"
	switch {
	case quota > 0:
		q = strconv.FormatInt(quota, 10)
	case quota == 0:
		now, err := readText(dir, "cpu.max")
		if err != nil {
			return err
		}
		if f := strings.Fields(now); len(f) > 0 {
			q = f[0]
		}
	}
	if period != 0 {
		q += " " + strconv.FormatInt(period, 10)
	}
	return write(dir, "cpu.max", q)
}

// setQuotaV1 writes quota and period, which the kernel checks as a pair at
// each write: a smaller ratio than the parent's may be reached in one order
// only, so the other is tried where the first fails.
func setQuotaV1(dir string, quota, period int64) error {
	p, q := strconv.FormatInt(period, 10), strconv.FormatInt(quota, 10)
	switch {
	case quota == 0:
		return write(dir, "cpu.cfs_period_us", p)
	case period == 0:
		return write(dir, "cpu.cfs_quota_us", q)
	}
	if write(dir, "cpu.cfs_period_us", p) == nil {
		return write(dir, "cpu.cfs_quota_us", q)
	}
	if err := write(dir, "cpu.cfs_quota_us", q); err != nil {
		return err
	}
	return write(dir, "cpu.cfs_period_us", p)
}

func (g *Group) setCpuset(r Resources, _ func(string, ...any)) error {
	for _, s := range []struct{ file, value string }{{"cpuset.cpus", r.CpusetCpus}, {"cpuset.mems", r.CpusetMems}} {
		if s.value == "" {
			continue
		}
		dir, _, err := g.need("cpuset")
		if err != nil {
			return err
		}
		if err := write(dir, s.file, s.value); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) setMemory(r Resources, warn func(string, ...any)) error {
	if r.Memory == 0 && r.MemorySwap == 0 && r.MemoryReservation == 0 {
		return nil
	}
	dir, v2, err := g.need("memory")
	if err != nil {
		return err
	}
	swap := r.MemorySwap
	if swap == 0 && r.Memory > 0 {
		swap = 2 * r.Memory
		if swap < 0 {
			swap = -1
		}
	}
	if r.Memory == -1 {
		swap = -1 // a sum of both cannot be less than one of them
	}
	if v2 {
		return setMemoryV2(dir, r, swap, warn)
	}
	return setMemoryV1(dir, r, swap, warn)
}

func setMemoryV1(dir string, r Resources, swap int64, warn func(string, ...any)) error {
	if swap != 0 && !has(dir, "memory.memsw.limit_in_bytes") {
		if r.MemorySwap != 0 {
			warn("memory and swap %d bytes not set: the kernel does not account swap (swapaccount=1 at boot); memory is limited, swap is not", r.MemorySwap)
		}
		swap = 0
	}
	memory := func() error { return writeLimit(dir, "memory.limit_in_bytes", r.Memory, "-1") }
	both := func() error { return writeLimit(dir, "memory.memsw.limit_in_bytes", swap, "-1") }
	// The kernel keeps memory <= memory and swap at every moment.
	first, second := memory, both
	if r.Memory != 0 && swap != 0 {
		now, err := readNumber(dir, "memory.limit_in_bytes")
		if err != nil {
			return err
		}
		if swap == -1 || uint64(swap) > now {
			first, second = both, memory
		}
	}
	for _, set := range []func() error{first, second} {
		if err := set(); err != nil {
			return err
		}
	}
	return writeLimit(dir, "memory.soft_limit_in_bytes", r.MemoryReservation, "-1")
}

func setMemoryV2(dir string, r Resources, swap int64, warn func(string, ...any)) error {
	only := int64(0) // swap without memory
	switch {
	case swap == -1:
		only = -1
	case swap > 0:
		only = swap - r.Memory
	}
	if swap != 0 {
		if !has(dir, "memory.swap.max") {
			if r.MemorySwap != 0 {
				warn("memory and swap %d bytes not set: the kernel does not account swap; memory is limited, swap is not", r.MemorySwap)
			}
		} else if only == 0 {
			if err := write(dir, "memory.swap.max", "0"); err != nil {
				return err
			}
		} else if err := writeLimit(dir, "memory.swap.max", only, "max"); err != nil {
			return err
		}
	}
	if err := writeLimit(dir, "memory.max", r.Memory, "max"); err != nil {
		return err
	}
	if r.MemoryReservation == -1 {
		return write(dir, "memory.low", "0")
	}
	return writeLimit(dir, "memory.low", r.MemoryReservation, "max")
}

// writeLimit writes a number, nothing for 0 and unlimited for -1.
func writeLimit(dir, file string, n int64, unlimited string) error {
	switch n {
	case 0:
		return nil
	case -1:
		return write(dir, file, unlimited)
	}
	return write(dir, file, strconv.FormatInt(n, 10))
}

func (g *Group) setPids(r Resources, _ func(string, ...any)) error {
	if r.PidsLimit == nil {
		return nil
	}
	limit := "max"
	if *r.PidsLimit > 0 {
		limit = strconv.FormatInt(*r.PidsLimit, 10)
	}
	dir, _, err := g.need("pids")
	if err != nil {
		if limit == "max" {
			return nil
		}
		return err
	}
	return write(dir, "pids.max", limit)
}

func (g *Group) setBlkio(r Resources, warn func(string, ...any)) error {
	if r.BlkioWeight == 0 {
		return nil
	}
	weight := strconv.Itoa(int(r.BlkioWeight))
	var files []struct{ dir, file, value string }
	if dir, v2, ok := g.dir("io"); ok && v2 {
		files = append(files,
			struct{ dir, file, value string }{dir, "io.bfq.weight", weight},
			struct{ dir, file, value string }{dir, "io.weight", strconv.FormatUint(cgroups.ConvertBlkIOToIOWeightValue(r.BlkioWeight), 10)})
	}
	if dir, _, ok := g.dir("blkio"); ok {
		files = append(files,
			struct{ dir, file, value string }{dir, "blkio.weight", weight},
			struct{ dir, file, value string }{dir, "blkio.bfq.weight", weight})
	}
	for _, f := range files {
		if has(f.dir, f.file) {
			return write(f.dir, f.file, f.value)
		}
	}
	warn("block I/O weight %d not set: no I/O scheduler of this kernel takes one (BFQ does)", r.BlkioWeight)
	return nil
}

package cgroup

import (
	"fmt"
	"slices"
	"strings"

	"silo/internal/errs"
)

// Resources are limits, with the meaning and the units of Docker's
// HostConfig. What is zero (nil) is left as it is.
type Resources struct {
	Memory            int64 // bytes; -1 is no limit
	MemoryReservation int64 // bytes; what the group keeps when memory is short
	// MemorySwap is memory and swap together, bytes; -1 is no limit. Zero
	// where Memory is given means twice the memory.
	MemorySwap int64

	NanoCPUs  int64 // billionths of a processor
	CPUQuota  int64 // µs of processor time in each period; -1 is no limit
	CPUPeriod int64 // µs, 1000 to 1000000; the kernel's default is 100000
	CPUShares int64 // relative weight, 2 to 262144; 1024 is the default

	CpusetCpus, CpusetMems string // lists, "0-2,5"

	PidsLimit   *int64 // processes and threads; 0 and -1 are no limit
	BlkioWeight uint16 // relative weight, 10 to 1000
}

const (
	// minMemory is Docker's: below it an exec does not fit.
	minMemory  = 6 << 20
	minPeriod  = 1000
	maxPeriod  = 1000000
	minQuota   = 1000
	stdPeriod  = 100000
	minShares  = 2
	maxShares  = 262144
	minWeight  = 10
	maxWeight  = 1000
	nanoPerCPU = 1000000000
)

// Validate checks limits against each other and against the host. Errors are
// of kind Invalid.
func (r Resources) Validate(l Layout) error {
	if err := r.validateMemory(); err != nil {
		return err
	}
	if err := r.validateCPU(len(l.CPUs)); err != nil {
		return err
	}
	if err := validateSet("cpuset CPUs", "processors", r.CpusetCpus, l.CPUs); err != nil {
		return err
	}
	if err := validateSet("cpuset memory nodes", "memory nodes", r.CpusetMems, l.Mems); err != nil {
		return err
	}
	if r.PidsLimit != nil && *r.PidsLimit < -1 {
		return errs.Invalidf("pids limit %d: use a positive number, or -1 for no limit", *r.PidsLimit)
	}
	if r.BlkioWeight != 0 && (r.BlkioWeight < minWeight || r.BlkioWeight > maxWeight) {
		return errs.Invalidf("block I/O weight %d: use %d to %d", r.BlkioWeight, minWeight, maxWeight)
	}
	return nil
}

func (r Resources) validateMemory() error {
	switch {
	case r.Memory < -1, r.MemorySwap < -1, r.MemoryReservation < -1:
		return errs.Invalidf("memory %d, memory and swap %d, reservation %d: use positive numbers, or -1 for no limit", r.Memory, r.MemorySwap, r.MemoryReservation)
	case r.Memory > 0 && r.Memory < minMemory:
		return errs.Invalidf("memory %d bytes: use at least 6 MiB (%d)", r.Memory, minMemory)
	case r.MemorySwap > 0 && r.Memory <= 0:
		return errs.Invalidf("memory and swap %d bytes without a memory limit: give --memory too", r.MemorySwap)
	case r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return errs.Invalidf("memory and swap %d bytes is less than memory %d: it is the sum of both, so use at least as much", r.MemorySwap, r.Memory)
	case r.MemoryReservation > 0 && r.MemoryReservation < minMemory:
		return errs.Invalidf("memory reservation %d bytes: use at least 6 MiB (%d)", r.MemoryReservation, minMemory)
	case r.Memory > 0 && r.MemoryReservation > r.Memory:
		return errs.Invalidf("memory reservation %d bytes is more than memory %d: use at most as much", r.MemoryReservation, r.Memory)
	}
	return nil
}

func (r Resources) validateCPU(host int) error {
	switch {
	case r.NanoCPUs != 0 && (r.CPUQuota != 0 || r.CPUPeriod != 0):
		return errs.Invalidf("CPUs together with a CPU quota or period: both say the same, so use one")
	case r.NanoCPUs < 0, r.NanoCPUs > 0 && r.NanoCPUs < nanoPerCPU/100, r.NanoCPUs > int64(host)*nanoPerCPU:
		return errs.Invalidf("CPUs %s: the host has %d: use 0.01 to %d", decimal(r.NanoCPUs), host, host)
	case r.CPUPeriod != 0 && (r.CPUPeriod < minPeriod || r.CPUPeriod > maxPeriod):
		return errs.Invalidf("CPU period %d µs: use %d to %d", r.CPUPeriod, minPeriod, maxPeriod)
	case r.CPUQuota < -1, r.CPUQuota > -1 && r.CPUQuota != 0 && r.CPUQuota < minQuota:
		return errs.Invalidf("CPU quota %d µs: use at least %d, or -1 for no limit", r.CPUQuota, minQuota)
	case r.CPUShares != 0 && (r.CPUShares < minShares || r.CPUShares > maxShares):
		return errs.Invalidf("CPU shares %d: use %d to %d", r.CPUShares, minShares, maxShares)
	}
	return nil
}

// decimal writes billionths as a person does.
func decimal(nano int64) string {
	s := fmt.Sprintf("%d.%09d", nano/nanoPerCPU, max(nano, -nano)%nanoPerCPU)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func validateSet(name, what, list string, online []int) error {
	if list == "" {
		return nil
	}
	want, err := parseList(list)
	if err != nil {
		return errs.Invalidf("%s: %w", name, err)
	}
	for _, n := range want {
		if !slices.Contains(online, n) {
			return errs.Invalidf("%s %s: the host has no number %d of its %s %s", name, list, n, what, formatList(online))
		}
	}
	return nil
}

// formatList writes numbers as the kernel does.
func formatList(numbers []int) string {
	var b strings.Builder
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, numbers[i])
		if j > i {
			fmt.Fprintf(&b, "-%d", numbers[j])
		}
		i = j + 1
	}
	return b.String()
}

package seccomp

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// call is what the kernel shows a filter of a system call.
type call struct {
	arch uint32
	nr   uint32
	args [6]uint64
}

// run interprets an encoded program: a second opinion on what the kernel will
// do, written against <linux/filter.h> and nothing of the compiler.
func run(program []byte, c call) (uint32, error) {
	var data [64]byte
	binary.LittleEndian.PutUint32(data[0:], c.nr)
	binary.LittleEndian.PutUint32(data[4:], c.arch)
	for i, a := range c.args {
		binary.LittleEndian.PutUint64(data[16+8*i:], a)
	}
	var a, x uint32
	var mem [16]uint32
	n := len(program) / 8
	for pc := 0; pc < n; pc++ {
		ins := program[8*pc:]
		code, jt, jf, k := binary.NativeEndian.Uint16(ins), int(ins[2]), int(ins[3]), binary.NativeEndian.Uint32(ins[4:])
		jump := func(yes bool) {
			if yes {
				pc += jt
			} else {
				pc += jf
			}
		}
		switch code {
		case 0x20: // ld [k]
			if k%4 != 0 || k > 60 {
				return 0, fmt.Errorf("instruction %d: load at %d", pc, k)
			}
			a = binary.LittleEndian.Uint32(data[k:])
		case 0x00: // ld #k
			a = k
		case 0x01: // ldx #k
			x = k
		case 0x60: // ld M[k]
			a = mem[k]
		case 0x61: // ldx M[k]
			x = mem[k]
		case 0x02: // st M[k]
			mem[k] = a
		case 0x03: // stx M[k]
			mem[k] = x
		case 0x07: // tax
			x = a
		case 0x87: // txa
			a = x
		case 0x54: // and #k
			a &= k
		case 0x05: // ja
			pc += int(k)
		case 0x15: // jeq
			jump(a == k)
		case 0x25: // jgt
			jump(a > k)
		case 0x35: // jge
			jump(a >= k)
		case 0x45: // jset
			jump(a&k != 0)
		case 0x06: // ret #k
			return k, nil
		default:
			return 0, fmt.Errorf("instruction %d: code %#x", pc, code)
		}
	}
	return 0, fmt.Errorf("ran off the end")
}

// The profile as a person reads the JSON; nothing of the package is used, so
// that a mistake in one is not repeated in the other.
type (
	plainProfile struct {
		DefaultAction   string      `json:"defaultAction"`
		DefaultErrnoRet *uint32     `json:"defaultErrnoRet"`
		ArchMap         []plainArch `json:"archMap"`
		Architectures   []string    `json:"architectures"`
		Syscalls        []plainRule `json:"syscalls"`
	}
	plainArch struct {
		Architecture     string   `json:"architecture"`
		SubArchitectures []string `json:"subArchitectures"`
	}
	plainRule struct {
		Names    []string   `json:"names"`
		Action   string     `json:"action"`
		ErrnoRet *uint32    `json:"errnoRet,omitempty"`
		Args     []plainArg `json:"args,omitempty"`
		Includes plainWhen  `json:"includes"`
		Excludes plainWhen  `json:"excludes"`
	}
	plainArg struct {
		Index    int    `json:"index"`
		Value    uint64 `json:"value"`
		ValueTwo uint64 `json:"valueTwo"`
		Op       string `json:"op"`
	}
	plainWhen struct {
		Caps      []string `json:"caps,omitempty"`
		Arches    []string `json:"arches,omitempty"`
		MinKernel string   `json:"minKernel,omitempty"`
	}
)

func readPlain(t testing.TB, text []byte) *plainProfile {
	t.Helper()
	var p plainProfile
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

// applies tells whether a rule counts on an amd64 host with these capabilities.
func (r plainRule) applies(t testing.TB, caps []string) bool {
	has := func(c string) bool { return slices.Contains(caps, c) }
	if slices.Contains(r.Excludes.Arches, "amd64") || slices.ContainsFunc(r.Excludes.Caps, has) ||
		(r.Excludes.MinKernel != "" && kernelAtLeast(t, r.Excludes.MinKernel)) {
		return false
	}
	if len(r.Includes.Arches) > 0 && !slices.Contains(r.Includes.Arches, "amd64") {
		return false
	}
	for _, c := range r.Includes.Caps {
		if !has(c) {
			return false
		}
	}
	return r.Includes.MinKernel == "" || kernelAtLeast(t, r.Includes.MinKernel)
}

func kernelAtLeast(t testing.TB, want string) bool {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	two := regexp.MustCompile(`^(\d+)\.(\d+)`)
	have, need := two.FindStringSubmatch(string(release)), two.FindStringSubmatch(want)
	for i := 1; i <= 2; i++ {
		h, _ := strconv.Atoi(have[i])
		n, _ := strconv.Atoi(need[i])
		if h != n {
			return h > n
		}
	}
	return true
}

func plainAnswer(action string, errno *uint32) uint32 {
	e := uint32(1)
	if errno != nil {
		e = *errno
	}
	switch action {
	case "SCMP_ACT_ALLOW":
		return 0x7fff0000
	case "SCMP_ACT_LOG":
		return 0x7ffc0000
	case "SCMP_ACT_TRACE":
		return 0x7ff00000 | e
	case "SCMP_ACT_ERRNO":
		return 0x00050000 | e
	case "SCMP_ACT_TRAP":
		return 0x00030000
	case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD":
		return 0
	case "SCMP_ACT_KILL_PROCESS":
		return 0x80000000
	}
	panic(action)
}

func (a plainArg) holds(c call, narrow bool) bool {
	v, w, w2 := c.args[a.Index], a.Value, a.ValueTwo
	if narrow {
		v = uint64(uint32(v))
	}
	switch a.Op {
	case "SCMP_CMP_EQ":
		return v == w
	case "SCMP_CMP_NE":
		return v != w
	case "SCMP_CMP_LT":
		return v < w
	case "SCMP_CMP_LE":
		return v <= w
	case "SCMP_CMP_GT":
		return v > w
	case "SCMP_CMP_GE":
		return v >= w
	case "SCMP_CMP_MASKED_EQ":
		return v&w == w2&w
	}
	panic(a.Op)
}

func (r plainRule) matches(c call, narrow bool) bool {
	seen := map[int]int{}
	for _, a := range r.Args {
		seen[a.Index]++
	}
	if len(seen) < len(r.Args) { // any will do, as with runc
		return slices.ContainsFunc(r.Args, func(a plainArg) bool { return a.holds(c, narrow) })
	}
	return !slices.ContainsFunc(r.Args, func(a plainArg) bool { return !a.holds(c, narrow) })
}

// expectation judges calls by walking the profile.
type expectation struct {
	fallback uint32
	rules    []plainRule
	numbers  map[uint32]map[string]map[uint32]bool
	compat   bool
	newest   map[uint32]uint32
	stub     bool
	guard    bool // conditions on socket() keep socketcall() from it
}

const (
	archAMD64 = 0xc000003e
	archI386  = 0x40000003
)

func expect(t testing.TB, p *plainProfile, caps []string) *expectation {
	e := &expectation{fallback: plainAnswer(p.DefaultAction, p.DefaultErrnoRet), newest: map[uint32]uint32{}}
	for _, a := range p.ArchMap {
		if a.Architecture == "SCMP_ARCH_X86_64" {
			e.compat = e.compat || slices.Contains(a.SubArchitectures, "SCMP_ARCH_X86")
		}
	}
	e.compat = e.compat || slices.Contains(p.Architectures, "SCMP_ARCH_X86")
	e.numbers = map[uint32]map[string]map[uint32]bool{archAMD64: {}, archI386: {}}
	for _, r := range p.Syscalls {
		if !r.applies(t, caps) || plainAnswer(r.Action, r.ErrnoRet) == e.fallback {
			continue
		}
		e.rules = append(e.rules, r)
		for arch, column := range map[uint32]string{archAMD64: "amd64", archI386: "386"} {
			for _, n := range r.Names {
				if v, ok := calls().number[column][n]; ok {
					e.newest[arch] = max(e.newest[arch], v)
				}
			}
		}
		e.guard = e.guard || (slices.Contains(r.Names, "socket") && len(r.Args) > 0)
	}
	switch e.fallback & 0xffff0000 {
	case 0x00050000:
		e.stub = e.fallback&0xffff != 38
	case 0, 0x00030000, 0x80000000:
		e.stub = true
	}
	return e
}

func (e *expectation) judge(c call) uint32 {
	column, narrow := "amd64", false
	switch {
	case c.arch == archI386 && e.compat:
		column, narrow = "386", true
	case c.arch != archAMD64:
		return 0x80000000
	case c.nr >= 0x40000000:
		return 0x00050000 | 38
	}
	if newest, ok := e.newest[c.arch]; ok && e.stub && c.nr > newest && c.nr < 0xf0000 {
		return 0x00050000 | 38
	}
	if narrow && e.guard && c.nr == 102 && uint32(c.args[0]) == 1 {
		return 0x00050000 | 38
	}
	for _, r := range e.rules {
		for _, n := range r.Names {
			if v, ok := calls().number[column][n]; ok && v == c.nr && r.matches(c, narrow) {
				return plainAnswer(r.Action, r.ErrnoRet)
			}
		}
	}
	return e.fallback
}

// values lists arguments at and around every boundary of a profile's rules.
func (e *expectation) values() []uint64 {
	set := map[uint64]bool{0: true, 1: true, 1 << 31: true, 1<<32 - 1: true, 1 << 32: true, 1<<64 - 1: true}
	for _, r := range e.rules {
		for _, a := range r.Args {
			for _, v := range []uint64{a.Value, a.ValueTwo} {
				for _, d := range []uint64{0, 1, ^uint64(0)} {
					for _, high := range []uint64{0, 1 << 32, 0xffffffff << 32} {
						set[(v+d)^high] = true
					}
				}
				for low := v; low != 0; low &= low - 1 { // each bit of a mask
					set[low&-low] = true
				}
			}
		}
	}
	out := make([]uint64, 0, len(set))
	for v := range set {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

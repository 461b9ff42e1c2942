package seccomp

import (
	_ "embed"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run gen.go syscalls.txt

//go:embed syscalls.txt
var syscallsText string

// callTable knows the system calls by name.
type callTable struct {
	number map[string]map[string]uint32 // architecture (GOARCH) -> name -> number
	known  map[string]bool              // names of any architecture of Linux
}

// calls gives the table of system calls, read at the first use.
var calls = sync.OnceValue(func() callTable {
	t := callTable{number: map[string]map[string]uint32{}, known: map[string]bool{}}
	var columns []string
	for line := range strings.Lines(syscallsText) {
		f := strings.Fields(line)
		if f[0] == "#" {
			if f[1] == "name" {
				columns = slices.Clone(f[2:])
				for _, c := range columns {
					t.number[c] = map[string]uint32{}
				}
			}
			continue
		}
		t.known[f[0]] = true
		for i, c := range columns {
			// "-" is no number: the architecture lacks the call.
			if n, err := strconv.ParseUint(f[i+1], 10, 32); err == nil {
				t.number[c][f[0]] = uint32(n)
			}
		}
	}
	return t
})

// machine is one instruction set whose system calls a filter judges.
type machine struct {
	goarch string // column of the table
	arch   string // as profiles write it
	audit  uint32 // AUDIT_ARCH_…, as the kernel reports it in seccomp_data
	// narrow machines pass arguments in 32-bit registers: what the upper half
	// of an argument holds is not what the call will see, so it is not judged.
	narrow bool
}

// host describes the machines this program can filter: the native one and the
// one it runs in compatibility mode. x32 counts as native to the kernel, with
// a bit set in the number; it is never allowed.
func host() (native, compat machine) {
	switch runtime.GOARCH {
	case "arm64":
		return machine{goarch: "arm64", arch: "SCMP_ARCH_AARCH64", audit: 0xc00000b7},
			machine{goarch: "arm", arch: "SCMP_ARCH_ARM", audit: 0x40000028, narrow: true}
	default: // amd64: the compiler builds for no other
		return machine{goarch: "amd64", arch: "SCMP_ARCH_X86_64", audit: 0xc000003e},
			machine{goarch: "386", arch: "SCMP_ARCH_X86", audit: 0x40000003, narrow: true}
	}
}

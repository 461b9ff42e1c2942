// Package seccomp compiles profiles, in the JSON that Docker takes, into the
// programs that seccomp(2) takes. The default profile is Moby's.
//
// The rules of a profile are read from the top and the first that matches a
// call decides; where none does, the default action. Calls for the machine's
// 32-bit mode (i386, 32-bit ARM) are judged by the same rules if the profile
// names it, else the process is killed; x32 calls always get ENOSYS.
//
// The package only writes programs. The one who installs them does it in the
// process to be confined, by internal/linux.
package seccomp

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Filter is a program ready to be installed.
type Filter struct {
	// Program is an array of struct sock_filter, 8 bytes each, in the byte
	// order of this machine; at most 4096 of them (BPF_MAXINSNS).
	Program []byte
	// Flags are for seccomp(2): SECCOMP_FILTER_FLAG_LOG and _SPEC_ALLOW.
	Flags uint32
	// Ignored names the system calls of the profile that this machine does
	// not have.
	Ignored []string
}

// Compile translates a profile, nil for Moby's default, for a process with
// the capabilities caps ("CAP_SYS_ADMIN" …). It takes tens of milliseconds;
// Cache keeps the result. A profile that cannot be used is of kind Invalid,
// one that needs a listener NotSupported.
func Compile(profileJSON []byte, caps []string) (Filter, error) {
	p, err := resolve(profileJSON, caps)
	if err != nil {
		return Filter{}, err
	}
	program, err := assemble(p)
	if err != nil {
		return Filter{}, err
	}
	return Filter{Program: encode(program), Flags: p.flags, Ignored: p.ignored}, nil
}

// relevantCaps lists, sorted, the capabilities that the rules of a profile
// ask about: others make no difference to its filter.
func relevantCaps(profileJSON []byte) ([]string, error) {
	p, err := parse(profileJSON)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range p.Syscalls {
		if c == nil {
			continue // resolve refuses it
		}
		if c.Includes != nil {
			out = append(out, c.Includes.Caps...)
		}
		if c.Excludes != nil {
			out = append(out, c.Excludes.Caps...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// text gives a profile's JSON, also of the default.
func text(profileJSON []byte) ([]byte, error) {
	if profileJSON != nil {
		return profileJSON, nil
	}
	p, err := parse(nil)
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("seccomp default profile: %w", err)
	}
	return out, nil
}

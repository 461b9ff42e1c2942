package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"silo/internal/errs"
)

// Answers of a filter, from <linux/seccomp.h>; the low 16 bits carry data.
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000
)

const (
	eperm  = 1
	enosys = 38
	// maxErrno is the greatest error number the kernel gives (MAX_ERRNO).
	maxErrno = 4095
)

// condition compares one argument of a call; see specs.LinuxSeccompArg.
type condition struct {
	index           uint
	value, valueTwo uint64
	op              specs.LinuxSeccompOperator
}

// rule is one answer for some calls. All conditions of one alternative must
// hold; no alternatives means always.
type rule struct {
	names        []string
	alternatives [][]condition
	answer       uint32
}

// policy is a profile resolved for one set of capabilities and this host.
type policy struct {
	fallback uint32 // answer where no rule matches
	rules    []rule // the first that matches decides
	compat   bool   // the profile names the compatibility machine too
	flags    uint32 // for seccomp(2)
	ignored  []string
	stub     bool // calls newer than every rule get ENOSYS
}

// parse reads a profile; nil is Moby's default.
func parse(profileJSON []byte) (*moby.Seccomp, error) {
	if profileJSON == nil {
		return moby.DefaultProfile(), nil
	}
	var p moby.Seccomp
	if err := json.Unmarshal(profileJSON, &p); err != nil {
		return nil, errs.Invalidf("seccomp profile: %s: correct the JSON, or use unconfined", describe(profileJSON, err))
	}
	if p.DefaultAction == "" {
		return nil, errs.Invalidf(`seccomp profile: no "defaultAction": give one, as SCMP_ACT_ERRNO, or use unconfined`)
	}
	return &p, nil
}

// describe says where in a JSON text an error is.
func describe(text []byte, err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at := min(int(syntax.Offset), len(text))
		return fmt.Sprintf("line %d: %v", 1+strings.Count(string(text[:at]), "\n"), syntax)
	case errors.As(err, &kind):
		at := min(int(kind.Offset), len(text))
		return fmt.Sprintf("line %d: %s cannot be a %s", 1+strings.Count(string(text[:at]), "\n"), kind.Field, kind.Value)
	}
	return err.Error()
}

// resolve drops the rules that caps, this kernel and this machine exclude and
// turns the rest into answers. Errors are of kind Invalid or NotSupported.
func resolve(profileJSON []byte, caps []string) (*policy, error) {
	p, err := parse(profileJSON)
	if err != nil {
		return nil, err
	}
	for _, c := range p.Syscalls {
		if c == nil {
			return nil, errs.Invalidf("seccomp profile: a rule is null: remove it")
		}
	}
	text, err := json.Marshal(p) // as parsed, so that both profiles take one way
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	spec, err := moby.LoadProfile(string(text), &specs.Spec{Process: &specs.Process{
		Capabilities: &specs.LinuxCapabilities{Bounding: caps},
	}})
	if err != nil {
		return nil, errs.Invalidf("seccomp profile: %v", err)
	}
	return translate(spec)
}

// translate turns a profile in the runtime specification's form into answers.
func translate(spec *specs.LinuxSeccomp) (*policy, error) {
	out := &policy{}
	var err error
	if out.flags, err = installFlags(spec.Flags); err != nil {
		return nil, err
	}
	if spec.ListenerPath != "" {
		return nil, errs.New(errs.NotSupported, "seccomp profile: listenerPath %s: Silo runs no seccomp listener: remove it", spec.ListenerPath)
	}
	if out.fallback, err = answer(spec.DefaultAction, spec.DefaultErrnoRet); err != nil {
		return nil, fmt.Errorf("seccomp profile: defaultAction: %w", err)
	}
	_, compat := host()
	for _, a := range spec.Architectures {
		if !strings.HasPrefix(string(a), "SCMP_ARCH_") {
			return nil, errs.Invalidf("seccomp profile: architecture %q: write SCMP_ARCH_ and a name, as SCMP_ARCH_X86_64", string(a))
		}
		out.compat = out.compat || string(a) == compat.arch
	}
	known := calls().known
	for _, s := range spec.Syscalls {
		r := rule{}
		for _, n := range s.Names {
			if !known[n] {
				return nil, errs.Invalidf("seccomp profile: system call %q: no architecture of Linux has one of that name: check the spelling", n)
			}
			if !slices.Contains(r.names, n) {
				r.names = append(r.names, n)
			}
		}
		if r.answer, err = answer(s.Action, s.ErrnoRet); err != nil {
			return nil, fmt.Errorf("seccomp profile: rule for %s: %w", strings.Join(s.Names, " "), err)
		}
		if r.alternatives, err = alternatives(s.Args); err != nil {
			return nil, fmt.Errorf("seccomp profile: rule for %s: %w", strings.Join(s.Names, " "), err)
		}
		// runc skips rules that only repeat the default action; so do we, that
		// a profile means the same here.
		if r.answer != out.fallback && len(r.names) > 0 {
			out.rules = append(out.rules, r)
		}
	}
	out.ignored = absent(out)
	out.stub = wantsStub(out.fallback)
	return out, nil
}

// alternatives orders the conditions of a rule as runc does: all of them must
// hold, but if two look at the same argument, any of them will do.
func alternatives(args []specs.LinuxSeccompArg) ([][]condition, error) {
	var all []condition
	seen := map[uint]bool{}
	repeated := false
	for _, a := range args {
		if a.Index > 5 {
			return nil, errs.Invalidf("argument %d: a system call has arguments 0 to 5", a.Index)
		}
		switch a.Op {
		case specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual,
			specs.OpGreaterThan, specs.OpGreaterEqual, specs.OpMaskedEqual:
		default:
			return nil, errs.Invalidf("comparison %q: write SCMP_CMP_ and one of EQ NE LT LE GE GT MASKED_EQ", string(a.Op))
		}
		repeated = repeated || seen[a.Index]
		seen[a.Index] = true
		all = append(all, condition{index: a.Index, value: a.Value, valueTwo: a.ValueTwo, op: a.Op})
	}
	if !repeated {
		if all == nil {
			return nil, nil
		}
		return [][]condition{all}, nil
	}
	out := make([][]condition, 0, len(all))
	for _, c := range all {
		out = append(out, []condition{c})
	}
	return out, nil
}

// answer gives the value a filter returns for an action.
func answer(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint32(eperm)
	if errno != nil {
		if *errno > maxErrno {
			return 0, errs.Invalidf("errnoRet %d: an error number is at most %d", *errno, maxErrno)
		}
		data = uint32(*errno)
	}
	switch action {
	case specs.ActAllow:
		return retAllow, nil
	case specs.ActErrno:
		return retErrno | data, nil
	case specs.ActKill, specs.ActKillThread:
		return retKillThread, nil
	case specs.ActKillProcess:
		return retKillProcess, nil
	case specs.ActTrap:
		return retTrap, nil
	case specs.ActTrace:
		return retTrace | data, nil
	case specs.ActLog:
		return retLog, nil
	case specs.ActNotify:
		return 0, errs.New(errs.NotSupported, "action %s: Silo runs no seccomp listener: use another action", action)
	}
	return 0, errs.Invalidf("action %q: write SCMP_ACT_ and one of ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD TRAP TRACE LOG", string(action))
}

// Flags of seccomp(2), from <linux/seccomp.h>.
const (
	flagLog       = 1 << 1
	flagSpecAllow = 1 << 2
)

// installFlags translates a profile's flags. Without any, the cost of
// speculation barriers is not paid, as with runc.
func installFlags(flags []specs.LinuxSeccompFlag) (uint32, error) {
	if flags == nil {
		return flagSpecAllow, nil
	}
	var out uint32
	for _, f := range flags {
		switch f {
		case specs.LinuxSeccompFlagLog:
			out |= flagLog
		case specs.LinuxSeccompFlagSpecAllow:
			out |= flagSpecAllow
		case "SECCOMP_FILTER_FLAG_TSYNC":
			// The filter is set while the process has one thread.
		case specs.LinuxSeccompFlagWaitKillableRecv:
			return 0, errs.New(errs.NotSupported, "seccomp profile: flag %s: it needs a seccomp listener, which Silo does not run: remove it", f)
		default:
			return 0, errs.Invalidf("seccomp profile: flag %q: known are SECCOMP_FILTER_FLAG_LOG, _SPEC_ALLOW and _TSYNC", string(f))
		}
	}
	return out, nil
}

// absent lists the names in rules that neither machine has.
func absent(p *policy) []string {
	native, compat := host()
	var out []string
	for _, r := range p.rules {
		for _, n := range r.names {
			_, here := calls().number[native.goarch][n]
			_, there := calls().number[compat.goarch][n]
			if !here && !(p.compat && there) && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out
}

// wantsStub tells whether calls newer than the profile should look absent
// (ENOSYS) rather than forbidden, so that libraries fall back to older ones.
// runc does this for every default but those that let the call happen.
func wantsStub(fallback uint32) bool {
	switch fallback & 0xffff0000 {
	case retAllow, retLog, retTrace:
		return false
	}
	return fallback != retErrno|enosys
}

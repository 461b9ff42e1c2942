package seccomp

import (
	"encoding/binary"
	"fmt"

	"gvisor.dev/gvisor/pkg/bpf"
	compiler "gvisor.dev/gvisor/pkg/seccomp"

	"github.com/opencontainers/runtime-spec/specs-go"

	"silo/internal/errs"
)

// Offsets in struct seccomp_data (<linux/seccomp.h>), little endian.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16 // six of 8 bytes, the low half first
)

const (
	// x32Bit marks a call by the x32 ABI (__X32_SYSCALL_BIT).
	x32Bit = 0x40000000
	// privateCalls is where machines keep calls of their own; they are no
	// sign of a newer kernel.
	privateCalls = 0xf0000
)

// maxConditions keeps the compiler, whose time grows with the square of them,
// from work whose result the kernel would refuse: a condition takes at least
// two instructions.
const maxConditions = bpf.MaxInstructions / 2

// weight counts the comparisons that rules make.
func weight(rules []rule) (n int) {
	for _, r := range rules {
		for _, all := range r.alternatives {
			n += len(r.names) * len(all)
		}
	}
	return n
}

// assemble joins the programs of both machines:
//
//	load arch; is it compat?  -> compat's part
//	           is it native?  -> native's part, else kill the process
//	part:  x32 bit set                  -> ENOSYS
//	       number above all of profile  -> ENOSYS (if the policy wants it)
//	       the compiler's program
func assemble(p *policy) ([]bpf.Instruction, error) {
	if n := weight(p.rules); n > maxConditions {
		return nil, errs.Invalidf("seccomp profile: its rules compare %d arguments and no more than %d fit a filter: use fewer", n, maxConditions)
	}
	native, compat := host()
	first, err := part(p, native)
	if err != nil {
		return nil, err
	}
	var second []bpf.Instruction
	if p.compat {
		if second, err = part(p, compat); err != nil {
			return nil, err
		}
	}
	out := []bpf.Instruction{bpf.Stmt(bpf.Ld|bpf.Abs|bpf.W, offsetArch)}
	if second != nil {
		// The jump is relative to the one after it and crosses the two
		// instructions of the native check.
		out = append(out,
			bpf.Jump(bpf.Jmp|bpf.Jeq|bpf.K, compat.audit, 0, 1),
			bpf.Stmt(bpf.Jmp|bpf.Ja, uint32(2+len(first))))
	}
	out = append(out,
		bpf.Jump(bpf.Jmp|bpf.Jeq|bpf.K, native.audit, 1, 0),
		bpf.Stmt(bpf.Ret|bpf.K, retKillProcess))
	out = append(append(out, first...), second...)
	if len(out) > bpf.MaxInstructions {
		return nil, errs.Invalidf("seccomp profile: it takes %d instructions and the kernel allows %d: use fewer rules", len(out), bpf.MaxInstructions)
	}
	return out, nil
}

// part compiles the policy for one machine.
func part(p *policy, m machine) ([]bpf.Instruction, error) {
	numbers := calls().number[m.goarch]
	rules := p.rules
	if m.narrow {
		rules = guardSocketcall(rules)
	}
	out := []bpf.Instruction{bpf.Stmt(bpf.Ld|bpf.Abs|bpf.W, offsetNumber)}
	if !m.narrow && m.goarch == "amd64" {
		out = append(out,
			bpf.Jump(bpf.Jmp|bpf.Jge|bpf.K, x32Bit, 0, 1),
			bpf.Stmt(bpf.Ret|bpf.K, retErrno|enosys))
	}
	if last, any := newest(rules, numbers); p.stub && any {
		out = append(out,
			bpf.Jump(bpf.Jmp|bpf.Jge|bpf.K, privateCalls, 2, 0),
			bpf.Jump(bpf.Jmp|bpf.Jgt|bpf.K, last, 0, 1),
			bpf.Stmt(bpf.Ret|bpf.K, retErrno|enosys))
	}
	body, err := compile(p.fallback, rules, numbers)
	if err != nil {
		return nil, err
	}
	if m.narrow {
		if err := narrow(body, m); err != nil {
			return nil, err
		}
	}
	return append(out, body...), nil
}

// newest gives the greatest number any rule names.
func newest(rules []rule, numbers map[string]uint32) (last uint32, any bool) {
	for _, r := range rules {
		for _, name := range r.names {
			if n, ok := numbers[name]; ok && n < privateCalls {
				last, any = max(last, n), true
			}
		}
	}
	return last, any
}

// guardSocketcall keeps 32-bit programs from making by socketcall(2) the
// sockets that the profile's conditions on socket(2) refuse: what socketcall
// is asked for lies in memory, where a filter cannot look. Where there are
// such conditions its socket() answers ENOSYS; socket(2) itself exists on all
// machines since Linux 4.3 and is judged as usual.
func guardSocketcall(rules []rule) []rule {
	for _, r := range rules {
		for _, n := range r.names {
			if n == "socket" && len(r.alternatives) > 0 {
				guard := rule{names: []string{"socketcall"}, answer: retErrno | enosys, alternatives: [][]condition{
					{{index: 0, value: 1, op: specs.OpEqualTo}}, // SYS_SOCKET of <linux/net.h>
				}}
				return append([]rule{guard}, rules...)
			}
		}
	}
	return rules
}

// compile runs gVisor's compiler. It knows neither LOG nor all the errors and
// data a profile may ask for, so each answer is given to it as a trace code,
// the index in a table, and put in its place in the finished program.
func compile(fallback uint32, rules []rule, numbers map[string]uint32) (out []bpf.Instruction, err error) {
	defer func() { // the compiler panics where it finds itself wrong
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("compile seccomp profile: %v", r)
		}
	}()
	answers := []uint32{fallback}
	index := map[uint32]uint16{fallback: 0}
	action := func(answer uint32) compiler.Action {
		i, ok := index[answer]
		if !ok {
			i = uint16(len(answers))
			index[answer] = i
			answers = append(answers, answer)
		}
		return compiler.Trace.Code(i)
	}
	program := compiler.Program{Options: compiler.ProgramOptions{
		DefaultAction: action(fallback),
		BadArchAction: action(retKillProcess),
	}}
	for _, r := range rules {
		set := map[uintptr]compiler.SyscallRule{}
		for _, name := range r.names {
			if n, ok := numbers[name]; ok {
				set[uintptr(n)] = match(r.alternatives)
			}
		}
		if len(set) > 0 {
			program.RuleSets = append(program.RuleSets, compiler.RuleSet{
				Rules: compiler.MakeSyscallRules(set), Action: action(r.answer),
			})
		}
	}
	out, _, err = program.Build()
	if err != nil {
		return nil, fmt.Errorf("compile seccomp profile: %w", err)
	}
	for i, ins := range out {
		if !ins.IsReturn() {
			continue
		}
		code := ins.K & 0xffff
		if ins.OpCode != bpf.Ret|bpf.K || ins.K&0xffff0000 != retTrace || int(code) >= len(answers) {
			return nil, fmt.Errorf("compile seccomp profile: instruction %d returns %#x, which no rule gave", i, ins.K)
		}
		out[i].K = answers[code]
	}
	return out, nil
}

// match writes a rule's conditions in the compiler's terms.
func match(alternatives [][]condition) compiler.SyscallRule {
	if len(alternatives) == 0 {
		return compiler.MatchAll{}
	}
	var or compiler.Or
	for _, all := range alternatives {
		var args compiler.PerArg
		for i := range args {
			args[i] = compiler.AnyValue{}
		}
		for _, c := range all {
			args[c.index] = matchValue(c)
		}
		or = append(or, args)
	}
	return or
}

func matchValue(c condition) compiler.ValueMatcher {
	v := uintptr(c.value)
	switch c.op {
	case specs.OpNotEqual:
		return compiler.NotEqual(v)
	case specs.OpLessThan:
		return compiler.LessThan(v)
	case specs.OpLessEqual:
		return compiler.LessThanOrEqual(v)
	case specs.OpGreaterThan:
		return compiler.GreaterThan(v)
	case specs.OpGreaterEqual:
		return compiler.GreaterThanOrEqual(v)
	case specs.OpMaskedEqual:
		// What lies outside the mask cannot be asked for: libseccomp drops it.
		return compiler.MaskedEqual(v, uintptr(c.valueTwo)&v)
	default: // OpEqualTo: translate lets no other through
		return compiler.EqualTo(v)
	}
}

// narrow makes a compiled program, which the compiler always writes for the
// native machine, one for m: it checks for m's architecture and takes the
// upper half of every argument for zero, since 64-bit code can put anything
// there on its way through the 32-bit entry and the call would not see it.
func narrow(program []bpf.Instruction, m machine) error {
	if len(program) < 2 || program[0].OpCode != bpf.Ld|bpf.Abs|bpf.W || program[0].K != offsetArch ||
		program[1].OpCode != bpf.Jmp|bpf.Jeq|bpf.K || program[1].K != compiler.LINUX_AUDIT_ARCH {
		return fmt.Errorf("compile seccomp profile: the program does not begin with a check of the architecture")
	}
	program[1].K = m.audit
	for i, ins := range program {
		if ins.OpCode == bpf.Ld|bpf.Abs|bpf.W && ins.K >= offsetArgs && (ins.K-offsetArgs)%8 == 4 {
			program[i] = bpf.Stmt(bpf.Ld|bpf.Imm|bpf.W, 0)
		}
	}
	return nil
}

// encode writes a program as the kernel reads it: struct sock_filter.
func encode(program []bpf.Instruction) []byte {
	out := make([]byte, 0, 8*len(program))
	for _, ins := range program {
		out = binary.NativeEndian.AppendUint16(out, ins.OpCode)
		out = append(out, ins.JumpIfTrue, ins.JumpIfFalse)
		out = binary.NativeEndian.AppendUint32(out, ins.K)
	}
	return out
}

package seccomp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	moby "github.com/moby/profiles/seccomp"

	"silo/internal/errs"
	"silo/internal/testenv"
)

func needAMD64(t testing.TB) {
	t.Helper()
	testenv.NeedArch(t, "amd64")
}

func defaultText(t testing.TB) []byte {
	t.Helper()
	out, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// dockerCaps is Docker's default set.
var dockerCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

func compareWith(t *testing.T, profile []byte, caps []string, filter Filter, r *rand.Rand, perCall int) {
	t.Helper()
	e := expect(t, readPlain(t, profile), caps)
	values := e.values()
	check := func(c call) {
		got, err := run(filter.Program, c)
		if err != nil {
			t.Fatalf("call %+v: %v", c, err)
		}
		if want := e.judge(c); got != want {
			t.Fatalf("arch %#x nr %d args %#x: filter says %#x, profile says %#x\ncaps %v\n%s", c.arch, c.nr, c.args, got, want, caps, profile)
		}
	}
	numbers := []uint32{0x3fffffff, 0x40000000, 0x40000000 + 41, 0xf0000, 0xf0001, 0xefff, 0xfffffffe, 0xffffffff}
	for n := range uint32(600) {
		numbers = append(numbers, n)
	}
	asked := map[uint32]bool{} // calls a rule names with conditions
	for _, rule := range e.rules {
		for _, n := range rule.Names {
			if len(rule.Args) > 0 {
				asked[calls().number["amd64"][n]] = true
				asked[calls().number["386"][n]] = true
			}
		}
	}
	for _, arch := range []uint32{archAMD64, archI386, 0xc00000b7, 0x40000028, 0} {
		for _, nr := range numbers {
			check(call{arch: arch, nr: nr})
			times := perCall
			if asked[nr] || nr == 102 {
				times *= 20
				for _, v := range values {
					for i := range 6 {
						c := call{arch: arch, nr: nr}
						c.args[i] = v
						check(c)
					}
				}
			}
			for range times {
				c := call{arch: arch, nr: nr}
				for i := range c.args {
					if c.args[i] = values[r.IntN(len(values))]; r.IntN(4) == 0 {
						c.args[i] = r.Uint64()
					}
				}
				check(c)
			}
		}
	}
}

func TestDefaultProfileAgreesWithItsText(t *testing.T) {
	needAMD64(t)
	all := []string{
		"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_MODULE", "CAP_SYS_BOOT", "CAP_SYS_TIME",
		"CAP_SYS_NICE", "CAP_SYSLOG", "CAP_SYS_RAWIO", "CAP_SYS_PACCT", "CAP_SYS_TTY_CONFIG", "CAP_DAC_READ_SEARCH", "CAP_SYS_CHROOT",
	}
	sets := map[string][]string{
		"none": nil, "docker": dockerCaps, "admin": append(slices.Clone(dockerCaps), "CAP_SYS_ADMIN"),
		"ptrace": {"CAP_SYS_PTRACE", "CAP_SYS_NICE"}, "bpf": {"CAP_BPF"}, "all": all,
	}
	for name, caps := range sets {
		t.Run(name, func(t *testing.T) {
			f, err := Compile(nil, caps)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(f.Program) / 8; n > 1000 {
				t.Errorf("%d instructions; the default profile took 500 when this was written", n)
			}
			compareWith(t, defaultText(t), caps, f, rand.New(rand.NewPCG(1, 2)), 4)
		})
	}
}

func TestRandomProfilesAgreeWithTheirText(t *testing.T) {
	needAMD64(t)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for i := range rounds {
		text := randomProfile(r)
		f, err := Compile(text, dockerCaps)
		if err != nil {
			t.Fatalf("seed %d round %d: %v\n%s", seed, i, err, text)
		}
		t.Logf("seed %d round %d: %d instructions", seed, i, len(f.Program)/8)
		compareWith(t, text, dockerCaps, f, r, 1)
	}
}

func randomProfile(r *rand.Rand) []byte {
	pick := func(s []string) string { return s[r.IntN(len(s))] }
	names := []string{
		"read", "socket", "personality", "clone", "kill", "ioctl", "prctl", "mmap", "mmap2", "socketcall", "openat2",
		"futex", "riscv_flush_icache", "stat64", "listmount", "bpf", "newfstatat",
	}
	actions := []string{
		"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
		"SCMP_ACT_TRAP", "SCMP_ACT_TRACE", "SCMP_ACT_LOG",
	}
	ops := []string{"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"}
	edges := []uint64{0, 1, 2, 8, 38, 0x20000, 0x7e020000, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, 0xffffffff00000000, 1<<63 - 1, 1<<64 - 1}
	value := func() uint64 {
		if r.IntN(4) == 0 {
			return r.Uint64() >> r.IntN(64)
		}
		return edges[r.IntN(len(edges))]
	}
	errno := func() *uint32 {
		if r.IntN(2) == 0 {
			return nil
		}
		e := []uint32{0, 1, 22, 38, 4095}[r.IntN(5)]
		return &e
	}
	p := plainProfile{DefaultAction: pick(actions), DefaultErrnoRet: errno()}
	switch r.IntN(3) {
	case 0:
		p.ArchMap = []plainArch{{"SCMP_ARCH_X86_64", []string{"SCMP_ARCH_X86", "SCMP_ARCH_X32"}}}
	case 1:
		p.Architectures = []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}
	}
	for range 1 + r.IntN(12) {
		rule := plainRule{Action: pick(actions), ErrnoRet: errno()}
		for range 1 + r.IntN(3) {
			rule.Names = append(rule.Names, pick(names))
		}
		for range r.IntN(4) {
			rule.Args = append(rule.Args, plainArg{Index: r.IntN(6), Value: value(), ValueTwo: value(), Op: pick(ops)})
		}
		switch r.IntN(8) {
		case 0:
			rule.Includes.Caps = []string{pick([]string{"CAP_KILL", "CAP_SYS_ADMIN"})}
		case 1:
			rule.Excludes.Caps = []string{pick([]string{"CAP_KILL", "CAP_SYS_ADMIN"})}
		case 2:
			rule.Includes.Arches = []string{pick([]string{"amd64", "arm64"})}
		case 3:
			rule.Excludes.MinKernel = pick([]string{"3.1", "99.0"})
		}
		p.Syscalls = append(p.Syscalls, rule)
	}
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return text
}

func TestBadProfiles(t *testing.T) {
	rule := func(s string) string { return `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[` + s + `]}` }
	for name, tc := range map[string]struct {
		text, want string
		kind       errs.Kind
	}{
		"empty":        {"", "line 1", errs.Invalid},
		"syntax":       {"{\n\"defaultAction\": }", "line 2", errs.Invalid},
		"type":         {`{"defaultAction": 3}`, "defaultAction", errs.Invalid},
		"no default":   {`{}`, "defaultAction", errs.Invalid},
		"null rule":    {rule("null"), "null", errs.Invalid},
		"default":      {`{"defaultAction":"SCMP_ACT_MAYBE"}`, "SCMP_ACT_MAYBE", errs.Invalid},
		"action":       {rule(`{"names":["read"],"action":"ALLOW"}`), `"ALLOW"`, errs.Invalid},
		"no action":    {rule(`{"names":["read"]}`), `action ""`, errs.Invalid},
		"notify":       {rule(`{"names":["read"],"action":"SCMP_ACT_NOTIFY"}`), "listener", errs.NotSupported},
		"listener":     {`{"defaultAction":"SCMP_ACT_ERRNO","listenerPath":"/x"}`, "/x", errs.NotSupported},
		"name":         {rule(`{"names":["raed"],"action":"SCMP_ACT_ALLOW"}`), `"raed"`, errs.Invalid},
		"both names":   {rule(`{"name":"read","names":["read"],"action":"SCMP_ACT_ALLOW"}`), "name", errs.Invalid},
		"argument":     {rule(`{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":6,"op":"SCMP_CMP_EQ"}]}`), "argument 6", errs.Invalid},
		"comparison":   {rule(`{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"op":"EQ"}]}`), `"EQ"`, errs.Invalid},
		"errno":        {rule(`{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":70000}`), "70000", errs.Invalid},
		"flag":         {`{"defaultAction":"SCMP_ACT_ERRNO","flags":["FAST"]}`, `"FAST"`, errs.Invalid},
		"killable":     {`{"defaultAction":"SCMP_ACT_ERRNO","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}`, "listener", errs.NotSupported},
		"architecture": {`{"defaultAction":"SCMP_ACT_ERRNO","architectures":["x86"]}`, `"x86"`, errs.Invalid},
		"kernel":       {rule(`{"names":["read"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"new"}}`), "kernel", errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile([]byte(tc.text), nil)
			if err == nil || errs.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v (kind %d), want one line of kind %d with %q", err, errs.KindOf(err), tc.kind, tc.want)
			}
			if _, err := NewCache("").Get([]byte(tc.text), nil); errs.KindOf(err) != tc.kind {
				t.Errorf("cache: %v", err)
			}
		})
	}
}

func TestTooManyRules(t *testing.T) {
	for name, tc := range map[string]struct {
		rules int
		names []string
		want  string
	}{
		"conditions":   {3000, []string{"ioctl"}, "compare 6000 arguments"},
		"names":        {700, []string{"ioctl", "fcntl"}, "compare 2800 arguments"},
		"instructions": {400, []string{"ioctl"}, "the kernel allows 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			p := plainProfile{DefaultAction: "SCMP_ACT_ERRNO", Architectures: []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}}
			for i := range uint64(tc.rules) {
				p.Syscalls = append(p.Syscalls, plainRule{
					Names: tc.names, Action: "SCMP_ACT_ALLOW",
					Args: []plainArg{{Index: 1, Op: "SCMP_CMP_GT", Value: i << 33}, {Index: 2, Op: "SCMP_CMP_LT", Value: i * 7}},
				})
			}
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Compile(text, nil); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A profile may name calls of other machines; Docker's does.
func TestIgnoredNames(t *testing.T) {
	f, err := Compile(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	needAMD64(t)
	want := []string{"recv", "riscv_hwprobe", "send"}
	if !slices.Equal(f.Ignored, want) {
		t.Errorf("the default profile has calls that neither amd64 nor i386 know: %v, want %v", f.Ignored, want)
	}
	if f.Flags != flagSpecAllow {
		t.Errorf("flags %#x", f.Flags)
	}
}

func TestFlags(t *testing.T) {
	f, err := Compile([]byte(`{"defaultAction":"SCMP_ACT_LOG","flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_TSYNC"]}`), nil)
	if err != nil || f.Flags != flagLog {
		t.Errorf("flags %#x, %v", f.Flags, err)
	}
}

func TestCache(t *testing.T) {
	dir := t.TempDir()
	c := NewCache(dir)
	if err := c.Warm(dockerCaps, []string{"CAP_SYS_ADMIN"}); err != nil {
		t.Fatal(err)
	}
	want, err := Compile(nil, dockerCaps)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(dir + "/*.json")
	if len(files) != 2 {
		t.Fatalf("files %v", files)
	}
	// A capability that no rule asks about makes no difference.
	got, err := c.Default(append([]string{"CAP_WAKE_ALARM"}, dockerCaps...))
	if err != nil || !bytes.Equal(got.Program, want.Program) {
		t.Fatalf("differs from what Compile gives: %v", err)
	}
	if after, _ := filepath.Glob(dir + "/*.json"); len(after) != 2 {
		t.Errorf("files %v", after)
	}
	// Another process finds what is there, and makes anew what is damaged.
	for _, damage := range []string{"", "{", `{"format":1,"sha256":"","Filter":{}}`} {
		for _, f := range files {
			if err := os.WriteFile(f, []byte(damage), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err = NewCache(dir).Default(dockerCaps); err != nil || !bytes.Equal(got.Program, want.Program) {
			t.Fatalf("after damage %q: %v", damage, err)
		}
	}
	if _, ok := readStored(files[0]); !ok {
		if _, ok = readStored(files[1]); !ok {
			t.Fatal("was not repaired")
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { c.Default(dockerCaps) }); allocs > 10 {
		t.Errorf("a remembered filter costs %v allocations", allocs)
	}
}

// The table is what gen.go makes of the x/sys that go.mod names.
func TestTableIsCurrent(t *testing.T) {
	testenv.NeedCommand(t, "go", "golang")
	out := filepath.Join(t.TempDir(), "syscalls.txt")
	if text, err := exec.Command("go", "run", "gen.go", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	now, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if string(now) != syscallsText {
		t.Error("syscalls.txt is not current: run go generate ./internal/sandbox/seccomp")
	}
}

func ExampleCompile() {
	f, err := Compile([]byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO"}]}`), nil)
	fmt.Println(len(f.Program)%8, len(f.Program) > 0, err)
	// Output: 0 true <nil>
}

// A profile comes from a user: whatever it is, it compiles to a program that
// ends, or is refused for a reason of the user's.
func FuzzCompile(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		f.Add(randomProfile(r))
	}
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","archMap":null,"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":""}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if text == nil {
			return
		}
		filter, err := Compile(text, dockerCaps)
		if err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.NotSupported {
				t.Fatalf("kind %d: %v", k, err)
			}
			return
		}
		if n := len(filter.Program) / 8; n > 4096 {
			t.Fatalf("%d instructions", n)
		}
		for nr := range uint32(500) {
			if _, err := run(filter.Program, call{arch: archAMD64, nr: nr, args: [6]uint64{uint64(nr) << 30, 1}}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

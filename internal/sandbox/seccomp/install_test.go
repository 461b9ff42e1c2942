package seccomp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"silo/internal/linux"
	"silo/internal/testenv"
)

const childEnv = "SILO_TEST_SECCOMP_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		os.Exit(0)
	}
	testenv.Main(m)
}

// probe is a call that a confined process makes. Pointers are nil: a call that
// is let through fails by itself, with an error that says so.
type probe struct {
	Name string
	NR   uintptr
	Args [6]uintptr
	Want string // errors it may end with; "ok" is none
}

// order is what the parent sends the child.
type order struct {
	Filter Filter
	Probes []probe
	Exec   string // program to become after the probes
}

// child confines itself and reports each probe's error number on stdout.
func child() {
	runtime.LockOSThread()
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		fatal(err)
	}
	if err := linux.SetNoNewPrivs(); err != nil {
		fatal(err)
	}
	if err := linux.SetSeccomp(o.Filter.Program, o.Filter.Flags); err != nil {
		fatal(err)
	}
	results := make([]uintptr, len(o.Probes))
	for i, p := range o.Probes {
		_, _, e := syscall.RawSyscall6(p.NR, p.Args[0], p.Args[1], p.Args[2], p.Args[3], p.Args[4], p.Args[5])
		results[i] = uintptr(e)
	}
	if o.Exec != "" {
		fatal(syscall.Exec(o.Exec, []string{o.Exec}, nil))
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

// confined runs an order in a child and gives what it wrote and how it ended.
func confined(t *testing.T, o order) ([]byte, *os.ProcessState) {
	t.Helper()
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stdin = bytes.NewReader(in)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(problems.String(), "\n"); first != "" {
		t.Logf("child: %s", first)
	}
	return out.Bytes(), cmd.ProcessState
}

// probes gives the calls of the default profile's promises. fatal are those
// whose refusal must be the filter's: a EPERM of the kernel itself would do
// for a user without rights, so they are also made unconfined.
func probes() []probe {
	n := func(name string) uintptr { return uintptr(calls().number["amd64"][name]) }
	deny := func(name string, args ...uintptr) probe { return make6(name, n(name), "EPERM", args) }
	pass := func(want, name string, args ...uintptr) probe { return make6(name, n(name), want, args) }
	const newUser, newNS, badFD = 0x10000000, 0x20000, ^uintptr(0)
	list := []probe{
		deny("unshare", newUser), deny("setns", badFD), deny("mount"), deny("umount2"), deny("pivot_root"), deny("move_mount", badFD),
		deny("open_tree", badFD), deny("fsopen"), deny("fsmount", badFD), deny("mount_setattr", badFD),
		deny("keyctl", 0), deny("add_key"), deny("request_key"), deny("bpf", ^uintptr(0)), deny("perf_event_open"), deny("userfaultfd", badFD),
		deny("kexec_load", 0, 99), deny("kexec_file_load", badFD), deny("init_module"), deny("finit_module", badFD), deny("delete_module"),
		deny("reboot"), deny("swapon"), deny("swapoff"), deny("acct", 1), deny("settimeofday", 1), deny("open_by_handle_at", badFD),
		deny("lookup_dcookie", 0), deny("quotactl", ^uintptr(0)), deny("nfsservctl", 0), deny("vhangup"), deny("sethostname", 1, 1<<20), deny("syslog", 99),
		deny("clone", newUser), deny("clone", newNS), deny("clone", newUser|17),
		make6("clone3", n("clone3"), "ENOSYS", nil),
		deny("socket", 38, 5), deny("socket", 40, 1), deny("socket", 1<<32|38, 5), deny("socket", 46, 1),
		pass("ok EAFNOSUPPORT", "socket", 1, 1), pass("ok EAFNOSUPPORT", "socket", 39, 1), pass("ok EAFNOSUPPORT EPROTONOSUPPORT", "socket", 16, 3),
		pass("EPERM EFAULT ESRCH EIO", "ptrace", 16, ^uintptr(0)), pass("ok", "getpid"), pass("ESRCH", "kill", 1<<30, 0),
		pass("EFAULT ENOENT EINVAL", "openat2", badFD), pass("EBADF", "close", badFD), pass("EBADF", "read", badFD),
		// Newer than the profile, and another ABI: absent, not forbidden.
		make6("call 700", 700, "ENOSYS", nil), make6("x32 getpid", x32Bit|39, "ENOSYS", nil), make6("x32 ptrace", x32Bit|521, "ENOSYS", nil),
	}
	for _, v := range []uintptr{0, 8, 0x20000, 0x20008, 0xffffffff} {
		list = append(list, pass("ok", "personality", v))
	}
	for _, v := range []uintptr{1, 0x27, 0x64, 0x40000, 0x20009, 0x40000000, 0xfffffffe, 1<<32 | 8, 1 << 33} {
		list = append(list, deny("personality", v))
	}
	return list
}

func make6(name string, nr uintptr, want string, args []uintptr) probe {
	p := probe{Name: name, NR: nr, Want: want}
	copy(p.Args[:], args)
	return p
}

var errnoNames = map[syscall.Errno]string{
	0: "ok", syscall.EPERM: "EPERM", syscall.ENOSYS: "ENOSYS", syscall.EFAULT: "EFAULT", syscall.ENOENT: "ENOENT",
	syscall.ESRCH: "ESRCH", syscall.EIO: "EIO", syscall.EBADF: "EBADF", syscall.EINVAL: "EINVAL", syscall.EAFNOSUPPORT: "EAFNOSUPPORT",
	syscall.EPROTONOSUPPORT: "EPROTONOSUPPORT",
}

func TestKernelEnforcesTheDefaultProfile(t *testing.T) {
	needAMD64(t)
	f, err := Compile(nil, dockerCaps)
	if err != nil {
		t.Fatal(err)
	}
	list := probes()
	out, state := confined(t, order{Filter: f, Probes: list})
	if !state.Success() {
		t.Fatalf("the confined process ended with %v", state)
	}
	var got []syscall.Errno
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(list) {
		t.Fatalf("%d answers to %d probes: %v", len(got), len(list), err)
	}
	for i, p := range list {
		name, ok := errnoNames[got[i]]
		if !ok {
			name = got[i].Error()
		}
		if !strings.Contains(" "+p.Want+" ", " "+name+" ") {
			t.Errorf("%s(%#x): %s, want %s", p.Name, p.Args, name, p.Want)
		}
	}
}

// Actions that end a process do, and the others do not. KILL_THREAD is left to
// the comparison above: the Go runtime would wait for its thread for ever.
func TestKernelEnforcesActions(t *testing.T) {
	needAMD64(t)
	for action, want := range map[string]string{
		"SCMP_ACT_KILL_PROCESS": "signal: bad system call", "SCMP_ACT_LOG": "exit status 0", "SCMP_ACT_ERRNO": "exit status 0",
		"SCMP_ACT_TRAP": "exit status 2", "SCMP_ACT_TRACE": "exit status 0",
	} {
		t.Run(action, func(t *testing.T) {
			f, err := Compile([]byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["acct"],"action":"`+action+`","errnoRet":7}]}`), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, state := confined(t, order{Filter: f, Probes: []probe{{NR: syscall.SYS_ACCT, Args: [6]uintptr{1}}}})
			if !strings.HasPrefix(state.String(), want) {
				t.Errorf("ended with %v, want %s", state, want)
			}
		})
	}
}

// i386 is a static 32-bit program that makes one system call and exits with
// its error number. Code and ELF header are written out here since no
// compiler for it can be relied on.
func i386(t *testing.T, nr uint32, args ...uint32) string {
	t.Helper()
	args = append(args, 0, 0, 0)
	var code []byte
	set := func(op byte, v uint32) { code = binary.LittleEndian.AppendUint32(append(code, op), v) }
	set(0xb8, nr)                                           // mov eax
	set(0xbb, args[0])                                      // mov ebx
	set(0xb9, args[1])                                      // mov ecx
	set(0xba, args[2])                                      // mov edx
	code = append(code, 0xcd, 0x80)                         // int 0x80
	code = append(code, 0x31, 0xdb, 0x85, 0xc0, 0x79, 0x04) // xor ebx,ebx; test eax,eax; jns +4
	code = append(code, 0x89, 0xc3, 0xf7, 0xdb)             // mov ebx,eax; neg ebx
	code = append(code, 0xb8, 1, 0, 0, 0, 0xcd, 0x80)       // mov eax,1; int 0x80
	const base, header = 0x08048000, 52 + 32
	h := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	le := binary.LittleEndian
	h = le.AppendUint16(h, 2) // ET_EXEC
	h = le.AppendUint16(h, 3) // EM_386
	for _, v := range []uint32{1, base + header, 52, 0, 0} {
		h = le.AppendUint32(h, v)
	}
	for _, v := range []uint16{52, 32, 1, 0, 0, 0} {
		h = le.AppendUint16(h, v)
	}
	size := uint32(header + len(code))
	for _, v := range []uint32{1, 0, base, base, size, size, 5, 0x1000} { // PT_LOAD, r-x
		h = le.AppendUint32(h, v)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("call%d", nr))
	if err := os.WriteFile(path, append(h, code...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKernelJudgesI386(t *testing.T) {
	needAMD64(t)
	err := exec.Command(i386(t, 20)).Run()
	testenv.NeedProgram(t, err, "32-bit programs")
	f, err := Compile(nil, dockerCaps)
	if err != nil {
		t.Fatal(err)
	}
	n := calls().number["386"]
	for _, tc := range []struct {
		name string
		args []uint32
		want string
	}{
		{"getpid", nil, "exit status 0"},
		{"personality", []uint32{8}, "exit status 0"},
		{"personality", []uint32{0x27}, "exit status 1"},
		{"socket", []uint32{1, 1}, "exit status 0"},
		{"socket", []uint32{38, 5}, "exit status 1"},
		{"socketcall", []uint32{1}, "exit status 38"},
		{"socketcall", []uint32{2}, "exit status 14"}, // bind: let through, no memory there
		{"unshare", []uint32{0x10000000}, "exit status 1"},
		{"clone3", nil, "exit status 38"},
		{"mount", nil, "exit status 1"},
	} {
		_, state := confined(t, order{Filter: f, Exec: i386(t, n[tc.name], tc.args...)})
		if state.String() != tc.want {
			t.Errorf("%s(%#x): %v, want %s", tc.name, tc.args, state, tc.want)
		}
	}
	// A profile that does not name the architecture does not run its programs.
	if f, err = Compile([]byte(`{"defaultAction":"SCMP_ACT_ALLOW"}`), nil); err != nil {
		t.Fatal(err)
	}
	if _, state := confined(t, order{Filter: f, Exec: i386(t, 20)}); state.String() != "signal: bad system call" {
		t.Errorf("a machine the profile does not name: %v", state)
	}
}

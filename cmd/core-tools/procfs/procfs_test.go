package procfs

import (
	"net/netip"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"coretools.silo/treetest"
)

func record(t *testing.T, files map[string]string) Root {
	t.Helper()
	return Root(treetest.Lay(t, files))
}

const statTail = " S 10 20 20 0 -1 4194304 242 0 0 0 150 50 0 0 20 0 4 0 90283 1258164224 824 18446744073709551615 1 1 0 0 0 0 0 2 0 0 0 0 17 0 0 0 0 0 0\n"

func TestProcesses(t *testing.T) {
	page := int64(os.Getpagesize())
	r := record(t, map[string]string{
		"proc/stat":           "cpu  1 2 3 400 5\ncpu0 1 2 3 200 5\ncpu1 0 0 0 200 0\nbtime 1700000000\n",
		"proc/20/stat":        "20 (a) b) (c)" + statTail,
		"proc/20/status":      "Name:\tx\nUid:\t1\t500\t1\t1\n",
		"proc/20/sessionid":   "1192",
		"proc/20/cmdline":     "sh\x00-c\x00x y\x00",
		"proc/20/exe":         "->/bin/sh",
		"proc/20/fd/0":        "->/dev/null",
		"proc/20/fd/3":        "->socket:[77]",
		"proc/20/comm":        "evil\xff\x1b[0m\n",
		"proc/7/stat":         "7 (k)" + statTail, // everything else vanished
		"proc/8/stat":         "",
		"proc/9/stat":         "9 (short) S 1\n",
		"proc/10/stat":        "no parentheses at all",
		"proc/11/sessionid":   "1192", // stat vanished
		"proc/self/sessionid": "4294967295",
		"proc/0/stat":         "0 (zero)" + statTail,
	})
	all, err := r.Processes()
	if err != nil {
		t.Fatal(err)
	}
	want := []Process{
		{PID: 7, PPID: 10, Name: "k", State: "S", Session: -1, UID: -1, Handles: -1, Threads: 4, CPU: 2 * time.Second, Started: 902830 * time.Millisecond, Virtual: 1258164224, Resident: 824 * page},
		{PID: 20, PPID: 10, Name: "a) b) (c", State: "S", Session: 1192, UID: 500, Handles: 2, Threads: 4, CPU: 2 * time.Second, Started: 902830 * time.Millisecond, Virtual: 1258164224, Resident: 824 * page, Args: "sh -c x y", Path: "/bin/sh"},
	}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("got  %+v\nwant %+v", all, want)
	}
	if n := r.Session(); n != 0 {
		t.Errorf("a process without a session is in %d, want the system's", n)
	}
	if o := r.Owners(); !reflect.DeepEqual(o, map[uint64]Owner{77: {20, "evil\xff\x1b[0m"}}) {
		t.Errorf("owners: %+v", o)
	}
	if b := r.Boot(); b.Unix() != 1700000000 {
		t.Errorf("boot: %v", b)
	}
}

func TestNoProc(t *testing.T) {
	if _, err := Root(t.TempDir()).Processes(); err == nil || !strings.HasPrefix(err.Error(), "list processes: open ") {
		t.Errorf("no /proc: %v", err)
	}
	r := record(t, map[string]string{"proc/.keep": ""})
	if _, err := r.Processes(); err == nil || !strings.Contains(err.Error(), "not mounted") {
		t.Errorf("empty /proc: %v", err)
	}
	if parts := r.KernelParts(func(int) bool { return true }); len(parts) != 0 {
		t.Errorf("parts of a kernel that nothing tells of: %+v", parts)
	}
	if !r.Boot().IsZero() || r.Session() != -1 || len(r.Routes()) != 0 || len(r.Owners()) != 0 || r.Memory() != (Memory{-1, -1, -1, -1}) {
		t.Error("something was told without a source")
	}
}

// The kernel's part is listed as far as there is evidence of it.
func TestKernelParts(t *testing.T) {
	stat := "cpu  1 2 3 400 5\ncpu0 1 2 3 200 5\ncpu1 0 0 0 200 0\n"
	host := record(t, map[string]string{"proc/stat": stat, "proc/self/ns/pid": "->pid:[4026531836]"})
	own := record(t, map[string]string{"proc/stat": stat, "proc/self/ns/pid": "->pid:[4026532999]"})
	seen := record(t, map[string]string{"proc/stat": stat, "proc/self/ns/pid": "->pid:[4026531836]", "proc/2/stat": "2 (kthreadd)" + statTail})
	yes, no := func(pid int) bool { return pid == 2 }, func(int) bool { return false }
	idle := Process{Name: "[idle]", State: "R", Threads: 2, CPU: 4 * time.Second, Handles: -1, Kernel: true, Resident: -1, Virtual: -1}
	threads := Process{PID: 2, Name: "[kthreadd]", Handles: -1, Kernel: true, CPU: -1, Resident: -1, Virtual: -1}
	for _, c := range []struct {
		name  string
		root  Root
		alive func(int) bool
		want  []Process
	}{
		{"host's numbers", host, yes, []Process{idle, threads}},
		{"number not taken", host, no, []Process{idle}},
		{"own numbers", own, yes, []Process{idle}},
		{"in /proc anyway", seen, yes, []Process{idle}},
	} {
		if got := c.root.KernelParts(c.alive); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestSockets(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	r := record(t, map[string]string{
		"proc/net/tcp": head + "   0: 0100007F:0087 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65530        0 77 1 0 0\n" +
			"garbage\n   1: nonsense:0087 00000000:0000 0A 0:0 0:0 0 0 0 5\n   2: 0100007F:FFFFF 00000000:0000 0A 0:0 0:0 0 0 0 5\n",
		"proc/net/tcp6": head + "   0: 0000000000000000FFFF00000100007F:0016 00000000000000000000000001000000:1F90 01 0:0 0:0 0 x 0 y 1\n",
		"proc/net/udp":  head + "   0: 00000000:0035 00000000:0000 07 0:0 0:0 0 0 0 9 1\n",
	})
	got, err := r.Sockets("tcp", "tcp6", "udp", "udp6")
	if err != nil {
		t.Fatal(err)
	}
	want := []Socket{
		{"tcp", netip.MustParseAddrPort("127.0.0.1:135"), netip.MustParseAddrPort("0.0.0.0:0"), "LISTEN", 65530, 77},
		{"tcp6", netip.MustParseAddrPort("[::ffff:127.0.0.1]:22"), netip.MustParseAddrPort("[::1]:8080"), "ESTABLISHED", -1, 0},
		{"udp", netip.MustParseAddrPort("0.0.0.0:53"), netip.MustParseAddrPort("0.0.0.0:0"), "", 0, 9},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !got[0].Listens() || got[1].Listens() || !got[2].Listens() {
		t.Error("wrong about who listens")
	}
}

func TestRoutes(t *testing.T) {
	r := record(t, map[string]string{
		"proc/net/route": "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
			"eth0\t00000000\t0100610A\t0003\t0\t0\t7\t00000000\t0\t0\t0\n" +
			"eth0\t0000610A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0\n" +
			"*\t0000610A\t00000000\t0201\t0\t0\t0\t00F0FFFF\t0\t0\t0\nbad\tline\n",
		"proc/net/ipv6_route": "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n" +
			"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n" +
			"00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000001 00000000 80200001       lo\n" +
			"fd000000000000000000000000000000 FF 00 00 00000000000000000000000000000000 0 0 0 1 eth0\n",
	})
	want := []Route{
		{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.97.0.1"), "eth0", 7},
		{netip.MustParsePrefix("10.97.0.0/20"), netip.Addr{}, "eth0", 0},
		{netip.MustParsePrefix("fd00::/64"), netip.Addr{}, "eth0", 256},
		{netip.MustParsePrefix("::/0"), netip.MustParseAddr("fd00::1"), "eth0", 1024},
	}
	if got := r.Routes(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSystem(t *testing.T) {
	none := func(string) string { return "" }
	r := record(t, map[string]string{
		"usr/lib/os-release":          "NAME=\"Debian\"\n# x\nbad\nPRETTY_NAME='Debian 12'\n=x\n",
		"etc/default/locale":          "LANG=de_DE.UTF-8\n",
		"etc/localtime":               "->/usr/share/zoneinfo/Europe/Berlin",
		"proc/cpuinfo":                "processor : 0\nmodel name : A\n\nprocessor : 1\nmodel name : A\n\nprocessor : 2\nmodel name : B\n",
		"proc/meminfo":                "MemTotal:  1000 kB\nMemAvailable: 500 kB\nSwapTotal: x kB\n",
		"sys/class/dmi/id/sys_vendor": "Maker Inc.\n",
		"sys/fs/cgroup/memory.max":    "268435456\n",
		"sys/fs/cgroup/cpu.max":       "50000 100000\n",
		"sys/fs/cgroup/pids.max":      "max\n",
		"proc/self/status":            "CapEff:\t0000000000000003\n",
		"etc/resolv.conf":             "# c\nnameserver 10.0.0.1\nnameserver\nsearch a b\nnameserver 10.0.0.2\n",
	})
	if v := r.OSRelease(); v["NAME"] != "Debian" || v["PRETTY_NAME"] != "Debian 12" || len(v) != 2 {
		t.Errorf("os-release: %q", v)
	}
	if v := r.Locale(none); v != "de_DE.UTF-8" {
		t.Errorf("locale %q", v)
	}
	if v := r.Locale(func(n string) string { return map[string]string{"LANG": "C"}[n] }); v != "C" {
		t.Errorf("locale of the environment %q", v)
	}
	if v := r.Zone(none); v != "Europe/Berlin" {
		t.Errorf("zone %q", v)
	}
	if v := r.Processors(); !reflect.DeepEqual(v, []Processor{{"A", 2}, {"B", 1}}) {
		t.Errorf("processors %+v", v)
	}
	if v := r.Memory(); v != (Memory{1000 << 10, 500 << 10, -1, -1}) {
		t.Errorf("memory %+v", v)
	}
	if v := r.Firmware(); v.Maker != "Maker Inc." || v.Vendor != "" {
		t.Errorf("firmware %+v", v)
	}
	if v := r.Limits(); v != (Limits{Memory: 256 << 20, Swap: -1, CPUs: 0.5, Processes: -1}) {
		t.Errorf("limits %+v", v)
	}
	if v := r.Capabilities(); !reflect.DeepEqual(v, []string{"chown", "dac_override"}) {
		t.Errorf("capabilities %q", v)
	}
	if v := r.Resolver(); !reflect.DeepEqual(v, Resolver{[]string{"10.0.0.1", "10.0.0.2"}, []string{"a", "b"}}) {
		t.Errorf("resolver %+v", v)
	}
	one := record(t, map[string]string{
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         "150000\n",
		"sys/fs/cgroup/cpu/cpu.cfs_period_us":        "100000\n",
		"sys/fs/cgroup/pids/pids.max":                "64\n",
	})
	if v := one.Limits(); v != (Limits{Memory: -1, Swap: -1, CPUs: 1.5, Processes: 64}) {
		t.Errorf("limits of version 1 %+v", v)
	}
}

// A pipe where a file is expected must not hold anybody up.
func TestReadNoFile(t *testing.T) {
	r := Root(t.TempDir())
	if err := syscall.Mkfifo(string(r)+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/pipe", "/", "/none"} {
		if _, err := r.Read(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}

func TestUndelivered(t *testing.T) {
	r := record(t, map[string]string{
		"/proc/self/status":        "Name:\tsh\nState:\tS (sleeping)\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000004000\nSigBlk:\t0\n",
		"/proc/self/task/7/status": "Name:\tsh\nState:\tR (running)\nSigPnd:\t4000000000000000\nShdPnd:\t0000000000004000\n",
		"/proc/self/task/8/status": "Name:\tR\nState:\tS (sleeping)\nSigPnd:\t0000000000000000\n",
	})
	if got := r.Undelivered(); got != 1<<14 {
		t.Errorf("%x waits for the process, want %x", got, 1<<14)
	}
	if got := r.Threads(); !reflect.DeepEqual(got, []int{7, 8}) {
		t.Errorf("threads %v, want 7 and 8", got)
	}
	for tid, want := range map[int]struct {
		sleeps bool
		mask   uint64
	}{7: {false, 1 << 62}, 8: {true, 0}, 9: {true, 0}} {
		if sleeps, mask := r.Thread(tid); sleeps != want.sleeps || mask != want.mask {
			t.Errorf("thread %d: %v and %x, want %+v", tid, sleeps, mask, want)
		}
	}
}

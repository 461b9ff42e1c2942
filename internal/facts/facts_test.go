package facts

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"silo/internal/linux"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 0 && os.Args[0] == ReaderName { // executed as the agent does it
		os.Exit(Main(os.Stdout))
	}
	testenv.Main(m)
}

// TestReader: what the reader prints is taken, and is what this process sees.
func TestReader(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Args, c.Env = []string{ReaderName}, []string{"LANG=tlh_QX", "TZ=Mars/Phobos"}
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	if f.System.Hostname != host || f.System.Language != "tlh_QX" || f.System.TimeZone != "Mars/Phobos" || f.System.Boot == 0 || f.System.Memory == 0 || f.System.Processors == 0 {
		t.Errorf("system: %+v, want host name %q, the language and zone given", f.System, host)
	}
	i := slices.IndexFunc(f.Processes, func(p Process) bool { return p.PID == os.Getpid() })
	if i < 0 {
		t.Fatalf("process %d is not listed", os.Getpid())
	}
	if p := f.Processes[i]; p.Executable != self || p.Parent != os.Getppid() || p.UID != uint32(os.Getuid()) || p.Threads < 1 || p.Memory == 0 {
		t.Errorf("this process is %+v", p)
	}
	if slices.ContainsFunc(f.Processes, func(p Process) bool { return p.PID == f.Self }) {
		t.Error("the reader lists itself")
	}
	if len(f.Network.Links) == 0 || f.Disk.Size == 0 || f.Limits.Usable == 0 || f.Limits.UserIDs == "" {
		t.Errorf("links %v, disk %+v, limits %+v", f.Network.Links, f.Disk, f.Limits)
	}
}

// TestParseRefuses: the inside may be anybody.
func TestParseRefuses(t *testing.T) {
	valid := func(change func(*Facts)) string {
		f := Facts{Version: Version, Processes: []Process{{PID: 1, Name: "init"}}}
		change(&f)
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if _, err := Parse(strings.NewReader(valid(func(*Facts) {}))); err != nil {
		t.Fatalf("a document as the reader writes it: %v", err)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"no JSON":           "<html>",
		"unknown field":     `{"Version":1,"Root":true}`,
		"two documents":     valid(func(*Facts) {}) + "{}",
		"another version":   valid(func(f *Facts) { f.Version++ }),
		"escape":            valid(func(f *Facts) { f.Processes[0].Name = "a\x1b[2Jb" }),
		"right to left":     valid(func(f *Facts) { f.System.OS = "a\u202eb" }),
		"newline":           valid(func(f *Facts) { f.Users = []User{{Name: "a\nb"}} }),
		"a process twice":   valid(func(f *Facts) { f.Processes = append(f.Processes, f.Processes[0]) }),
		"process 0":         valid(func(f *Facts) { f.Processes[0].PID = 0 }),
		"many processes":    valid(func(f *Facts) { f.Processes = make([]Process, MaxProcesses+1) }),
		"a long text":       valid(func(f *Facts) { f.System.OS = strings.Repeat("x", 5*MaxText) }),
		"negative size":     valid(func(f *Facts) { f.Disk.Size = -1 }),
		"endless":           strings.Repeat(" ", MaxDocument+1),
		"cut short":         valid(func(*Facts) {})[:40],
		"number for a text": `{"Version":1,"System":{"OS":3}}`,
	} {
		if _, err := Parse(strings.NewReader(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Version":1,"Processes":[{"PID":7,"Name":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, p := range got.Processes {
			if Text(p.Name) != p.Name {
				t.Errorf("name %q is not fit for display", p.Name)
			}
		}
	})
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":              "",
		"plain text":    "plain text",
		"grün":          "grün",
		"a\xffb":        `a\xffb`,
		"tab\tesc\x1b[": `tab\x09esc\x1b[`,
		"a\u202eb":      `a\u{202e}b`,
		"\ufffd":        "\ufffd",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) is %q, want %q", in, got, want)
		} else if again := Text(got); again != got {
			t.Errorf("Text(%q) is %q when done twice", in, again)
		}
	}
}

// TestProcess reads a folder that stands in for /proc, with a name that is
// meant to confuse.
func TestProcess(t *testing.T) {
	proc := t.TempDir()
	dir := filepath.Join(proc, "42")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("stat", "42 (a) S 1 (\xff) R 7 42 42 34816 42 4194304 100 0 0 0 150 50 0 0 20 0 3 0 12345 1000000 25 18446744073709551615\n")
	write("status", "Name:\ta\nUid:\t100000\t100000\t100000\t100000\nGid:\t100001\t0\t0\t0\nNSpid:\t42\t1\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\nNoNewPrivs:\t1\n")
	write("sessionid", "2847")
	write("cmdline", "sh\x00-c\x00sleep 1\x00")
	if err := os.Symlink("/bin/box (deleted)", filepath.Join(dir, "exe")); err != nil {
		t.Fatal(err)
	}
	list, truncated := Processes(proc, nil)
	want := []Process{{
		PID: 42, Parent: 7, Inner: 1, Session: 2847, Name: `a) S 1 (\xff`, Args: []string{"sh", "-c", "sleep 1"}, Executable: "/bin/box (deleted)",
		UID: 100000, GID: 100001, State: "R", Threads: 3, Memory: int64(25 * os.Getpagesize()), CPU: 2000, Start: 12345, Terminal: true,
		CapBounding: "00000000a80425fb", Seccomp: "2", NoNewPrivs: "1",
	}}
	if d := cmp.Diff(want, list); d != "" || truncated {
		t.Errorf("processes (-want +got), truncated %v:\n%s", truncated, d)
	}
	if _, ok := ReadProcess(proc, 43); ok {
		t.Error("a process that is not there was read")
	}
	write("stat", "7 (other) R")
	if _, ok := ReadProcess(proc, 42); ok {
		t.Error("an entry that tells of another process was read")
	}
}

// TestRoot: files of an image are hostile.
func TestRoot(t *testing.T) {
	root := t.TempDir()
	etc := filepath.Join(root, "etc")
	for _, dir := range []string{etc, filepath.Join(root, "usr/lib")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/passwd", "root:x:0:0::/root:/bin/sh\n# no line\nbroken\nbig:x:99999999999:0:::\n\xff:x:7:7::/:/x\n:x:1:1:::\n")
	write("usr/lib/os-release", "NAME='Small Linux'\nVERSION=\"9 (nine)\"\nVERSION_ID=9.1\n")
	write("etc/resolv.conf", "nameserver 10.0.0.1\nsearch x\nnameserver fe80::1\n")
	if err := os.Symlink("/usr/share/zoneinfo/Europe/Vienna", filepath.Join(etc, "localtime")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../../../etc/hostname", filepath.Join(etc, "hostname")); err != nil {
		t.Fatal(err)
	}
	dir, err := linux.Open(root, linux.OPath|linux.ODirectory, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var f Facts
	f.ReadRoot(RootAt(dir), []string{"LANG=C.UTF-8"})
	want := Facts{
		System:  System{OS: "Small Linux", Release: "9.1", Language: "C.UTF-8", TimeZone: "Europe/Vienna"},
		Network: Network{Nameservers: []string{"10.0.0.1", "fe80::1"}},
		Users:   []User{{Name: "root", Home: "/root", Shell: "/bin/sh"}, {Name: `\xff`, UID: 7, GID: 7, Home: "/", Shell: "/x"}},
	}
	got := f
	got.Problems = nil
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if f.Problems["hostname-file"] == "" { // a link in a circle within the root
		t.Errorf("problems: %v", f.Problems)
	}
}

// TestRootWithoutFiles: an image may have nothing at all, or no files where
// files should be.
func TestRootWithoutFiles(t *testing.T) {
	root := t.TempDir()
	dir, err := linux.Open(root, linux.OPath|linux.ODirectory, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var f Facts
	f.ReadRoot(RootAt(dir), nil)
	if len(f.Problems) > 0 || f.System.TimeZone != "UTC" || len(f.Users) > 0 {
		t.Errorf("an empty image: %+v", f)
	}
	if err := os.MkdirAll(filepath.Join(root, "etc/passwd"), 0o755); err != nil {
		t.Fatal(err)
	}
	f = Facts{}
	f.ReadRoot(RootAt(dir), nil)
	if !strings.Contains(f.Problems["users"], "not a regular file") {
		t.Errorf("a folder as passwd: %v", f.Problems)
	}
}

func TestPorts(t *testing.T) {
	dir := t.TempDir()
	head := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for name, text := range map[string]string{
		"tcp": head + "   0: 0100007F:0087 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 x\n" +
			"   1: 0100007F:0088 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 78 1 x\n",
		"tcp6": head + "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 79 1 x\nbroken\n",
		"udp":  head + "   0: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 80 1 x\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "9/fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[79]", filepath.Join(dir, "9/fd/3")); err != nil {
		t.Fatal(err)
	}
	want := []Port{
		{Protocol: "tcp", Address: "127.0.0.1", Port: 135, UID: 1000},
		{Protocol: "tcp6", Address: "::", Port: 80, PID: 9},
		{Protocol: "udp", Address: "0.0.0.0", Port: 53},
	}
	// What the kernel counts and lists decides whether the files are read.
	listener := linux.TCPListener{Address: make([]byte, 16), Port: 81, Inode: 79}
	other := []Port{want[0], {Protocol: "tcp6", Address: "::", Port: 81, PID: 9}, want[2]}
	for name, c := range map[string]struct {
		stat, stat6 string
		listeners   []linux.TCPListener
		err         error
		want        []Port
		connections int
	}{
		"not counted":         {want: want, connections: 1},
		"connected":           {stat: "sockets: used 9\nTCP: inuse 2 orphan 0\n", stat6: "TCP6: inuse 2\n", listeners: []linux.TCPListener{listener}, want: want, connections: 1},
		"no inet_diag":        {stat6: "TCP6: inuse 1\n", err: os.ErrInvalid, want: want, connections: 1},
		"all listen":          {stat6: "TCP6: inuse 1\n", listeners: []linux.TCPListener{listener}, want: other, connections: 1},
		"none in use":         {stat: "TCP: inuse 0 orphan 0\n", stat6: "TCP6: inuse 0\n", err: os.ErrInvalid, want: want[2:]},
		"count is no number":  {stat: "TCP: inuse x\n", stat6: "TCP6: inuse\n", want: want, connections: 1},
		"of another protocol": {stat: "UDP: inuse 0\n", stat6: "UDP6: inuse 0\n", want: want, connections: 1},
	} {
		for file, text := range map[string]string{"sockstat": c.stat, "sockstat6": c.stat6} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var f Facts
		f.ReadPorts(dir, dir, []int{9, 10}, func(v6 bool) ([]linux.TCPListener, error) {
			if !v6 {
				return nil, nil
			}
			return c.listeners, c.err
		})
		if d := cmp.Diff(c.want, f.Ports); d != "" || f.Network.Connections != c.connections {
			t.Errorf("%s: %d connections, want %d; ports (-want +got):\n%s", name, f.Network.Connections, c.connections, d)
		}
	}
}

// TestListeners: what the kernel lists is what its files show.
func TestListeners(t *testing.T) {
	testenv.NeedRoot(t)
	ns, err := linux.NewNetNS()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	err = linux.InNetNS(ns, func() error {
		for _, network := range []string{"tcp4", "tcp6", "tcp4"} {
			l, err := net.Listen(network, ":0")
			if err != nil {
				return err
			}
			defer l.Close()
		}
		asked := 0
		var quick, whole Facts
		quick.ReadPorts("/proc/thread-self/net", "/proc", []int{os.Getpid()}, func(v6 bool) ([]linux.TCPListener, error) {
			asked++
			return linux.TCPListeners(v6)
		})
		whole.ReadPorts("/proc/thread-self/net", "/proc", []int{os.Getpid()}, func(bool) ([]linux.TCPListener, error) { return nil, os.ErrInvalid })
		byPort := cmpopts.SortSlices(func(a, b Port) bool { return a.Port < b.Port })
		if d := cmp.Diff(whole.Ports, quick.Ports, byPort); d != "" || len(quick.Ports) != 3 || asked != 2 || quick.Ports[0].PID != os.Getpid() {
			t.Errorf("asked %d times; %v; (-files +kernel):\n%s", asked, quick.Ports, d)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAddress(t *testing.T) {
	for want, b := range map[string][]byte{
		"10.0.0.1":        {10, 0, 0, 1},
		"::":              make([]byte, 16),
		"::1":             append(make([]byte, 15), 1),
		"fe80::1:0:0:2":   {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2},
		"1:0:2:3:4:5:6:7": {0, 1, 0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7},
		"fd00::":          append([]byte{0xfd, 0}, make([]byte, 14)...),
		"":                {1, 2},
	} {
		if got := address(b); got != want {
			t.Errorf("%x is %q, want %q", b, got, want)
		}
	}
}

// TestServices: whoever answers on the agent's socket is heard within bounds.
func TestServices(t *testing.T) {
	dir, err := os.MkdirTemp("", "facts")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, c := range map[string]struct {
		answer  string
		want    []Service
		problem string
	}{
		"two":       {`{"services":[{"Name":"a.service","Status":"running","PIDs":[1]},{"Name":"b\u001b.service","Status":"failed"}]}` + "\n", []Service{{"a.service", "running"}, {`b\x1b.service`, "failed"}}, ""},
		"none":      {`{"services":[]}`, nil, ""},
		"refused":   {`{"error":"not today"}`, nil, "not today"},
		"nonsense":  {"hello", nil, "answer of the agent"},
		"silence":   {"", nil, "answer of the agent"},
		"too large": {`{"services":"` + strings.Repeat("x", 2<<20), nil, "answer of the agent"},
	} {
		path := filepath.Join(dir, "agent")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			conn.Read(make([]byte, 100))
			conn.Write([]byte(c.answer))
		}()
		var f Facts
		f.askServices(path)()
		l.Close()
		<-done
		if d := cmp.Diff(c.want, f.Services); d != "" || !strings.Contains(f.Problems["services"], c.problem) || c.problem == "" && len(f.Problems) > 0 {
			t.Errorf("%s: problems %v, want %q; services (-want +got):\n%s", name, f.Problems, c.problem, d)
		}
	}
	var f Facts
	f.askServices(filepath.Join(dir, "nobody"))()
	if len(f.Services) > 0 || len(f.Problems) > 0 {
		t.Errorf("without a socket: %+v", f)
	}
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coretools.silo/events"
	"coretools.silo/procfs"
	"coretools.silo/treetest"
)

const statTail = " S 10 20 20 0 -1 4194304 242 0 0 0 150 50 0 0 20 0 4 0 90283 1258164224 1024 18446744073709551615 1 1 0 0 0 0 0 2 0 0 0 0 17 0 0 0 0 0 0\n"

const tcpHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// recorded is a small container.
var recorded = map[string]string{
	"etc/passwd": "ContainerAdministrator:*:0:0:x:/root:/bin/sh\nroot:*:0:0::/root:/bin/sh\nAdministrator:x:500:500:Runs the place,room 1:/home/a:/bin/sh\n" +
		"Guest:x:501:501::/home/g:/bin/sh\nDefaultAccount:x:503:503:Managed:/:/bin/false\ngarbage\n:x:1:1:::\nbad:x:abc:0:::\nnobody:*:65534:65534::/:/bin/false\n",
	"etc/shadow":          "Administrator:$6$hash:1:0:9:7:::\nGuest:!:1:0:9:7:::\nDefaultAccount:$6$h:1:0:9:7::100:\n",
	"etc/group":           "root:x:0:\nAdministrator:x:500:\n",
	"etc/os-release":      "PRETTY_NAME=\"Silo Core 9\"\nVERSION_ID=9\nID=silo-core\n",
	"etc/timezone":        "Etc/UTC\n",
	"etc/resolv.conf":     "nameserver 10.97.0.1\nsearch lan\n",
	"proc/stat":           "cpu  1 2 3 400 5\ncpu0 1 2 3 200 5\ncpu1 0 0 0 200 0\nbtime 1700000000\n",
	"proc/self/ns/pid":    "->pid:[4026532999]",
	"proc/self/sessionid": "12",
	"proc/20/stat":        "20 (sh)" + statTail,
	"proc/20/status":      "Uid:\t0\t0\t0\t0\n",
	"proc/20/sessionid":   "12",
	"proc/20/cmdline":     "sh\x00-c\x00x\x00",
	"proc/20/exe":         "->/bin/sh",
	"proc/20/fd/3":        "->socket:[77]",
	"proc/20/comm":        "sh\n",
	"proc/21/stat":        "21 (bad\xff\x1b[31m)" + statTail,
	"proc/21/status":      "Uid:\t9\t9\t9\t9\n",
	"proc/21/sessionid":   "12",
	"proc/22/comm":        "vanished\n",
	"proc/net/tcp":        tcpHead + "   0: 00000000:0087 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n   1: 0200610A:0087 0100610A:C000 01 0:0 0:0 0 500 0 78 1\n",
	"proc/net/udp":        tcpHead + "   0: 3500007F:0035 00000000:0000 07 0:0 0:0 0 0 0 79 1\n",
	"proc/net/unix":       "Num       RefCount Protocol Flags    Type St Inode Path\n0000: 00000002 00000000 00010000 0001 01 80 /run/x\nbad line\n",
	"proc/net/route":      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\neth0\t00000000\t0100610A\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t0000610A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0\n",
	"sys/class/net/eth0":  "->../../devices/virtual/net/eth0",
}

func record(t *testing.T, files map[string]string) procfs.Root {
	t.Helper()
	old := links
	links = func() []adapter {
		return []adapter{
			{Name: "lo", Up: true, Loopback: true, MTU: 65536, IPv4: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}},
			{Name: "eth0", MAC: "02:15:5d:00:00:02", Up: true, MTU: 1500, IPv4: []netip.Prefix{netip.MustParsePrefix("10.97.0.2/20")}},
		}
	}
	t.Cleanup(func() { links = old })
	return procfs.Root(treetest.Lay(t, files))
}

// run runs a command against a tree.
func run(t *testing.T, root procfs.Root, in, name string, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	c := call{root: root, in: strings.NewReader(in), out: &o, errs: &e, getenv: func(string) string { return "" }}
	code = c.do(name, args)
	return o.String(), e.String(), code
}

func golden(t *testing.T, root procfs.Root, want, name string, args ...string) {
	t.Helper()
	out, errs, code := run(t, root, "", name, args...)
	if out != want || errs != "" || code != 0 {
		t.Errorf("%s %q: exit %d %s\ngot\n%s\nwant\n%s", name, args, code, errs, out, want)
	}
}

func TestGetProcess(t *testing.T) {
	r := record(t, recorded)
	golden(t, r, `HANDLES  WORKING SET  CPU(s)  ID  SESSION  USER                    NAME
      -            -    4.00   0        0  kernel                  [idle]
      1         4.0M    2.00  20       12  ContainerAdministrator  sh
      -         4.0M    2.00  21       12  9                       bad\xff\x1b[31m
`, "get-process")
	golden(t, r, "ID  PATH     COMMAND  PARENT\n20  /bin/sh  sh -c x      10\n", "get-process", "SH", "--select", "id,path,command,parent")
	golden(t, r, "ID\n21\n20\n", "get-process", "--where", "session=12 and cpu>=2", "--sort", "id,desc", "--select", "id")
	golden(t, r, "[\n  {\"imageName\": \"sh\", \"pid\": 20, \"sessionName\": \"Container\", \"session\": 12, \"memUsage\": 4194304}\n]\n", "tasklist", "-i", "20", "--json")
	out, errs, code := run(t, r, "", "get-process", "nothing*")
	if code != 1 || out != "" || errs != "get-process: nothing*: no such process is visible here\n" {
		t.Errorf("exit %d, %q %q", code, out, errs)
	}
	out, errs, code = run(t, r, "", "get-process", "nothing", "sh", "-i", "21", "-i", "9", "--select", "id")
	if code != 1 || out != "ID\n20\n21\n" || errs != "get-process: 9: no such process is visible here\nnothing: no such process is visible here\n" {
		t.Errorf("some of them: exit %d, %q %q", code, out, errs)
	}
	if _, errs, code := run(t, procfs.Root(t.TempDir()), "", "get-process"); code != 1 || !strings.HasPrefix(errs, "get-process: list processes: ") {
		t.Errorf("no /proc: exit %d, %q", code, errs)
	}
}

func TestConnections(t *testing.T) {
	r := record(t, recorded)
	golden(t, r, `LOCAL ADDRESS  LOCAL PORT  REMOTE ADDRESS  REMOTE PORT  STATE        OWNING PROCESS  PROCESS NAME  USER
0.0.0.0               135  0.0.0.0                   0  Listen                   20  sh            ContainerAdministrator
10.97.0.2             135  10.97.0.1             49152  Established               -  -             Administrator
`, "get-nettcpconnection")
	golden(t, r, `PROTO  LOCAL ADDRESS  FOREIGN ADDRESS  STATE   PID  PROGRAM
tcp    0.0.0.0:135    0.0.0.0:*        LISTEN   20  sh
udp    127.0.0.53:53  0.0.0.0:*        -         -  -
`, "netstat", "-tulnp")
	golden(t, r, "PROTO  LOCAL ADDRESS  FOREIGN ADDRESS  STATE\ntcp    10.97.0.2:135  10.97.0.1:49152  ESTABLISHED\n", "ss", "-t")
	golden(t, r, "PROTO  TYPE    STATE      I-NODE  PATH\nunix   STREAM  LISTENING      80  /run/x\n", "netstat", "-x")
	const routes = "DESTINATION  GATEWAY    GENMASK        METRIC  IFACE\n0.0.0.0      10.97.0.1  0.0.0.0             0  eth0\n10.97.0.0    0.0.0.0    255.255.240.0       0  eth0\n"
	golden(t, r, routes, "netstat", "-r")
	golden(t, r, routes, "route", "-n")
	golden(t, r, `Interface list
   1                     lo (Loopback)
   2  02:15:5d:00:00:02  eth0 (Virtual Ethernet adapter)

IPv4 route table
Network destination  Netmask        Gateway    Interface  Metric
0.0.0.0              0.0.0.0        10.97.0.1  10.97.0.2       0
10.97.0.0            255.255.240.0  On-link    10.97.0.2       0

IPv6 route table
Network destination  Netmask  Gateway  Interface  Metric
`, "route", "PRINT")
}

func TestIPConfig(t *testing.T) {
	r := record(t, recorded)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, r, `IP configuration

Virtual Ethernet adapter eth0:

   IPv4 address . . . . . . : 10.97.0.2
   Subnet mask . . . . . .  : 255.255.240.0
   Default gateway . . . .  : 10.97.0.1
`, "ipconfig")
	golden(t, r, `IP configuration

   Host name . . . . . . .  : `+host+`
   DNS suffix search list . : lan

Loopback lo:

   MTU . . . . . . . . . .  : 65536
   IPv4 address . . . . . . : 127.0.0.1
   Subnet mask . . . . . .  : 255.0.0.0

Virtual Ethernet adapter eth0:

   Physical address . . . . : 02:15:5d:00:00:02
   MTU . . . . . . . . . .  : 1500
   IPv4 address . . . . . . : 10.97.0.2
   Subnet mask . . . . . .  : 255.255.240.0
   Default gateway . . . .  : 10.97.0.1
   DNS servers . . . . . .  : 10.97.0.1
`, "ipconfig", "/all")
	golden(t, r, "NAME  MAC                DNSSEARCH\neth0  02:15:5d:00:00:02  lan\n", "ipconfig", "--select", "name,mac,dnsSearch")
}

func TestSystemInfo(t *testing.T) {
	r := record(t, recorded)
	out, errs, code := run(t, r, "", "systeminfo", "--json")
	var rows []struct {
		Key, Belongs string
		Value        any
	}
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 {
		t.Fatalf("exit %d %s: %v", code, errs, err)
	}
	got := map[string]string{}
	values := map[string]any{}
	for _, row := range rows {
		got[row.Key], values[row.Key] = row.Belongs, row.Value
	}
	for key, want := range map[string]string{
		"hostName": ofContainer, "osName": ofContainer, "locale": ofContainer, "timeZone": ofContainer, "session": ofContainer, "networkCard.eth0": ofContainer,
		"kernel": ofHost, "bios": ofHost, "bootTime": ofHost, "processors": ofHost, "physicalMemory": ofHost,
	} {
		if got[key] != want {
			t.Errorf("%s belongs to %q, want %q", key, got[key], want)
		}
	}
	for key, want := range map[string]any{
		"osName": "Silo Core 9", "osVersion": "9", "timeZone": "Etc/UTC", "session": 12.0, "locale": nil, "physicalMemory": nil,
		"networkCard.eth0": "eth0, 02:15:5d:00:00:02, 10.97.0.2/20",
	} {
		if values[key] != want {
			t.Errorf("%s is %v, want %v", key, values[key], want)
		}
	}
	if _, ok := got["memoryLimit"]; ok {
		t.Error("a limit that is not set is shown")
	}
	// A system of which nothing can be read still says what it is.
	if out, errs, code := run(t, procfs.Root(t.TempDir()), "", "systeminfo"); code != 0 || !strings.Contains(out, "Host name") {
		t.Errorf("empty tree: exit %d %s%s", code, out, errs)
	}
}

func TestGetLocalUser(t *testing.T) {
	r := record(t, recorded)
	golden(t, r, `NAME            ENABLED   ID  DESCRIPTION
Administrator   yes      500  Runs the place
Guest           no       501  -
DefaultAccount  no       503  Managed
`, "get-localuser")
	golden(t, r, "NAME   GROUP\nGuest  501\n", "get-localuser", "guest", "--select", "name,group")
	if _, errs, code := run(t, r, "", "get-localuser", "root"); code != 1 || !strings.Contains(errs, "no such local account") {
		t.Errorf("root is an account: exit %d %q", code, errs)
	}
	if out, errs, code := run(t, r, "", "get-localuser", "guest", "root", "--select", "name"); code != 1 || out != "NAME\nGuest\n" || !strings.Contains(errs, "root: no such local account") {
		t.Errorf("one of two: exit %d %q %q", code, out, errs)
	}
	// No files, no accounts.
	golden(t, procfs.Root(t.TempDir()), "NAME  ENABLED  ID  DESCRIPTION\n", "get-localuser")
}

func TestWhoAmI(t *testing.T) {
	r := record(t, recorded)
	name := r
	out, errs, code := run(t, name, "", "whoami")
	if code != 0 || out == "" {
		t.Fatalf("exit %d %q", code, errs)
	}
	all, _, code := run(t, r, "", "whoami", "/USER")
	if code != 0 || !strings.Contains(all, "user") || !strings.Contains(all, strings.TrimSpace(out)) {
		t.Errorf("whoami /user: exit %d\n%s", code, all)
	}
	if os.Geteuid() == 0 && out != "ContainerAdministrator\n" {
		t.Errorf("id 0 is %q", out)
	}
	if _, _, code := run(t, r, "", "whoami", "me"); code != 2 {
		t.Errorf("whoami me: exit %d, want 2", code)
	}
}

func TestFilters(t *testing.T) {
	const in = `[{"id":1,"name":"b","x":{"y":1}},{"id":2,"name":"a"}]`
	for _, c := range []struct{ name, args, want string }{
		{"sort-object", "name", "[\n  {\"id\": 2, \"name\": \"a\", \"x\": null},\n  {\"id\": 1, \"name\": \"b\", \"x\": {\"y\":1}}\n]\n"},
		{"where-object", "id > 1", "[\n  {\"id\": 2, \"name\": \"a\", \"x\": null}\n]\n"},
		{"where-object", "id>0 and name=b --table", "ID  NAME  X\n 1  b     {\"y\":1}\n"},
		{"select-object", "name --table", "NAME\nb\na\n"},
	} {
		out, errs, code := run(t, "", in, c.name, strings.Fields(c.args)...)
		if out != c.want || code != 0 {
			t.Errorf("%s %s: exit %d %s\n%s", c.name, c.args, code, errs, out)
		}
	}
	if out, _, code := run(t, "", "[]", "where-object", "id=1"); code != 0 || out != "[]\n" {
		t.Errorf("of no rows: exit %d %q", code, out)
	}
	for _, c := range []struct {
		name, in, args, want string
		code                 int
	}{
		{"where-object", "PID NAME\n", "id=1", "want the output of a command with --json", 1},
		{"where-object", in, "", "says nothing to do", 2},
		{"sort-object", in, "nope", "no such column: there are id, name, x", 2},
	} {
		if _, errs, code := run(t, "", c.in, c.name, strings.Fields(c.args)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s %s: exit %d %q, want %d %q", c.name, c.args, code, errs, c.code, c.want)
		}
	}
}

// fakeAgent answers requests at the agent's place in a tree.
func fakeAgent(t *testing.T, root procfs.Root, answer string) chan agentRequest {
	t.Helper()
	path := string(root) + agentSocket
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan agentRequest, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			line, err := bufio.NewReader(conn).ReadBytes('\n')
			var r agentRequest
			if err == nil && json.Unmarshal(line, &r) == nil {
				asked <- r
			}
			_, _ = conn.Write([]byte(answer))
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return asked
}

func TestGetService(t *testing.T) {
	r := record(t, recorded)
	if _, errs, code := run(t, r, "", "get-service"); code != 1 || errs != "get-service: services are not started in this container: run it with --services\n" {
		t.Errorf("no agent: exit %d %q", code, errs)
	}
	asked := fakeAgent(t, r, `{"services":[`+
		`{"Name":"web.service","DisplayName":"Web Server","Status":"stopped","Enabled":false,"Since":"0001-01-01T00:00:00Z"},`+
		`{"Name":"epmap.service","DisplayName":"Endpoint Mapper","Status":"running","Enabled":true,"MainPID":20,"PIDs":[20],"Since":"2026-03-04T05:06:07Z","Type":"notify","Path":"/u","Memory":2097152,"Unknown":[1]}]}`+"\n")
	golden(t, r, "STATUS   NAME   DISPLAY NAME\nstopped  web    Web Server\nrunning  epmap  Endpoint Mapper\n", "get-service")
	golden(t, r, "STATUS   NAME   DISPLAY NAME\nrunning  epmap  Endpoint Mapper\nstopped  web    Web Server\n", "get-service", "--sort", "displayname")
	golden(t, r, "NAME   PID  ENABLED  MEMORY\nepmap   20  yes        2.0M\n", "get-service", "--where", "status=Running", "--select", "name,pid,enabled,memory")
	golden(t, r, "NAME  SINCE\nweb   -\n", "get-service", "WEB", "--select", "name,since")
	if got := <-asked; got.Op != "services" {
		t.Errorf("asked %+v", got)
	}
	for len(asked) > 0 {
		<-asked
	}
	if _, errs, code := run(t, r, "", "start-service", "web", "x.timer"); code != 0 {
		t.Errorf("start: exit %d %s", code, errs)
	}
	if got := <-asked; got.Op != "service" || got.Action != "start" || strings.Join(got.Units, " ") != "web.service x.timer" {
		t.Errorf("asked %+v", got)
	}
}

func TestAgentRefuses(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error":"only user 0 may\u001b[31m"}` + "\n": `only user 0 may\x1b[31m`,
		"garbage\n": "answer: invalid character",
		"":          "no answer: EOF",
	} {
		r := record(t, recorded)
		fakeAgent(t, r, answer)
		if _, errs, code := run(t, r, "", "stop-service", "x"); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%q: exit %d %q, want %q", answer, code, errs, want)
		}
	}
}

func TestEventLog(t *testing.T) {
	r := record(t, recorded)
	if _, errs, code := run(t, r, "", "get-eventlog"); code != 1 || !strings.Contains(errs, "there is no event log") {
		t.Errorf("no log: exit %d %q", code, errs)
	}
	s, err := events.Open(string(r) + events.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []events.Event{
		{Level: "error", Source: "cron", Message: "one", Facility: "cron", PID: 5, UID: 500},
		{Level: "information", Source: "x\x1b", Message: "two\x1b[2J", Facility: "user"},
	} {
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	golden(t, r, "INDEX  LEVEL        SOURCE  MESSAGE\n    2  information  x\\x1b   two\\x1b[2J\n    1  error        cron    one\n", "get-eventlog", "--select", "index,level,source,message")
	golden(t, r, "INDEX  USER           PID\n    1  Administrator    5\n", "get-eventlog", "-l", "warning", "--select", "index,user,pid")
	golden(t, r, "INDEX\n    2\n", "get-eventlog", "--newest", "1", "--select", "index")
	golden(t, r, "INDEX\n    1\n", "get-eventlog", "-s", "CRON", "--select", "index")
	if _, errs, code := run(t, r, "", "logger", "hello"); code != 1 || !strings.Contains(errs, "the service eventlog does not run") {
		t.Errorf("logger without a log: exit %d %q", code, errs)
	}
	if err := os.MkdirAll(string(r)+"/dev", 0o755); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: string(r) + events.Socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, errs, code := run(t, r, "a line\n\nanother\n", "logger", "-t", "me", "-p", "daemon.err"); code != 0 {
		t.Fatalf("logger: exit %d %s", code, errs)
	}
	for _, want := range []string{"a line", "another"} {
		buf := make([]byte, 1000)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if e := events.Parse(buf[:n], s2026); e.Source != "me" || e.Message != want || e.Level != "error" || e.Facility != "daemon" {
			t.Errorf("%q is read as %+v", buf[:n], e)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range commands() {
		out, _, code := run(t, "", "", c.name, "--help")
		if code != 0 || !strings.HasPrefix(out, "usage: "+c.name) || c.brief == "" {
			t.Errorf("%s --help: exit %d\n%s", c.name, code, out)
		}
		if c.tables {
			if _, errs, code := run(t, "", "", c.name, "--sort"); code != 2 || !strings.Contains(errs, "--sort: needs a value") {
				t.Errorf("%s --sort: exit %d %s", c.name, code, errs)
			}
		}
	}
	if _, errs, code := run(t, "", "", "no-such"); code != 127 || !strings.Contains(errs, "no-such: no such command") {
		t.Errorf("exit %d %q", code, errs)
	}
	for name, args := range map[string]string{"ping": "", "telnet": "a b c", "nslookup": "", "route": "add", "ipconfig": "/renew", "systeminfo": "x", "get-eventlog": "-n x", "start-service": "", "hostname": "a b"} {
		if _, errs, code := run(t, "", "", name, strings.Fields(args)...); code != 2 || !strings.Contains(errs, "usage: "+name) {
			t.Errorf("%s %s: exit %d %q, want 2", name, args, code, errs)
		}
	}
}

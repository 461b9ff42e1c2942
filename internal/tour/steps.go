package tour

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"silo/api"
)

// steps are the properties in their order.
var steps = []step{
	{"S1", "One command, a shell on a terminal", "Does one command run the image interactively, named, and remove it at the end?", (*tour).terminal},
	{"S2", "System information", "Are system, name, language and zone the container's; kernel, start, processors and memory the host's?", func(t *tour) {
		t.inside("systeminfo")
		t.holds("hostname", "os", "language", "timezone", "kernel", "boot", "processors", "memory", "firmware")
	}},
	{"S3", "Host name", "Does it have a name of its own?", func(t *tour) {
		t.want(t.inside("hostname"), one)
		t.holds("hostname", "hostname-file")
	}},
	{"S4", "Network adapter", "Does it have an adapter and a MAC address of its own?", func(t *tour) {
		t.want(strings.ReplaceAll(t.inside("ipconfig", "/all"), "-", ":"), t.property("mac").Outside)
		t.holds("adapter", "mac")
	}},
	{"S5", "Address", "Is its IPv4 address one of the switch's range?", func(t *tour) {
		t.inside("ipconfig")
		subnet := t.silo("network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", "nat")
		p, err1 := netip.ParsePrefix(subnet)
		a, err2 := netip.ParseAddr(t.ip)
		if err1 != nil || err2 != nil || !p.Contains(a) || !a.IsPrivate() {
			t.fail("%s is not a private address in %s", t.ip, subnet)
		}
		t.holds("address")
	}},
	{"S6", "Gateway", "Is the gateway the host's own adapter on that switch?", func(t *tour) {
		gateway := t.property("gateway").Inside
		bridge := t.silo("network", "inspect", "--format", `{{index .Options "silo.bridge"}}`, "nat")
		t.want(t.host("ip", "-4", "-brief", "address", "show", "dev", bridge), gateway+"/")
		t.holds("gateway")
	}},
	{"S7", "Names", "Do names resolve?", func(t *tour) {
		out, err := t.output("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", two)
		if err != nil {
			t.fail("address of %s: %v", two, err)
		}
		t.want(t.inside("nslookup", two), out)
		t.holds("dns")
	}},
	{"S8", "To the outside", "Does it reach a host outside, by echo request and by TCP?", (*tour).toOutside},
	{"S9", "Processes in two sessions", "Does the list inside show session 0 and the container's own?", func(t *tour) {
		out := t.inside("get-process", "--sort", "session")
		t.want(out, strconv.FormatUint(uint64(t.p.Session), 10))
		zero := false
		for line := range strings.Lines(out) {
			for _, word := range strings.Fields(line) {
				zero = zero || word == "0"
			}
		}
		if !zero {
			t.fail("no process of session 0 is listed")
		}
	}},
	{"S10", "A further process", "Does a further process appear in the container's session?", func(t *tour) {
		t.silo("exec", "-d", one, "sleep", "4242")
		t.inside("get-process", "--where", "name=sleep")
		if err := t.look(); err != nil {
			t.fail("%v", err)
		}
		for _, p := range t.p.Processes {
			if strings.Join(p.Args, " ") == "sleep 4242" && p.Session == t.p.Session && p.Answer == api.Same {
				return
			}
		}
		t.fail("sleep 4242 is not in session %d", t.p.Session)
	}},
	{"S11", "Services", "Are services listed with name, display name and status?", func(t *tour) {
		t.want(t.inside("get-service", "--where", "status=running", "--sort", "displayname"), "running")
		t.silo("service", "ls", one)
	}},
	{"S12", "Listening ports", "Is 135 among them, and nothing connected?", func(t *tour) {
		t.want(t.inside("get-nettcpconnection"), "135")
		t.holds("listening", "connections")
		if n := t.property("connections").Outside; n != "0" {
			t.fail("%s connections", n)
		}
	}},
	{"S13", "Accounts", "Are there three local accounts?", func(t *tour) {
		out := t.inside("get-localuser")
		for _, name := range []string{"Administrator", "DefaultAccount", "Guest"} {
			t.want(out, name)
		}
		t.holds("accounts")
	}},
	{"S14", "User", "Who does the shell run as?", func(t *tour) { t.want(t.inside("whoami"), "ContainerAdministrator") }},
	{"S15", "The host pings it", "Does it answer the host?", func(t *tour) { t.ping(nil, t.ip, true) }},
	{"S16", "The host connects to it", "Does port 135 take a connection from the host?", func(t *tour) { t.connect(nil, t.ip, 135, true) }},
	{"S17", "Closed to the outside", "Does a host outside get no reply?", func(t *tour) {
		t.ping(t.outside, addressHere, true) // it does reach this host
		t.ping(t.outside, t.ip, false)
		t.connect(t.outside, t.ip, 135, false)
	}},
	{"S18", "… even with a route", "And none with a route through this host?", func(t *tour) {
		if err := t.outside.route(); err != nil {
			t.fail("%v", err)
		}
		t.show("(outside) ip route add "+t.outside.subnet+" via "+addressHere, "")
		t.ping(t.outside, t.ip, false)
		t.connect(t.outside, t.ip, 135, false)
	}},
	{"S19", "Its neighbour pings it", "Does another container get a reply?", func(t *tour) { t.silo("exec", two, "ping", "-c", "1", t.ip) }},
	{"S20", "No mystery on the host", "Can it be found, and sized?", func(t *tour) {
		t.want(t.silo("ps", "--size", "--filter", "name="+one, "--format", "table {{.Names}}\t{{.Status}}\t{{.Size}}"), one)
		t.want(t.silo("stats", "--no-stream", "--format", "table {{.Name}}\t{{.MemUsage}}\t{{.PIDs}}", one), one)
	}},
	{"S21", "The same process number", "Is its process one of the host's, under the same number?", func(t *tour) {
		pid := strconv.Itoa(t.main().PID)
		t.want(t.inside("get-process", "--where", "id="+pid), pid)
		t.want(t.host("ps", "-p", pid, "-o", "pid,args"), pid)
		t.holds("number", "processes")
	}},
	{"S22", "The same executable", "Does its path look the same from both sides?", func(t *tour) {
		link := fmt.Sprintf("/proc/%d/exe", t.main().PID)
		if in, out := t.inside("readlink", link), t.host("readlink", link); in != out {
			t.fail("%q inside, %q outside", in, out)
		}
		t.holds("executable")
	}},
	{"S23", "The same session", "Is the session the same, with the same number, on the host?", func(t *tour) {
		t.want(t.silo("session", "ls", "--format", "{{.Number}} {{.Name}}"), strconv.FormatUint(uint64(t.p.Session), 10))
		file := fmt.Sprintf("/proc/%d/sessionid", t.main().PID)
		if in, out := t.inside("cat", file), t.host("cat", file); in != out || t.p.Session == 0 {
			t.fail("%q inside, %q outside", in, out)
		}
	}},
	{"S24", "Session 0", "Are there many more processes in session 0 on the host than inside?", func(t *tour) {
		z := t.property("session-zero")
		in, err1 := strconv.Atoi(z.Inside)
		out, err2 := strconv.Atoi(z.Outside)
		t.want(t.silo("properties", "--group", "processes", one), z.Title)
		if err1 != nil || err2 != nil || out <= in {
			t.fail("%d inside, %d on the host", in, out)
		}
	}},
	{"S25", "No such user on the host", "Does the host know no account for it?", func(t *tour) {
		user := strings.TrimSpace(t.host("ps", "-p", strconv.Itoa(t.main().PID), "-o", "user:20="))
		if _, err := strconv.Atoi(user); err != nil {
			t.fail("the host shows user %q, want a bare number", user)
		}
		t.holds("user", "ids")
	}},
	{"S26", "Its layers", "Does its folder chain to the layers of its image?", func(t *tour) {
		path, err := t.output("inspect", "--format", "{{.GraphDriver.Data.layerchain}}", one)
		if err != nil {
			t.fail("%v", err)
		}
		t.want(t.host("cat", path), "layers/")
	}},
	{"S27", "Its disk", "Is there a virtual disk, attached, without a mount point of a user's?", (*tour).diskAttached},
	{"S28", "The same disk inside", "Is it as large as the drive seen inside, and the same when mounted here?", (*tour).diskMounted},
	{"S29", "Ephemeral", "Is everything gone when it is removed?", (*tour).ephemeral},
}

// ping shows an echo request and fails the step if the answer is not as wanted.
func (t *tour) ping(from *outsideHost, to string, want bool) {
	err := from.ping(to)
	t.attempt(from, "ping "+to, err, want)
}

func (t *tour) connect(from *outsideHost, to string, port int, want bool) {
	err := from.connect(to, port)
	t.attempt(from, fmt.Sprintf("connect %s:%d", to, port), err, want)
}

func (t *tour) attempt(from *outsideHost, what string, err error, want bool) {
	where, text := "(host) ", "a reply"
	if from != nil {
		where = "(outside) "
	}
	if err != nil {
		text = err.Error()
	}
	t.show(where+what, text)
	if (err == nil) != want {
		t.fail("%s%s: %s", where, what, text)
	}
}

func (t *tour) toOutside() {
	const port = 7077
	t.inside("ping", "-c", "1", addressOut)
	came, err := t.outside.listen(port)
	if err != nil {
		t.fail("%v", err)
		return
	}
	t.inside("sh", "-c", fmt.Sprintf("echo hello | nc -w 2 %s %d", addressOut, port))
	if !came() {
		t.fail("no connection came to the host outside")
	}
}

func (t *tour) diskAttached() {
	out := t.silo("disk", "ls")
	t.want(out, "sandbox.vhdx")
	if t.p.Disk == nil || t.p.Disk.Device == "" {
		t.fail("it is not attached")
		return
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.fail("%v", err)
	}
	t.show("grep -c "+t.p.Disk.Device+" /proc/mounts", strconv.Itoa(strings.Count(string(mounts), t.p.Disk.Device+" ")))
	if strings.Contains(string(mounts), t.p.Disk.Device+" ") {
		t.fail("%s is mounted on the host", t.p.Disk.Device)
	}
}

func (t *tour) diskMounted() {
	t.holds("size")
	t.inside("sh", "-c", "echo seen from both sides > /root/tour")
	dir := filepath.Join(t.dir, "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.fail("%v", err)
		return
	}
	t.silo("disk", "mount", one, dir)
	t.want(t.host("cat", filepath.Join(dir, "root/tour")), "seen from both sides")
	t.silo("disk", "unmount", dir)
}

func (t *tour) ephemeral() {
	dir, err := t.output("inspect", "--format", "{{.GraphDriver.Data.dir}}", two)
	if err != nil || dir == "" {
		t.fail("folder of %s: %v", two, err)
		return
	}
	t.silo("exec", two, "sh", "-c", "echo saved > /root/file; cat /root/file")
	t.silo("rm", "-f", two)
	_, err = os.Stat(dir)
	t.show("ls "+dir, fmt.Sprint(err))
	if err == nil {
		t.fail("%s is still there", dir)
	}
	if strings.Contains(t.silo("disk", "ls"), filepath.Base(dir)) {
		t.fail("its disk is still listed")
	}
}

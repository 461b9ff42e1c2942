package e2e

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rows gives what a command inside lists: objects by the names of columns.
func (d *daemon) rows(id string, command ...string) []map[string]any {
	d.t.Helper()
	out := d.silo(append(append([]string{"exec", id}, command...), "--json")...)
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		d.t.Fatalf("%q: %v\n%s", command, err, out)
	}
	return rows
}

// number is a value of a row, which JSON holds as a float; -1 if it is none.
func number(v any) int {
	if f, ok := v.(float64); ok {
		return int(f)
	}
	return -1
}

// running waits until all services of a container that are enabled and not
// started on demand are up.
func (d *daemon) running(id string) {
	d.t.Helper()
	for _, name := range []string{"epmap", "eventlog", "dnscache", "scheduler"} {
		until(d.t, "service "+name+" is up", func() bool {
			r := d.try("exec", id, "get-service", name, "--where", "status=running", "--json")
			return r.code == 0 && strings.Contains(r.out, name)
		})
	}
}

// S2: what systeminfo says is the container's or the host's, and is true.
func TestS02SystemInfoSaysWhose(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("-h", "s02info", "-e", "LANG=de_DE.UTF-8", "-e", "TZ=Europe/Berlin", "--memory", "256m", "--pids-limit", "99")
	values, belongs := map[string]any{}, map[string]string{}
	for _, row := range d.rows(id, "systeminfo") {
		key, _ := row["key"].(string)
		values[key] = row["value"]
		belongs[key], _ = row["belongs"].(string)
	}
	for key, want := range map[string]string{
		"hostName": "s02info", "locale": "de_DE.UTF-8", "timeZone": "Europe/Berlin", "osId": "silo-core", "session": d.field(id, "{{.GraphDriver.Data.session}}"),
		"memoryLimit": strconv.Itoa(256 << 20), "processLimit": d.silo("exec", id, "sh", "-c", "cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max"),
	} {
		if got := text(values[key]); got != want || belongs[key] != "container" {
			t.Errorf("%s is %q of the %s, want %q of the container", key, got, belongs[key], want)
		}
	}
	name, _ := values["osName"].(string)
	want(t, "OS name", name, "Silo Core")
	bios := mustTool(t, "sh", "-c", "cat /sys/class/dmi/id/bios_vendor 2>/dev/null || true")
	if bios == "" {
		bios = "the kernel of the host tells none"
	}
	boot, err := strconv.ParseInt(mustTool(t, "sh", "-c", "sed -n 's/^btime //p' /proc/stat"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, text(values["bootTime"]))
	if err != nil || at.Unix() != boot {
		t.Errorf("boot time %v (%v), that of the host is %d", values["bootTime"], err, boot)
	}
	total, err := strconv.Atoi(mustTool(t, "sh", "-c", "sed -n 's/^MemTotal: *\\([0-9]*\\) kB$/\\1/p' /proc/meminfo"))
	if err != nil {
		t.Fatal(err)
	}
	for key, part := range map[string]string{
		"kernel": mustTool(t, "uname", "-r"), "processors": mustTool(t, "nproc", "--all"), "physicalMemory": strconv.Itoa(total << 10), "bios": bios,
	} {
		if got := text(values[key]); !strings.Contains(got, part) || belongs[key] != "host" {
			t.Errorf("%s is %q of the %s, want %q of the host", key, got, belongs[key], part)
		}
	}
	want(t, "the table", d.silo("exec", id, "systeminfo"), "BELONGS TO")
}

// text is a value of a row as one would write it.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// S3 to S7: ipconfig shows the container's own name, adapter, address,
// gateway and name servers.
func TestS03IPConfigHostName(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("-h", "s03ipconfig")
	want(t, "hostname", d.silo("exec", id, "hostname"), "s03ipconfig")
	want(t, "ipconfig /all", d.silo("exec", id, "ipconfig", "/all"), "Host name . . . . . . .  : s03ipconfig\n")
}

func TestS04IPConfigAdapter(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	out := d.silo("exec", id, "ipconfig", "/all")
	want(t, "ipconfig /all", out, "Virtual Ethernet adapter eth0:")
	want(t, "ipconfig /all", out, "Physical address . . . . : "+d.field(id, "{{.NetworkSettings.Networks.nat.MacAddress}}")+"\n")
}

func TestS05IPConfigAddress(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	out := d.silo("exec", id, "ipconfig")
	want(t, "ipconfig", out, "IPv4 address . . . . . . : "+d.address(id)+"\n")
	want(t, "ipconfig", out, "Subnet mask . . . . . .  : 255.255.240.0\n")
	for _, row := range d.rows(id, "ipconfig") {
		if list, ok := row["ipv4"].([]any); !ok || len(list) != 1 || list[0] != d.address(id)+"/20" {
			t.Errorf("ipconfig --json: %v", row)
		}
	}
}

func TestS06IPConfigGateway(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	gateway := d.field(id, "{{.NetworkSettings.Networks.nat.Gateway}}")
	want(t, "ipconfig", d.silo("exec", id, "ipconfig"), "Default gateway . . . .  : "+gateway)
	printed := d.silo("exec", id, "route", "print")
	want(t, "route print", strings.Join(strings.Fields(printed), " "), "0.0.0.0 0.0.0.0 "+gateway+" "+d.address(id)+" 0")
}

func TestS07IPConfigNameServers(t *testing.T) {
	d := useDaemon(t)
	id, other := d.sleeper(), d.sleeper("--name", "s07ipconfig")
	gateway := d.field(id, "{{.NetworkSettings.Networks.nat.Gateway}}")
	want(t, "ipconfig /all", d.silo("exec", id, "ipconfig", "/all"), "DNS servers . . . . . .  : "+gateway)
	answers := d.rows(id, "nslookup", "s07ipconfig")
	if len(answers) != 1 || answers[0]["answer"] != d.address(other) || answers[0]["type"] != "A" {
		t.Errorf("nslookup: %v, want %s", answers, d.address(other))
	}
}

// S9: the list of processes shows the shell and the session's own processes,
// in two sessions: the system's, and the container's.
func TestS09TwoSessions(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("core", "sh", "-c", "sleep 100000; true")
	session := d.field(id, "{{.GraphDriver.Data.session}}")
	until(t, "the shell has started its command", func() bool {
		return strings.Contains(d.try("exec", id, "get-process").out, "sleep")
	})
	system, own := map[string]bool{}, map[string]int{}
	for _, row := range d.rows(id, "get-process", "--sort", "session") {
		name, _ := row["name"].(string)
		switch text(row["session"]) {
		case "0":
			system[name] = true
			if row["kernel"] != true {
				t.Errorf("a process of the host's is visible: %v", row)
			}
		case session:
			own[name] = number(row["id"])
		default:
			t.Errorf("process %v has neither session 0 nor %s", row, session)
		}
	}
	if !system["[idle]"] || own["sh"] <= 0 || own["sleep"] <= 0 {
		t.Errorf("session 0: %v, session %s: %v", system, session, own)
	}
	// The numbers of isolation process are the host's, so that of the
	// kernel's threads is known; it is really that.
	if !system["[kthreadd]"] {
		t.Error("kthreadd is not listed")
	}
	if name, err := os.ReadFile("/proc/2/comm"); err != nil || strings.TrimSpace(string(name)) != "kthreadd" {
		t.Errorf("process 2 of the host is %q (%v)", name, err)
	}
	if got := d.field(id, "{{.State.Pid}}"); got != strconv.Itoa(own["sh"]) {
		t.Errorf("the shell is process %d inside, %s on the host", own["sh"], got)
	}
	// Sorted by session: the system's first.
	table := strings.Split(d.silo("exec", id, "get-process", "--sort", "session"), "\n")
	want(t, "the first row", table[1], "kernel")
	// With numbers of its own the container cannot know the kernel's.
	pid := d.sleeper("--isolation", "pid")
	if out := d.silo("exec", pid, "get-process"); strings.Contains(out, "kthreadd") || !strings.Contains(out, "[idle]") {
		t.Errorf("isolation pid:\n%s", out)
	}
}

// A process may call itself anything and does no harm to who lists it.
func TestS09HostileNames(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	d.silo("exec", "-d", id, "sh", "-c", `printf 'x\033[31m' > /proc/self/comm; sleep 4545; true`)
	until(t, "the process has its name", func() bool { return strings.Contains(d.silo("exec", id, "get-process"), `x\x1b[31m`) })
	if out := d.silo("exec", id, "get-process"); strings.ContainsRune(out, 0x1b) {
		t.Errorf("an escape sequence came through: %q", out)
	}
}

// S11: services have name, display name and status, can be filtered and
// sorted.
func TestS11Services(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	d.running(id)
	states := map[string]string{}
	for _, row := range d.rows(id, "get-service") {
		name, _ := row["name"].(string)
		states[name], _ = row["status"].(string)
		if row["displayName"] == nil {
			t.Errorf("service %s has no display name", name)
		}
	}
	for name, want := range map[string]string{"epmap": "running", "eventlog": "running", "web": "stopped", "eventquery": "stopped"} {
		if states[name] != want {
			t.Errorf("service %s is %q, want %s: %v", name, states[name], want, states)
		}
	}
	var names []string
	for _, row := range d.rows(id, "get-service", "--where", "status=Running", "--sort", "displayname") {
		name, _ := row["displayName"].(string)
		names = append(names, name)
		if row["status"] != "running" {
			t.Errorf("%v is not running", row)
		}
	}
	if !slices.IsSorted(names) || !slices.Contains(names, "Endpoint Mapper") || slices.Contains(names, "Web Server") {
		t.Errorf("running, by display name: %q", names)
	}
	piped := d.silo("exec", id, "sh", "-c", "get-service --json | where-object status=running | sort-object displayname | select-object displayname --table")
	if got := strings.Split(piped, "\n"); len(got) != len(names)+1 || strings.TrimSpace(got[1]) != names[0] {
		t.Errorf("through a pipe:\n%s\nwant %q", piped, names)
	}
	// Who has no privileges sees them and cannot change them.
	if r := d.try("exec", "--user", "ContainerUser", id, "get-service"); r.code != 0 || !strings.Contains(r.out, "epmap") {
		t.Errorf("ContainerUser: exit %d\n%s%s", r.code, r.out, r.err)
	}
	if r := d.try("exec", "--user", "ContainerUser", id, "stop-service", "epmap"); r.code == 0 {
		t.Errorf("ContainerUser stopped a service:\n%s", r.out)
	}
}

// The services of core do what they are there for.
func TestS11ServicesWork(t *testing.T) {
	d := useDaemon(t)
	id, other := d.sleeper(), d.sleeper("--name", "s11other")
	d.running(id)
	d.silo("exec", id, "logger", "-t", "e2e", "-p", "user.err", "by the administrator")
	d.silo("exec", "--user", "ContainerUser", id, "logger", "-t", "e2e", "by the user")
	until(t, "both events are logged", func() bool { return len(d.rows(id, "get-eventlog", "-s", "e2e")) == 2 })
	worst := d.rows(id, "get-eventlog", "-s", "e2e", "-l", "error")
	if len(worst) != 1 || worst[0]["user"] != "ContainerAdministrator" || worst[0]["message"] != "by the administrator" {
		t.Errorf("errors: %v", worst)
	}
	// A user reads its own events, by a service that starts when it is asked.
	r := d.try("exec", "--user", "ContainerUser", id, "get-eventlog")
	if r.code != 0 || !strings.Contains(r.out, "by the user") || strings.Contains(r.out, "by the administrator") {
		t.Errorf("ContainerUser: exit %d\n%s%s", r.code, r.out, r.err)
	}
	want(t, "name cache", d.silo("exec", id, "nslookup", "s11other", "127.0.0.53"), d.address(other))
	want(t, "a disabled service", d.silo("exec", id, "start-service", "web"), "running")
	until(t, "the web server answers", func() bool {
		return strings.Contains(d.try("exec", id, "wget", "-q", "-O", "-", "http://localhost/").out, "Silo Core")
	})
}

// S12: listening ports are listed, 135 among them; nothing is connected.
func TestS12ListeningPorts(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	d.running(id)
	mapper := false
	for _, row := range d.rows(id, "get-nettcpconnection") {
		if row["state"] != "Listen" {
			t.Errorf("%v is connected", row)
		}
		if number(row["localPort"]) == 135 {
			mapper = true
			if row["processName"] != "epmap" || number(row["owningProcess"]) <= 0 {
				t.Errorf("port 135 is of %v, process %v", row["processName"], row["owningProcess"])
			}
		}
	}
	if !mapper {
		t.Error("nothing listens on port 135")
	}
	want(t, "netstat", d.silo("exec", id, "netstat", "-tlnp"), ":135")
}

// S13: three local user accounts.
func TestS13LocalUsers(t *testing.T) {
	d := useDaemon(t)
	for _, image := range []string{"core", "nano"} {
		id := d.detached(image, "sleep", "100000")
		if image == "nano" { // it has the accounts, though not the command
			want(t, "nano", d.silo("exec", id, "cut", "-d:", "-f1", "/etc/shadow"), "Administrator\nGuest\nDefaultAccount")
			continue
		}
		var names []string
		for _, row := range d.rows(id, "get-localuser") {
			name, _ := row["name"].(string)
			names = append(names, name)
			if row["enabled"] != false || row["description"] == nil {
				t.Errorf("%v: want it disabled and described", row)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, []string{"Administrator", "DefaultAccount", "Guest"}) {
			t.Errorf("accounts: %q", names)
		}
	}
}

// S14: commands run as ContainerAdministrator, who is no local account; there
// is ContainerUser too, on any image.
func TestS14ContainerAdministrator(t *testing.T) {
	d := useDaemon(t)
	if got := d.silo("run", "--rm", "core", "whoami"); got != "ContainerAdministrator" {
		t.Errorf("core runs commands as %q", got)
	}
	if got := d.silo("run", "--rm", "nano", "whoami"); got != "ContainerAdministrator" {
		t.Errorf("nano runs commands as %q", got)
	}
	id := d.sleeper()
	want(t, "id", d.silo("exec", id, "id"), "uid=0(ContainerAdministrator)")
	if got := d.silo("exec", "--user", "ContainerUser", id, "whoami"); got != "ContainerUser" {
		t.Errorf("--user ContainerUser runs commands as %q", got)
	}
	for _, row := range d.rows(id, "whoami", "--priv") {
		if row["kind"] != "privilege" {
			t.Errorf("whoami --priv: %v", row)
		}
	}
	if out := d.silo("exec", "--user", "ContainerUser", id, "whoami", "/priv", "--json"); out != "[]" {
		t.Errorf("ContainerUser has privileges: %s", out)
	}
	if r := d.try("exec", "--user", "ContainerUser", id, "cat", "/etc/shadow"); r.code == 0 {
		t.Error("ContainerUser reads /etc/shadow")
	}
	// An image that knows neither has both.
	d.silo("exec", id, "sh", "-c", "sed -i '/^Container/d' /etc/passwd")
	if got := d.silo("exec", "--user", "ContainerUser", id, "id", "-u"); got != "65530" {
		t.Errorf("without an entry, ContainerUser is %s", got)
	}
	if got := d.silo("exec", "--user", "ContainerAdministrator", id, "id", "-u"); got != "0" {
		t.Errorf("without an entry, ContainerAdministrator is %s", got)
	}
	if r := d.try("exec", "--user", "ContainerNobody", id, "id"); r.code == 0 || !strings.Contains(r.out+r.err, "ContainerNobody") {
		t.Errorf("a user that is not there: exit %d %s%s", r.code, r.out, r.err)
	}
}

// S16: the host connects to a listening port of the container.
func TestS16HostConnects(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	d.running(id)
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(d.address(id), "135"), limit)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Host      string
		Endpoints []struct {
			Protocol, Service string
			Port              int
		}
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	if answer.Host != d.silo("exec", id, "hostname") {
		t.Errorf("answered by %q", answer.Host)
	}
	found := false
	for _, e := range answer.Endpoints {
		found = found || e.Port == 135 && e.Service == "epmap" && e.Protocol == "tcp"
		if e.Port == 53 {
			t.Errorf("the name cache listens on the loopback only and is told all the same: %+v", e)
		}
	}
	if !found {
		t.Errorf("port 135 is not among %s", data)
	}
	want(t, "telnet inside", d.silo("exec", id, "sh", "-c", "telnet localhost 135 </dev/null"), `"port":135`)
}

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/api"
	"silo/internal/testenv"
)

// properties reads both views of a container.
func (d *daemon) properties(container string) (p api.Properties) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.silo("properties", "--json", container)), &p); err != nil {
		d.t.Fatal(err)
	}
	return p
}

// process finds one by its command line.
func process(p api.Properties, args string) *api.ProcessView {
	for i := range p.Processes {
		if strings.Join(p.Processes[i].Args, " ") == args {
			return &p.Processes[i]
		}
	}
	return nil
}

func port(p api.Properties, number uint16) *api.PortView {
	for i := range p.Ports {
		if p.Ports[i].Port == number {
			return &p.Ports[i]
		}
	}
	return nil
}

func property(t *testing.T, p api.Properties, name string) api.Property {
	t.Helper()
	for _, x := range p.Properties {
		if x.Name == name {
			return x
		}
	}
	t.Fatalf("no property %s", name)
	return api.Property{}
}

// expected fails for every property that is not as it should be.
func expected(t *testing.T, p api.Properties) {
	t.Helper()
	if p.Inside != "" {
		t.Fatalf("the inside could not be read: %s", p.Inside)
	}
	for _, x := range p.Properties {
		absent := x.Answer == api.NotSupported && x.Inside == "" && x.Outside == "" // this host has no such thing
		if x.Answer != x.Want && !absent {
			t.Errorf("%s: %s (%q inside, %q outside, %s), want %s", x.Name, x.Answer, x.Inside, x.Outside, x.Detail, x.Want)
		}
	}
	for _, x := range p.Processes {
		if x.Answer != api.Same {
			t.Errorf("process %d %s: %s %s", x.PID, x.Name, x.Answer, x.Detail)
		}
	}
	for _, x := range p.Ports {
		if x.Answer != api.Same {
			t.Errorf("port %d: %s %s", x.Port, x.Answer, x.Detail)
		}
	}
}

func TestPropertiesAgree(t *testing.T) {
	d := useDaemon(t)
	// Services that come up meanwhile are seen by one side only.
	id := d.detached("--wait-services", "--memory", "100m", "--cpus", "1.5", "--pids-limit", "60", "-p", "127.0.0.1::80", "core", "sh", "-c", "nc -l -p 80 & sleep 100000")
	d.silo("exec", "-d", "-u", "nobody", id, "sleep", "4242")
	until(t, "the server listens", func() bool { return port(d.properties(id), 80) != nil })
	p := d.properties(id)
	expected(t, p)
	x := process(p, "sleep 4242")
	if x == nil || x.PIDInside != x.PID || x.UserInside != "nobody" || x.User != "" || x.UID < 65536 || x.Session != p.Session || x.Executable != x.ExecutableInside {
		t.Errorf("the process of nobody: %+v", x)
	}
	if got := port(p, 80).Reach; len(got) != 3 || got[0] != "host" || got[1] != "network" || !strings.HasPrefix(got[2], "outside by 127.0.0.1:") {
		t.Errorf("port 80 can be reached by %v", got)
	}
	if u := p.Usage; u.MemoryLimit != 100<<20 || u.CPULimit != 1.5 || u.ProcessLimit != 60 || u.Processes != len(p.Processes) {
		t.Errorf("usage %+v", u)
	}
	if len(p.Layers) < 2 || p.Disk == nil || p.Disk.Device == "" {
		t.Errorf("layers %v, disk %v", p.Layers, p.Disk)
	}
}

func TestPropertiesOfIsolationPID(t *testing.T) {
	d := useDaemon(t)
	p := d.properties(d.sleeper("--pid", "private"))
	expected(t, p)
	if x := process(p, "sleep 100000"); x == nil || x.PIDInside != 1 || x.PID < 2 {
		t.Errorf("the command: %+v, want 1 inside and the host's number outside", x)
	}
}

// TestPropertiesOfAnyImage: one program, and nothing else at all.
func TestPropertiesOfAnyImage(t *testing.T) {
	d := useDaemon(t)
	dir := t.TempDir()
	mustTool(t, "cp", find("busybox"), filepath.Join(dir, "busybox"))
	archive := filepath.Join(t.TempDir(), "only.tar")
	mustTool(t, "tar", "-C", dir, "-cf", archive, "busybox")
	d.silo("import", archive, "only:1")
	t.Cleanup(func() { d.try("rmi", "-f", "only:1") })
	id := d.detached("--name", "only", "only:1", "/busybox", "sleep", "100000")
	p := d.properties(id)
	expected(t, p)
	if x := process(p, "/busybox sleep 100000"); x == nil || x.Executable != "/busybox" {
		t.Errorf("processes %+v", p.Processes)
	}
}

// TestPropertiesOfALiar: what it says inside is shown as another thing than
// what is so.
func TestPropertiesOfALiar(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", "core", "sh", "-c",
		`sleep 4343 & P=$!
		echo bank > /etc/hostname; hostname bank
		mkdir /tmp/fake; mount -o bind /tmp/fake /proc/$P && echo hidden; sleep 100000`)
	until(t, "the lie is told", func() bool { return strings.Contains(d.silo("logs", id), "hidden") })
	p := d.properties(id)
	x := process(p, "sleep 4343")
	if x == nil || x.PIDInside != 0 || x.Answer != api.Differs || x.Executable == "" {
		t.Errorf("the hidden process: %+v", x)
	}
	if x := property(t, p, "processes"); x.Answer != api.Differs {
		t.Errorf("%+v", x)
	}
	if x := property(t, p, "hostname"); x.Detail == "" { // both sides ask the kernel; the record knows better
		t.Errorf("%+v", x)
	}
	if r := d.try("properties", "--diff", id); r.code != 1 || !strings.Contains(r.out, "it is not to be seen inside") {
		t.Errorf("exit code %d:\n%s", r.code, r.out)
	}
}

func TestPropertiesOfOthers(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--name", "others")
	d.silo("pause", id)
	p := d.properties(id)
	if !strings.Contains(p.Inside, "paused") || property(t, p, "hostname").Outside == "" || process(p, "sleep 100000") == nil {
		t.Errorf("paused: %q, %d processes", p.Inside, len(p.Processes))
	}
	d.silo("unpause", id)
	d.silo("kill", id)
	d.silo("wait", id)
	p = d.properties(id)
	if !strings.Contains(p.Inside, "not running") || !strings.HasPrefix(property(t, p, "os").Outside, "Silo Core") || len(p.Users) == 0 || p.Disk == nil || len(p.Layers) == 0 {
		t.Errorf("stopped: %q, users %v, disk %v, layers %v, os %+v", p.Inside, p.Users, p.Disk, p.Layers, property(t, p, "os"))
	}
	if r := d.try("properties", "nothing-of-this-name"); r.code != 1 || !strings.Contains(r.err, "No such container") {
		t.Errorf("unknown: %+v", r)
	}
}

// TestSessions: each command is asked for the session of a container.
func TestSessions(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--name", "sessions")
	number := d.field(id, "{{.GraphDriver.Data.session}}")
	row := regexp.MustCompile(`(?m)^` + number + ` +` + id[:12] + ` +sessions +\d+-\d+ +\d+ +[\d.]+s +[\d.]+[KM]iB `)
	if got := d.silo("session", "ls"); !row.MatchString(got) {
		t.Errorf("session ls, want a line as %v:\n%s", row, got)
	}
	shown := d.silo("session", "show", number)
	want(t, "session show", shown, "session "+number+" of container sessions ("+id[:12]+")")
	want(t, "session show", shown, d.field(id, "{{.State.Pid}}"))
	want(t, "session show 0", d.silo("session", "show", "0"), "session 0 of the host")
	d.silo("kill", id)
	d.silo("wait", id)
	log := d.silo("session", "log", number)
	for _, part := range []string{" start container " + id[:12], " die container " + id[:12]} {
		want(t, "session log", log, part)
	}
	until(t, "the session has ended", func() bool { // its agent ends a moment later
		r := d.try("session", "show", number)
		return r.code == 1 && strings.Contains(r.err, "no session "+number)
	})
}

func TestDoctor(t *testing.T) {
	d := useDaemon(t)
	out := d.silo("doctor", "--format", "{{.Name}}={{.Answer}}")
	for _, part := range []string{"user namespaces=yes", "owners of an image mapped=yes", "seccomp filters=yes", "free loop device=yes", "mkfs.ext4=yes"} {
		want(t, "doctor", out, part)
	}
	if strings.Contains(out, "=unknown") {
		t.Errorf("as root, with images, everything can be told:\n%s", out)
	}
}

// TestMonitor drives the monitor in a real terminal.
func TestMonitor(t *testing.T) {
	d := useDaemon(t)
	testenv.NeedCommand(t, "tmux", "tmux")
	id := d.sleeper("--name", "watched", "--pids-limit", "40")
	d.silo("exec", "-d", id, "sleep", "4444")
	socket := filepath.Join(t.TempDir(), "tmux")
	tmux := func(args ...string) string {
		t.Helper()
		return mustTool(t, append([]string{"tmux", "-S", socket, "-f", "/dev/null"}, args...)...)
	}
	tmux("new-session", "-d", "-x", "100", "-y", "16", "env", "SILO_HOST="+d.host, "PS1=# ", "sh")
	t.Cleanup(func() { _, _ = tool("tmux", "-S", socket, "kill-server") })
	screen := func() string { return strings.TrimRight(mask(tmux("capture-pane", "-p")), "\n ") }
	sees := func(text string) {
		t.Helper()
		until(t, "text "+text+" on the screen", func() bool { return strings.Contains(screen(), text) })
	}
	tmux("send-keys", filepath.Join(bins, "silo")+" monitor watched", "Enter")
	sees("q quit")
	lines := strings.Split(screen(), "\n")
	for i, part := range []string{"watched  running  isolation process  session N", "CPU       [", "Memory    [", "Processes [", "OUTSIDE   INSIDE  SESSION USER        ID OUTSIDE S  CPU%v   MEMORY NAME"} {
		want(t, fmt.Sprintf("line %d of the screen", i), lines[i], part)
	}
	want(t, "limits", screen(), "] N of N")
	tmux("send-keys", "t")
	tmux("send-keys", "/")
	tmux("send-keys", "4444")
	sees("filter: N_")
	tmux("send-keys", "Enter")
	until(t, "one process is left", func() bool { return strings.Count(screen(), "/bin/box") == 1 })
	tmux("send-keys", "?")
	sees("any key closes this help")
	tmux("send-keys", "x")
	tmux("resize-window", "-x", "30", "-y", "10")
	sees("too small: NxN")
	tmux("resize-window", "-x", "100", "-y", "16")
	sees("filter")
	tmux("send-keys", "q")
	until(t, "the shell is back", func() bool { return strings.HasSuffix(screen(), "#") && !strings.Contains(screen(), "OUTSIDE") })
}

var digits = regexp.MustCompile(`\d+`)

// mask hides the numbers that change.
func mask(s string) string { return digits.ReplaceAllString(s, "N") }

// TestTools runs the tools of core where the image has none.
func TestTools(t *testing.T) {
	d := useDaemon(t)
	dir := t.TempDir()
	mustTool(t, "cp", find("busybox"), filepath.Join(dir, "busybox"))
	archive := filepath.Join(t.TempDir(), "bare.tar")
	mustTool(t, "tar", "-C", dir, "-cf", archive, "busybox")
	d.silo("import", archive, "bare:1")
	t.Cleanup(func() { d.try("rmi", "-f", "bare:1") })
	id := d.detached("bare:1", "/busybox", "sleep", "100000")
	want(t, "get-process", d.silo("tools", id, "get-process"), d.field(id, "{{.State.Pid}}"))
	if r := d.try("tools", id, "no-such-tool"); r.code == 0 {
		t.Errorf("a tool that does not exist: %+v", r)
	}
	d.silo("kill", id)
	d.silo("wait", id)
	if r := d.try("tools", id, "whoami"); r.code != 1 || !strings.Contains(r.err, "is not running") {
		t.Errorf("in a container that does not run: %+v", r)
	}
}

// TestTour: all properties hold, the page in docs is what the tour writes, and
// nothing of it is left.
func TestTour(t *testing.T) {
	d := useDaemon(t)
	page := filepath.Join(t.TempDir(), "tour.md")
	kept := "../docs/tutorial/tour.md"
	if os.Getenv("SILO_GEN") == "1" {
		page = kept
	}
	r := d.try("tour", "--markdown="+page)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatalf("%v; %s", err, r.err)
	}
	if r.code != 0 {
		t.Fatalf("exit code %d: %s%s\n%s", r.code, r.out, r.err, text)
	}
	want(t, "the count", r.out, "29 of 29 properties hold")
	have, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(maskPage(string(have)), maskPage(string(text))); d != "" {
		t.Errorf("%s is not what the tour writes: SILO_GEN=1 go test ./e2e -run TestTour (-have +now):\n%s", kept, d)
	}
	if got := d.silo("ps", "-aq", "--filter", "name=tour-"); got != "" {
		t.Errorf("containers are left: %s", got)
	}
	if out := mustTool(t, "ip", "netns"); strings.Contains(out, "silo-tour") {
		t.Error("the host outside is left")
	}
}

// maskPage hides what differs from host to host: numbers, addresses, ids,
// paths, and how wide the columns are for them; what a list holds beyond the
// tour's own is the host's affair.
func maskPage(s string) string {
	for _, m := range []struct{ is, becomes string }{
		{`(?m)^.*(… and \d+ lines more|TIME=|time=|round-trip).*\n`, ""},
		{`Linux \S+`, "KERNEL"},
		{`#\d.*`, "BUILD"},
		{`/[^ "\n]*(containers|layers|bases|silo-tour)[^ "\],\n]*`, "PATH"},
		{`("PATH",?)+`, `"PATH"`},
		{`silo[a-z0-9]*0\b|\bse[0-9a-f]{3,}\b`, "BRIDGE"}, // of tests' daemons too
		{`\b[0-9a-f]{2}([:-][0-9a-fA-F]{2}){5}\b`, "MAC"},
		{`\b[0-9a-f]{12,64}\b`, "ID"},
		{`[0-9][0-9.,:/_-]*[0-9A-Za-z.]*`, "N"},
		{`[ \t]+`, " "},
		{`-{3,}`, "---"},
	} {
		s = regexp.MustCompile(m.is).ReplaceAllString(s, m.becomes)
	}
	lines := strings.Split(s, "\n") // what runs for a moment comes in any order, and more than once
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// TestTablesAgree: what silod writes as text is what the command line makes of
// JSON, which a global flag leaves it to do.
func TestTablesAgree(t *testing.T) {
	d := useDaemon(t)
	d.detached("--wait-services", "--name", "tables", "-p", "127.0.0.1::80", "-p", "127.0.0.1::81/udp", "core", "sleep", "100000")
	d.sleeper("--label", "a=b")
	// What is used, which is cut where it gets long; sizes and times, and the room
	// that columns take for them.
	changing := regexp.MustCompile(`(?m)^Uses .*|Less than a second|[0-9.]+( ?[kMG]?B| ?ms| seconds?)?`)
	room := regexp.MustCompile(` +`)
	same := func(s string) string { return room.ReplaceAllString(changing.ReplaceAllString(s, "N"), " ") }
	for _, line := range []string{"ps", "ps -a", "ps -q", "ps -aq --no-trunc", "ps --no-trunc", "ps -s", "properties tables"} {
		args := strings.Fields(line)
		text, table := d.silo(args...), d.silo(append([]string{"-H", d.host}, args...)...)
		if diff := cmp.Diff(same(table), same(text)); diff != "" || text == "" {
			t.Errorf("silo %s (-JSON +text):\n%s", line, diff)
		}
	}
}

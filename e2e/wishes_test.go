package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/container"
)

// make creates a container by the API and gives its id.
func (d *daemon) make(body string) string {
	d.t.Helper()
	var made struct{ ID, Message string }
	if code := d.ask("POST", "/v1.48/containers/create", body, &made); code != 201 {
		d.t.Fatalf("create %s: %d %s", body, code, made.Message)
	}
	d.t.Cleanup(func() { d.try("rm", "-f", "-v", made.ID) })
	return made.ID
}

// A container is known by its aliases, also after another name for it and to
// another silod.
func TestAliases(t *testing.T) {
	d := ownDaemon(t, 0)
	id := d.make(`{"Image":"core","Cmd":["sleep","100000"],"NetworkingConfig":{"EndpointsConfig":{"nat":{"Aliases":["books","db.books"]}}}}`)
	d.silo("start", id)
	asked := func(when string) {
		t.Helper()
		address := d.field(id, "{{.NetworkSettings.Networks.nat.IPAddress}}")
		out := d.silo("run", "--rm", "core", "sh", "-c", "ping -c 1 books; ping -c 1 db.books")
		want(t, when, out, "PING books ("+address+")")
		want(t, when, out, "PING db.books ("+address+")")
	}
	asked("aliases")
	d.silo("rename", id, "library")
	asked("aliases after a new name")
	if got, want := d.field(id, "{{.NetworkSettings.Networks.nat.Aliases}} {{.NetworkSettings.Networks.nat.DNSNames}}"), "[books db.books] [library books db.books "+id[:12]+"]"; got != want {
		t.Errorf("inspect shows %s, want %s", got, want)
	}
	if err := d.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	asked("aliases after silod's restart")
}

// What cannot be had is refused by its name.
func TestRefusedWishes(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	create := func(rest string) [2]string {
		return [2]string{"/v1.48/containers/create", `{"Image":"core","Cmd":["true"],` + rest + `}`}
	}
	update := func(body string) [2]string { return [2]string{"/v1.48/containers/" + id + "/update", body} }
	for _, tt := range []struct {
		ask  [2]string
		says string
	}{
		{create(`"HostConfig":{"NetworkMode":"none"},"NetworkingConfig":{"EndpointsConfig":{"none":{"Aliases":["x"]}}}`), "alias"},
		{create(`"HostConfig":{"NetworkMode":"host"},"NetworkingConfig":{"EndpointsConfig":{"host":{"Aliases":["x"]}}}`), "alias"},
		{create(`"NetworkingConfig":{"EndpointsConfig":{"nat":{"IPAMConfig":{"IPv6Address":"fd00::2"}}}}`), `IPv6Address "fd00::2"`},
		{create(`"NetworkingConfig":{"EndpointsConfig":{"nat":{"IPAMConfig":{"LinkLocalIPs":["169.254.1.2"]}}}}`), "LinkLocalIPs"},
		{create(`"NetworkingConfig":{"EndpointsConfig":{"nat":{"GwPriority":5}}}`), "GwPriority 5"},
		{create(`"Healthcheck":{"Test":["SHELL","true"]}`), `"SHELL"`},
		{create(`"HostConfig":{"Ulimits":[null]}`), "Ulimits"},
		{create(`"HostConfig":{"ExtraHosts":["a b:10.0.0.1"]}`), `"a b:10.0.0.1"`},
		{create(`"HostConfig":{"ExtraHosts":["a:10.0.0"]}`), `"a:10.0.0"`},
		{update(`{"Ulimits":[{"Name":"nofile","Soft":1,"Hard":1}]}`), "Ulimits"},
		{update(`{"Devices":[{"PathOnHost":"/dev/null"}]}`), "Devices"},
		{update(`{"CgroupParent":"/x"}`), "CgroupParent"},
	} {
		var answer struct{ ID, Message string }
		if code := d.ask("POST", tt.ask[0], tt.ask[1], &answer); code != 400 || !strings.Contains(answer.Message, tt.says) {
			t.Errorf("%s: %d %q, want 400 and %s", tt.ask[1], code, answer.Message, tt.says)
			d.try("rm", answer.ID)
		}
	}
	if r := d.try("run", "--rm", "-p", "[::]:21461:80", "core", "true"); r.code != 125 || !strings.Contains(r.err, "IPv4") {
		t.Errorf("publish for IPv6 alone: %+v", r)
	}
	for _, filter := range []string{"publish=x", "publish=80/icmp", "expose=90-80"} {
		if r := d.try("ps", "--filter", filter); r.code == 0 || !strings.Contains(r.err, filter) {
			t.Errorf("ps --filter %s: %+v", filter, r)
		}
	}
}

func TestListByNetworkAndPort(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("-p", "127.0.0.1::8080", "--expose", "5353/udp")
	network := d.silo("network", "inspect", "--format", "{{.ID}}", "nat")
	for filter, found := range map[string]bool{
		"network=" + network: true, "network=" + network[:12]: true, "network=" + id: false,
		"publish=8000-8100": true, "publish=8080/tcp": true, "publish=8080/udp": false, "expose=5353": false, "expose=5000-6000/udp": true,
	} {
		if got := strings.Contains(d.silo("ps", "-q", "--filter", filter), id[:12]); got != found {
			t.Errorf("ps --filter %s finds it: %t", filter, got)
		}
	}
}

// A volume that a mount makes has its labels; one without a name is
// anonymous, and goes with a prune.
func TestVolumeLabels(t *testing.T) {
	d := ownDaemon(t, 0)
	d.make(`{"Image":"core","Cmd":["true"],"HostConfig":{"Mounts":[{"Type":"volume","Source":"labelled","Target":"/x","VolumeOptions":{"Labels":{"a":"b"}}}]}}`)
	if got := d.silo("volume", "inspect", "--format", "{{.Labels}}", "labelled"); got != "map[a:b]" {
		t.Errorf("labels of the mount's volume: %s", got)
	}
	var v struct {
		Name   string
		Labels map[string]string
	}
	d.ask("POST", "/v1.48/volumes/create", `{"Labels":{"c":"d"}}`, &v)
	if _, ok := v.Labels["com.docker.volume.anonymous"]; !ok || v.Labels["c"] != "d" {
		t.Errorf("labels of a volume without a name: %v", v.Labels)
	}
	want(t, "volume prune", d.silo("volume", "prune", "-f"), v.Name)
	d.silo("volume", "inspect", "labelled")
}

// Every exec that was told to start is told to end, also those that end with
// their container.
func TestExecsEndWithContainer(t *testing.T) {
	d := useDaemon(t)
	for range 5 {
		id := d.sleeper()
		since := d.silo("info", "--format", "{{.SystemTime}}")
		for range 3 {
			d.silo("exec", "-d", id, "sleep", "50")
		}
		d.silo("kill", id)
		d.silo("wait", id)
		var ids []string
		until(t, "container and execs are told to have ended", func() bool {
			out := d.silo("events", "--since", since, "--until", d.silo("info", "--format", "{{.SystemTime}}"), "--filter", "container="+id, "--format", "{{.Action}} {{.Actor.Attributes.execID}}")
			ids = nil
			for line := range strings.Lines(out) {
				if exec, ok := strings.CutPrefix(strings.TrimSpace(line), "exec_die "); ok {
					ids = append(ids, exec)
				}
			}
			return len(ids) >= 3 && strings.Contains(out, "die ")
		})
		slices.Sort(ids)
		if len(slices.Compact(slices.Clone(ids))) != 3 || len(ids) != 3 {
			t.Errorf("ends of three execs: %v", ids)
		}
	}
}

// The sandbox that waits for a container's start is not its use.
func TestStatsBeforeStart(t *testing.T) {
	d := useDaemon(t)
	id := d.silo("create", "core", "true")
	t.Cleanup(func() { d.try("rm", "-f", id) })
	var s container.StatsResponse
	d.ask("GET", "/v1.48/containers/"+id+"/stats?stream=false&one-shot=true", "", &s)
	if s.CPUStats.SystemUsage != 0 || s.MemoryStats.Usage != 0 || s.MemoryStats.Limit != 0 || s.PidsStats.Current != 0 {
		t.Errorf("before its start it uses %+v %+v %+v", s.CPUStats, s.MemoryStats, s.PidsStats)
	}
}

func TestShownMounts(t *testing.T) {
	d := useDaemon(t)
	id := d.silo("create", "--tmpfs", "/a", "--mount", "type=tmpfs,target=/b", "core", "true")
	t.Cleanup(func() { d.try("rm", "-f", id) })
	if got := d.field(id, "{{range .Mounts}}{{.Type}} {{.Destination}};{{end}}{{.HostConfig.Tmpfs}}"); got != "tmpfs /b;map[/a:]" {
		t.Errorf("mounts %s", got)
	}
}

// A bind mount that is asked to be read-only with all below it is that.
func TestRecursiveReadOnly(t *testing.T) {
	d := useDaemon(t)
	dir := t.TempDir()
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	mustTool(t, "mount", "-t", "tmpfs", "e2e", below)
	t.Cleanup(func() { mustTool(t, "umount", below) })
	id := d.make(`{"Image":"core","Cmd":["sh","-c","touch /m/x || touch /m/below/x || echo neither"],"HostConfig":{"Mounts":[
		{"Type":"bind","Source":"` + dir + `","Target":"/m","ReadOnly":true,"BindOptions":{"Propagation":"rprivate","ReadOnlyForceRecursive":true}}]}}`)
	if got := d.silo("start", "-a", id); !strings.Contains(got, "neither") {
		t.Errorf("written to a read-only mount: %q", got)
	}
}

// On the network of the host or of another container a container goes by their
// name, and has their hosts file or address.
func TestHostnameOfTheNetwork(t *testing.T) {
	d := useDaemon(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	if got := d.silo("run", "--rm", "--network", "host", "core", "hostname"); got != host {
		t.Errorf("on the host's network it is %q, the host %q", got, host)
	}
	got := d.silo("run", "--rm", "--network", "host", "--add-host", "more:192.0.2.1", "core", "cat", "/etc/hosts")
	if want := strings.TrimRight(string(file), "\n") + "\n192.0.2.1\tmore"; got != want {
		t.Errorf("/etc/hosts on the host's network is %q, want %q", got, want)
	}
	if got := d.silo("run", "--rm", "--network", "host", "-h", "own", "core", "hostname"); got != "own" {
		t.Errorf("a name that was asked for became %q", got)
	}
	d.silo("run", "--rm", "--network", "host", "--uts", "host", "core", "true")
	other := d.sleeper("-h", "giver")
	if got := d.silo("run", "--rm", "--network", "container:"+other, "core", "sh", "-c", "hostname; grep -c giver /etc/hosts"); got != "giver\n1" {
		t.Errorf("on another's network it is %q", got)
	}
	giver := d.sleeper("--add-host", "foo:192.0.2.1", "--dns", "192.0.2.53", "--dns-search", "giver.example")
	between := d.sleeper("--network", "container:"+giver)
	const files = "cat /etc/hosts /etc/resolv.conf"
	if want, got := d.silo("exec", giver, "sh", "-c", files), d.silo("run", "--rm", "--network", "container:"+between, "core", "sh", "-c", files); got != want {
		t.Errorf("at the end of a chain of networks: %q, want %q", got, want)
	}
	hosts := d.sleeper("--network", "host")
	if want, got := d.silo("exec", hosts, "sh", "-c", files), d.silo("run", "--rm", "--network", "container:"+hosts, "core", "sh", "-c", files); got != want {
		t.Errorf("with one that is on the host's network: %q, want %q", got, want)
	}
}

// The mounts of a volume are told, as its making is.
func TestVolumeEvents(t *testing.T) {
	d := useDaemon(t)
	since := d.silo("info", "--format", "{{.SystemTime}}")
	t.Cleanup(func() { d.try("volume", "rm", "-f", "told") })
	d.silo("run", "--rm", "-v", "told:/v:ro", "core", "true")
	got := d.silo("events", "--since", since, "--until", d.silo("info", "--format", "{{.SystemTime}}"), "--filter", "volume=told",
		"--format", "{{.Action}} {{.Actor.Attributes.destination}} {{index .Actor.Attributes \"read/write\"}}")
	if lines := strings.Split(got, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "create") || lines[1] != "mount /v false" || lines[2] != "unmount /v false" {
		t.Errorf("events of the volume: %q", got)
	}
}

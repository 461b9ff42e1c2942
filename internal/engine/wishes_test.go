package engine

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"

	"silo/internal/cgroup"
	"silo/internal/errs"
	"silo/internal/filter"
	silonet "silo/internal/network"
)

func endpoint(name string, ep network.EndpointSettings) *network.NetworkingConfig {
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{name: &ep}}
}

func TestAliases(t *testing.T) {
	w, err := endpointWishes("nat", endpoint("bridge", network.EndpointSettings{Aliases: []string{"db", "db.example"}}))
	if diff := cmp.Diff([]string{"db", "db.example"}, w.aliases); err != nil || diff != "" {
		t.Errorf("aliases: %v %s", err, diff)
	}
	for _, mode := range []string{"none", "host", "container:x"} {
		if _, err := endpointWishes(mode, endpoint(mode, network.EndpointSettings{Aliases: []string{"db"}})); !errs.Is(err, errs.Invalid) {
			t.Errorf("an alias on %s: %v", mode, err)
		}
	}
	for _, alias := range []string{"", "a b", "a..b", "a\n", strings.Repeat("x", 64)} {
		if _, err := endpointWishes("nat", endpoint("nat", network.EndpointSettings{Aliases: []string{alias}})); !errs.Is(err, errs.Invalid) {
			t.Errorf("alias %q: %v", alias, err)
		}
	}
	r := &configRecord{ID: "0123456789abcdef", Name: "n", Config: &container.Config{Hostname: "db"}, HostConfig: &container.HostConfig{NetworkMode: "nat"}, Aliases: w.aliases}
	want := []string{"n", "db", "db.example", "0123456789ab"}
	if diff := cmp.Diff(want, knownNames(r)); diff != "" {
		t.Error(diff)
	}
	got := (&Engine{}).networks(r, stateRecord{})["nat"]
	if diff := cmp.Diff([][]string{w.aliases, want}, [][]string{got.Aliases, got.DNSNames}); diff != "" {
		t.Error(diff)
	}
}

func TestEndpointRefuses(t *testing.T) {
	six := netip.MustParseAddr("fd00::2")
	for field, ep := range map[string]network.EndpointSettings{
		"IPv6Address":  {IPAMConfig: &network.EndpointIPAMConfig{IPv6Address: six}},
		"LinkLocalIPs": {IPAMConfig: &network.EndpointIPAMConfig{LinkLocalIPs: []netip.Addr{six}}},
		"GwPriority":   {GwPriority: -1},
	} {
		if _, err := endpointWishes("nat", endpoint("nat", ep)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v, want a refusal that names it", field, err)
		}
	}
}

func TestHealthTestWord(t *testing.T) {
	for word, ok := range map[string]bool{"NONE": true, "CMD": true, "CMD-SHELL": true, "": true, "SHELL": false, "cmd": false, "true": false} {
		if err := checkHealth(&container.HealthConfig{Test: []string{word, "true"}}); (err == nil) != ok || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("a check that begins with %q: %v", word, err)
		}
	}
	if err := checkHealth(&container.HealthConfig{}); err != nil {
		t.Error(err)
	}
}

func TestNullUlimit(t *testing.T) {
	h := &container.HostConfig{Resources: container.Resources{Ulimits: []*container.Ulimit{nil}}}
	if err := (&Engine{}).defaults(&configRecord{Config: &container.Config{}, HostConfig: h}); !errs.Is(err, errs.Invalid) {
		t.Errorf("null among the ulimits: %v", err)
	}
}

func TestExtraHosts(t *testing.T) {
	for in, want := range map[string][2]string{
		"a:10.0.0.1": {"a", "10.0.0.1"}, "a=10.0.0.1": {"a", "10.0.0.1"}, "a:::1": {"a", "::1"}, "a=::1": {"a", "::1"}, "a:[::1]": {"a", "::1"},
		"a.b:host-gateway": {"a.b", "host-gateway"}, "a=host-gateway": {"a", "host-gateway"},
	} {
		if name, addr, err := extraHost(in); err != nil || [2]string{name, addr} != want {
			t.Errorf("extraHost(%q) = %q, %q, %v; want %q", in, name, addr, err, want)
		}
	}
	for _, in := range []string{"", "a", "a:", ":10.0.0.1", "a:10.0.0", "a:b", "a b:10.0.0.1", "a\n10.0.0.9 bank:10.0.0.1", "a\x00:10.0.0.1", "#a:10.0.0.1", "a:10.0.0.1 b", "a=fe80::1%eth0", "a:b=10.0.0.1"} {
		if _, _, err := extraHost(in); !errs.Is(err, errs.Invalid) {
			t.Errorf("extraHost(%q): %v", in, err)
		}
		if err := (&Engine{}).checkConfig(&container.Config{}, &container.HostConfig{ExtraHosts: []string{in}}); !errs.Is(err, errs.Invalid) {
			t.Errorf("create with the extra host %q: %v", in, err)
		}
	}
	r := &configRecord{Config: &container.Config{}, HostConfig: &container.HostConfig{ExtraHosts: []string{"a=::1", "bad"}}}
	if got := (&Engine{}).hosts(r, nil); !strings.HasSuffix(got, "\n::1\ta\n") {
		t.Errorf("/etc/hosts:\n%s", got)
	}
}

func TestVolumeLabels(t *testing.T) {
	e := &Engine{volumes: &volumeStore{dir: t.TempDir()}}
	label := map[string]string{"a": "b"}
	both := map[string]string{"a": "b", anonLabel: ""}
	h := &container.HostConfig{Mounts: []mount.Mount{
		{Type: mount.TypeVolume, Source: "named", Target: "/named/", VolumeOptions: &mount.VolumeOptions{Labels: label}},
		{Type: mount.TypeVolume, Target: "/without", VolumeOptions: &mount.VolumeOptions{Labels: label}},
	}}
	records, _, err := e.resolveMounts(&container.Config{Volumes: map[string]struct{}{"/image": {}}}, h)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]string{"/named": label, "/without": both, "/image": {anonLabel: ""}}
	for _, m := range records {
		v, err := e.volumes.get(m.Name)
		if diff := cmp.Diff(want[m.Target], v.Labels); err != nil || diff != "" {
			t.Errorf("the volume at %s: %v %s", m.Target, err, diff)
		}
	}
	v, err := e.VolumeCreate(t.Context(), volume.CreateRequest{Labels: label})
	if diff := cmp.Diff(both, v.Labels); err != nil || diff != "" {
		t.Errorf("a volume without a name: %v %s", err, diff)
	}
	if len(label) != 1 {
		t.Errorf("the request was changed: %v", label)
	}
}

func TestUpdateRefuses(t *testing.T) {
	e := &Engine{}
	for field, r := range map[string]container.Resources{
		"Ulimits": {Ulimits: []*container.Ulimit{nil}}, "Devices": {Devices: []container.DeviceMapping{{}}}, "CgroupParent": {CgroupParent: "/x"},
	} {
		if _, err := e.ContainerUpdate(t.Context(), "none", container.UpdateConfig{Resources: r}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v, want a refusal that names it", field, err)
		}
	}
}

// A container is not found by a change that has waited for its removal, and a
// damaged record is not written over.
func TestChangeOfRemoved(t *testing.T) {
	e, c := execEngine()
	e.names = map[string]string{}
	c.dir = t.TempDir()
	e.containers["abc"] = c
	for state, kind := range map[container.ContainerState]errs.Kind{container.StateRemoving: errs.NotFound, container.StateDead: errs.Conflict} {
		c.st.State = state
		if err := e.ContainerRename(t.Context(), "abc", "other"); !errs.Is(err, kind) {
			t.Errorf("rename of one that is %s: %v", state, err)
		}
		if _, err := e.ContainerUpdate(t.Context(), "abc", container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: "always"}}); !errs.Is(err, kind) {
			t.Errorf("update of one that is %s: %v", state, err)
		}
	}
}

func TestPortFilters(t *testing.T) {
	r := &configRecord{
		Config:     &container.Config{ExposedPorts: network.PortSet{network.MustParsePort("80/tcp"): {}, network.MustParsePort("53/udp"): {}}},
		HostConfig: &container.HostConfig{PortBindings: network.PortMap{network.MustParsePort("80/tcp"): {{HostPort: "8080"}}}},
	}
	st := stateRecord{Endpoint: &silonet.Endpoint{Ports: []silonet.PortMapping{{Proto: "tcp", ContainerPort: 80, HostPort: 8080}}}}
	exposed := []network.Port{network.MustParsePort("80/tcp"), network.MustParsePort("53/udp")}
	for in, want := range map[string][2]bool{ // exposed, published
		"80": {true, true}, "80/tcp": {true, true}, "80/udp": {}, "53": {}, "53/udp": {true, false}, "79-81": {true, true}, "81-90": {},
		"50-60/UDP": {true, false}, "8000-9000/tcp": {false, true}, "8080": {false, true},
	} {
		ranges, err := portRanges(filter.Args{"k": {"1", in}}, "k")
		if got := [2]bool{anyWithin(ranges, exposed), anyWithin(ranges, publishedPorts(r, st))}; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
	}
	if !anyWithin(nil, nil) {
		t.Error("without the filter there is no match")
	}
	if !slices.Contains(publishedPorts(r, stateRecord{}), exposed[0]) {
		t.Error("one that does not run is not found by what it publishes")
	}
	for _, in := range []string{"", "x", "80/", "80/icmp", "90-80", "80-", "-80", "65536", "1.2.3.4:80", "80/tcp/x"} {
		if _, err := portRanges(filter.Args{"publish": {in}}, "publish"); !errs.Is(err, errs.Invalid) {
			t.Errorf("publish=%s: %v", in, err)
		}
		for _, key := range []string{"publish", "expose"} {
			if _, err := (&Engine{}).listFilter(filter.Args{key: {in}}); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s=%s: %v", key, in, err)
			}
		}
	}
}

func TestNetworkFilterByID(t *testing.T) {
	e := &Engine{natID: "0a1b2c", id: "x"}
	r := &configRecord{HostConfig: &container.HostConfig{NetworkMode: "nat"}}
	for in, want := range map[string]bool{"0a1b2c": true, "0a1": true, "nat": true, "bridge": true, "": false, "0a1b2c3": false, "a1": false, e.networkID("none")[:12]: false} {
		if got := e.onNetwork(filter.Args{"network": {in}}, r); got != want {
			t.Errorf("network=%s: %t, want %t", in, got, want)
		}
	}
	r.HostConfig.NetworkMode = "none"
	if !e.onNetwork(filter.Args{"network": {e.networkID("none")[:12]}}, r) || !e.onNetwork(nil, r) {
		t.Error("one on none is not found")
	}
}

// One that was never started has a sandbox parked for it, which is not shown.
func TestStatsOfCreated(t *testing.T) {
	e, c := execEngine()
	e.containers["abc"] = c
	c.box = &sandbox{group: cgroup.New(cgroup.Layout{}, "silo", "abc")}
	s, err := e.measure(c)
	if err != nil || s.CPUStats.SystemUsage != 0 || s.MemoryStats.Usage != 0 || s.PidsStats.Current != 0 {
		t.Errorf("%+v, %v; want zeros", s, err)
	}
}

func TestMountPoints(t *testing.T) {
	r := &configRecord{
		HostConfig: &container.HostConfig{Tmpfs: map[string]string{"/t": ""}, Mounts: []mount.Mount{{Type: mount.TypeTmpfs, Target: "/m/"}}},
		Mounts:     []mountRecord{{Type: "tmpfs", Target: "/m"}, {Type: "tmpfs", Target: "/t"}, {Type: "volume", Target: "/v"}},
	}
	var got []string
	for _, m := range mountPoints(r) {
		got = append(got, m.Destination)
	}
	if diff := cmp.Diff([]string{"/m", "/v"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPublishIPv6(t *testing.T) {
	any6, any4, one6 := netip.IPv6Unspecified(), netip.IPv4Unspecified(), netip.MustParseAddr("::1")
	for _, tt := range []struct {
		list []network.PortBinding
		n    int // published; 0: refused
	}{
		{[]network.PortBinding{{HostIP: any4, HostPort: "81"}, {HostIP: any6, HostPort: "81"}}, 1},
		{[]network.PortBinding{{HostIP: any6, HostPort: "81"}, {HostPort: "81"}}, 1},
		{[]network.PortBinding{{HostIP: any4}, {HostIP: any6}}, 1},
		{[]network.PortBinding{{HostIP: any6, HostPort: "81"}}, 0},
		{[]network.PortBinding{{HostIP: any6, HostPort: "81"}, {HostIP: any4, HostPort: "82"}}, 0},
		{[]network.PortBinding{{HostIP: any6, HostPort: "81"}, {HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "81"}}, 0},
		{[]network.PortBinding{{HostIP: one6, HostPort: "81"}, {HostIP: any4, HostPort: "81"}}, 0},
	} {
		r := &configRecord{Config: &container.Config{}, HostConfig: &container.HostConfig{PortBindings: network.PortMap{network.MustParsePort("80/tcp"): tt.list}}}
		got, err := publishList(r)
		if len(got) != tt.n || (tt.n == 0) != errs.Is(err, errs.NotSupported) {
			t.Errorf("%v: %v, %v; want %d", tt.list, got, err, tt.n)
		}
	}
}

func TestRecursiveReadOnly(t *testing.T) {
	m := mount.Mount{Type: mount.TypeBind, Source: "/a", Target: "/b", ReadOnly: true, BindOptions: &mount.BindOptions{ReadOnlyForceRecursive: true}}
	if got, err := parseMount(m); err != nil || !got.ReadOnly || got.NonRec {
		t.Errorf("%+v, %v", got, err)
	}
	m.ReadOnly = false
	if _, err := parseMount(m); !errs.Is(err, errs.Invalid) {
		t.Errorf("recursively read-only, and not read-only: %v", err)
	}
	m.ReadOnly, m.BindOptions = true, &mount.BindOptions{ReadOnlyNonRecursive: true}
	if _, err := parseMount(m); !errs.Is(err, errs.Invalid) {
		t.Errorf("read-only, and not recursively: %v", err)
	}
}

// Each start of an exec that was told of is followed by one end, whoever
// learns of it first.
func TestExecDie(t *testing.T) {
	e, c := execEngine()
	events := e.bus.Subscribe(t.Context(), time.Time{}, time.Time{}, filter.Args{"event": {"exec_die"}})
	for _, id := range []string{"lost", "seen", "untold", "idle"} {
		x := newExecution(e, c, id)
		x.ran, x.untold = id != "idle", true
		if id == "lost" || id == "seen" {
			x.tellStart()
		}
	}
	seen := e.execs["seen"]
	seen.finish(3)
	seen.finish(4)
	e.endExecs(c)
	e.execs["lost"].finish(0) // the keeper's word comes late
	e.execs["untold"].tellStart()
	got := map[string]string{}
	for range 2 {
		m := <-events
		got[m.Actor.Attributes["execID"]] += m.Actor.Attributes["exitCode"] + " "
	}
	if diff := cmp.Diff(map[string]string{"seen": "3 ", "lost": "137 "}, got); diff != "" {
		t.Error(diff)
	}
	select {
	case m := <-events:
		t.Errorf("one more: %v", m)
	default:
	}
}

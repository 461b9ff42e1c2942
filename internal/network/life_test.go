package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"silo/internal/errs"
)

// state is what the host shows of a network: rule set, links, addresses,
// routes, settings.
func (l *lab) state() string {
	l.t.Helper()
	out := strings.Split(l.must(l.host, "nft", "-s", "list", "ruleset"), "\n")
	l.do(l.host, func(h *netlink.Handle) {
		links, err := h.LinkList()
		l.ok(err)
		for _, i := range links {
			a := i.Attrs()
			out = append(out, fmt.Sprint(a.Name, i.Type(), a.MTU, a.Alias, a.Flags&net.FlagUp))
		}
	})
	out = append(out, l.must(l.host, "ip", "-4", "-o", "addr"), l.must(l.host, "ip", "route"),
		l.must(l.host, "sysctl", "net.ipv4.ip_forward"))
	// Numbers of links, and whether a bridge without ports knows that yet.
	return volatile.ReplaceAllString(strings.Join(out, "\n"), "")
}

var volatile = regexp.MustCompile(`(?m)^\d+: | linkdown`)

func TestOpenTwice(t *testing.T) {
	l := newLab(t)
	before := l.state()
	n := l.open(l.config("silo0"))
	first := l.state()
	id := n.Inspect().ID
	l.ok(n.Close())
	if diff := cmp.Diff(first, l.state()); diff != "" {
		t.Errorf("Close changed the host: %s", diff)
	}
	n = l.open(l.config("silo0"))
	if diff := cmp.Diff(first, l.state()); diff != "" {
		t.Errorf("the second Open changed the host: %s", diff)
	}
	if n.Inspect().ID != id {
		t.Error("the second Open has another id")
	}
	l.ok(n.Remove(context.Background()))
	if diff := cmp.Diff(before, l.state()); diff != "" {
		t.Errorf("Remove leaves: %s", diff)
	}
	if _, err := os.Stat(n.recordPath()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("record: %v", err)
	}
}

// TestOpenRepairs breaks a network as a killed daemon or an administrator
// would have left it, and opens it again.
func TestOpenRepairs(t *testing.T) {
	for name, broken := range map[string][][]string{
		"bare bridge":   {{"ip", "link", "del", "silo0"}, {"ip", "link", "add", "silo0", "type", "bridge"}, {"nft", "delete", "table", "inet", "silo"}},
		"no address":    {{"ip", "addr", "flush", "dev", "silo0"}, {"ip", "link", "set", "silo0", "down"}},
		"no bridge":     {{"ip", "link", "del", "silo0"}},
		"no rules":      {{"nft", "flush", "ruleset"}},
		"no forwarding": {{"sysctl", "net.ipv4.ip_forward=0"}},
		"half a table":  {{"nft", "flush", "table", "inet", "silo"}, {"nft", "delete", "chain", "inet", "silo", "forward"}},
		"table of another version": {
			{"nft", "delete", "table", "inet", "silo"},
			{"nft", "add", "table", "inet", "silo"},
			{"nft", "add map inet silo ports { type inet_service : ipv4_addr; }"},
		},
		"no mtu": {{"ip", "link", "set", "silo0", "mtu", "900"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			n := l.open(l.config("silo0"))
			want := l.state()
			l.ok(n.Close())
			for _, c := range broken {
				l.must(l.host, c...)
			}
			l.open(l.config("silo0"))
			if diff := cmp.Diff(want, l.state()); diff != "" {
				t.Errorf("not repaired: %s", diff)
			}
		})
	}
}

func TestRestartAndSweep(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	n := l.open(l.config("silo0"))
	kept, lost := l.container(n, "kept"), l.container(n, "lost")
	l.serve(kept.ns, "kept", 7000)
	ports, err := n.Publish(ctx, kept.ep, []PortMapping{{Proto: "tcp", HostPort: 8000, ContainerPort: 7000}, {Proto: "udp", HostPort: 8000, ContainerPort: 7000}})
	l.ok(err)
	_, err = n.Publish(ctx, lost.ep, []PortMapping{{Proto: "tcp", HostPort: 8001, ContainerPort: 7000}})
	l.ok(err)
	l.must(l.host, "ip", "link", "add", "slstranger", "type", "veth", "peer", "name", "slstranger2")
	l.ok(n.Close())
	l.reaches("while no daemon runs", l.outside, addr(hostIP), 8000, "kept saw "+outsideIP)

	// The engine keeps endpoints as JSON.
	ep := kept.ep
	ep.Ports = ports
	data, err := json.Marshal(ep)
	l.ok(err)
	var again Endpoint
	l.ok(json.Unmarshal(data, &again))
	if diff := cmp.Diff(ep, again, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Fatal(diff)
	}
	n = l.open(l.config("silo0"))
	n.Adopt([]Endpoint{again})
	removed, err := n.Sweep(ctx)
	l.ok(err)
	if diff := cmp.Diff([]string{"veth " + lost.ep.HostIf, "published port 0.0.0.0:8001/tcp"}, removed); diff != "" {
		t.Error(diff)
	}
	if removed, err := n.Sweep(ctx); len(removed) > 0 || err != nil {
		t.Errorf("second Sweep: %q, %v", removed, err)
	}
	l.must(l.host, "ip", "link", "show", "slstranger")
	l.reaches("after the sweep", l.outside, addr(hostIP), 8000, "kept saw "+outsideIP)
	if next := l.container(n, "next"); next.ep.IP == ep.IP {
		t.Errorf("address %s given twice", ep.IP)
	}
	l.ok(n.Unplug(ctx, again))
	l.ok(n.Unplug(ctx, again))
	l.blocked("after Unplug", l.outside, addr(hostIP), 8000)
}

func TestBridgeDeletedUnderContainers(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	n := l.open(l.config("silo0"))
	c := l.container(n, "c")
	l.serve(c.ns, "c", 7000)
	l.ok(n.Close())
	l.must(l.host, "ip", "link", "del", "silo0")
	n = l.open(l.config("silo0"))
	n.Adopt([]Endpoint{c.ep})
	_, err := n.Sweep(ctx)
	l.ok(err)
	l.reaches("on the new bridge", l.host, c.ep.IP, 7000, "c saw "+n.Gateway().String())

	l.must(l.host, "ip", "link", "del", "silo0") // and while we look
	eventually(t, "the bridge, with the container on it", func() bool {
		return strings.Contains(l.must(l.host, "ip", "-o", "link", "show", "type", "veth"), "master silo0")
	})
	l.reaches("on the bridge that was made again", l.host, c.ep.IP, 7000, "c saw "+n.Gateway().String())
	l.must(l.host, "ip", "addr", "flush", "dev", "silo0")
	eventually(t, "the gateway's address", func() bool {
		return strings.Contains(l.must(l.host, "ip", "addr", "show", "silo0"), n.Gateway().String())
	})
	time.Sleep(3 * quiet) // whatever has told of other changes
	l.must(l.host, "ip", "link", "set", "silo0", "down")
	eventually(t, "the bridge up", func() bool { return strings.Contains(l.must(l.host, "ip", "link", "show", "silo0"), ",UP") })
	l.must(l.host, "ip", "link", "del", "silo0")
	again := l.container(n, "at-once") // before anybody has looked
	l.ok(errors.Join(n.Unplug(ctx, c.ep), n.Unplug(ctx, again.ep)))
}

func TestTwoNetworksSideBySide(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	l.must(l.host, "iptables-nft", "-P", "FORWARD", "DROP")
	before := l.must(l.host, "iptables-nft", "-S")
	one, two := l.open(l.config("silo0")), l.open(l.config("test-br1"))
	if one.Subnet().Overlaps(two.Subnet()) {
		t.Fatalf("%s and %s", one.Subnet(), two.Subnet())
	}
	one.reconcile(ctx)
	a, b := l.container(one, "same id"), l.container(two, "same id")
	if a.ep.HostIf == b.ep.HostIf {
		t.Errorf("both host ends are named %s", a.ep.HostIf)
	}
	l.serve(a.ns, "a", 7000)
	l.serve(b.ns, "b", 7000)
	l.serve(l.outside, "outside", 7000)
	for _, c := range []container{a, b} {
		l.reaches("container to outside", c.ns, addr(outsideIP), 7000, "outside saw "+hostIP)
	}
	l.blocked("between networks", a.ns, b.ep.IP, 7000)
	l.blocked("between networks", b.ns, a.ep.IP, 7000)
	l.ok(errors.Join(publish(one, a, "tcp", "", 8000), publish(one, a, "udp", "", 8000)))
	l.reaches("another network's published port", b.ns, addr(hostIP), 8000, "a saw "+one.Gateway().String())
	if err := publish(two, b, "tcp", "", 8000); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "table silo") {
		t.Errorf("port of another daemon: %v", err)
	}
	removed, err := two.Sweep(ctx)
	if len(removed) > 0 || err != nil {
		t.Errorf("two sweeps %q, %v", removed, err)
	}
	l.ok(two.Remove(ctx))
	l.reaches("after the other has gone", a.ns, addr(outsideIP), 7000, "outside saw "+hostIP)
	l.ok(one.Remove(ctx))
	if after := l.must(l.host, "iptables-nft", "-S"); after != before {
		t.Errorf("left in foreign chains:\n%s", after)
	}
}

func publish(n *Network, c container, proto, hostIP string, port uint16) error {
	p := PortMapping{Proto: proto, HostPort: port, ContainerPort: 7000}
	if hostIP != "" {
		p.HostIP = addr(hostIP)
	}
	_, err := n.Publish(context.Background(), c.ep, []PortMapping{p})
	return err
}

// TestOtherBridges: accepting our traffic in foreign chains must not lead
// into the networks they protect.
func TestOtherBridges(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	n := l.open(l.config("silo0"))
	c, guest := l.container(n, "c"), l.ns()
	l.do(l.host, func(h *netlink.Handle) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "docker0"
		l.ok(h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
		l.up(h, "docker0", "172.17.0.1/16")
		attrs.Name = "vethd"
		l.ok(h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(guest.Int())}))
		l.up(h, "vethd", "")
		veth, err := h.LinkByName("vethd")
		l.ok(err)
		bridge, err := h.LinkByName("docker0")
		l.ok(err)
		l.ok(h.LinkSetMaster(veth, bridge))
	})
	l.do(guest, func(h *netlink.Handle) {
		l.up(h, "eth0", "172.17.0.2/16")
		l.ok(h.RouteAdd(&netlink.Route{Gw: net.ParseIP("172.17.0.1")}))
	})
	l.serve(guest, "guest", 7000)
	l.serve(c.ns, "c", 7000)
	n.reconcile(ctx)
	l.blocked("to the other bridge", c.ns, addr("172.17.0.2"), 7000)
	l.blocked("from the other bridge", guest, c.ep.IP, 7000)
	l.ok(errors.Join(publish(n, c, "tcp", "", 8000), publish(n, c, "udp", "", 8000)))
	l.reaches("published, from the other bridge", guest, addr(hostIP), 8000, "c saw 172.17.0.2")
}

func TestFollowsTheHost(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	l.must(l.host, "ip", "link", "set", "eth0", "mtu", "1400")
	n := l.open(l.config("silo0"))
	c := l.container(n, "c")
	if c.ep.MTU != 1400 || !strings.Contains(l.must(c.ns, "ip", "link", "show", "eth0"), "mtu 1400") {
		t.Errorf("MTU %d", c.ep.MTU)
	}
	l.serve(l.outside, "outside", 7000)
	l.serve(c.ns, "c", 7000)
	l.ok(errors.Join(publish(n, c, "tcp", "", 8000), publish(n, c, "udp", "", 8000)))

	l.must(l.host, "ip", "link", "set", "eth0", "mtu", "1300")
	eventually(t, "MTU of the uplink", func() bool { return n.MTU() == 1300 })
	l.must(l.host, "iptables-nft", "-P", "FORWARD", "DROP")
	eventually(t, "accept rule in a chain that came later", func() bool { return strings.Contains(l.must(l.host, "iptables-nft", "-S"), "-i silo0") })
	l.must(l.host, "iptables-nft", "-I", "FORWARD", "-j", "DROP")
	eventually(t, "accept rule first again", func() bool {
		return strings.HasPrefix(strings.SplitN(l.must(l.host, "iptables-nft", "-S", "FORWARD"), "\n", 2)[1], "-A FORWARD -i silo0")
	})
	l.must(l.host, "nft", "flush", "ruleset")
	eventually(t, "own table after the rule set was flushed", func() bool { return strings.Contains(l.must(l.host, "nft", "list", "ruleset"), "8000") })
	for _, change := range [][]string{{"flush", "table", "inet", "silo"}, {"flush", "chain", "inet", "silo", "forward"}, {"delete", "chain", "inet", "silo", "raw"}} {
		time.Sleep(3 * quiet)
		before := l.must(l.host, "nft", "-s", "list", "table", "inet", "silo")
		l.must(l.host, append([]string{"nft"}, change...)...)
		eventually(t, "all rules after "+strings.Join(change, " "), func() bool {
			return sorted(l.must(l.host, "nft", "-s", "list", "table", "inet", "silo")) == sorted(before)
		})
	}
	l.reaches("published", l.outside, addr(hostIP), 8000, "c saw "+outsideIP)
	l.reaches("container to outside", c.ns, addr(outsideIP), 7000, "outside saw "+hostIP)

	l.must(l.host, "ip", "route", "add", "172.16.4.0/24", "via", outsideIP)
	eventually(t, "warning of a colliding route", func() bool { return strings.Contains(fmt.Sprint(n.Inspect().Warnings), "172.16.4.0/24") })
	l.must(l.host, "ip", "route", "del", "172.16.4.0/24", "via", outsideIP)
	eventually(t, "warning withdrawn", func() bool { return len(n.Inspect().Warnings) == 0 })
	l.must(l.host, "sysctl", "net.ipv4.ip_forward=0")
	l.must(l.host, "ip", "route", "add", "198.51.100.0/24", "via", outsideIP)
	eventually(t, "warning that nothing is forwarded", func() bool { return strings.Contains(fmt.Sprint(n.Inspect().Warnings), "ip_forward=1") })
	l.ok(n.Unplug(ctx, c.ep))
}

// sorted gives a text's lines in order.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// eventually waits for what a change on the host leads to.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 200 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("never came: %s", what)
}

func TestSubnetAvoidsWhatTheHostUses(t *testing.T) {
	l := newLab(t)
	l.must(l.host, "ip", "route", "add", "172.16.0.0/18", "via", outsideIP, "table", "77")
	l.must(l.host, "ip", "addr", "add", "172.16.65.1/32", "dev", "lo")
	l.must(l.host, "ip", "route", "add", "blackhole", "172.16.0.0/12")
	l.write("resolv.conf", "nameserver 172.16.80.9\n")
	n := l.open(l.config("silo0"))
	if want := netip.MustParsePrefix("172.16.96.0/20"); n.Subnet() != want {
		t.Errorf("got %s, want %s", n.Subnet(), want)
	}
	cfg := l.config("other")
	cfg.Pool = netip.MustParsePrefix("172.16.0.0/20")
	if _, err := Open(context.Background(), cfg); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "--address-pool") {
		t.Errorf("no free range: %v", err)
	}
	// After a boot in which somebody else was faster.
	l.ok(n.Close())
	l.must(l.host, "ip", "link", "del", "silo0")
	l.must(l.host, "ip", "addr", "add", "172.16.97.1/32", "dev", "lo")
	n = l.open(l.config("silo0"))
	if want := netip.MustParsePrefix("172.16.112.0/20"); n.Subnet() != want {
		t.Errorf("after the boot: got %s, want %s", n.Subnet(), want)
	}
}

func TestBridgeOfSomebodyElse(t *testing.T) {
	l := newLab(t)
	l.must(l.host, "ip", "link", "add", "silo0", "type", "ifb")
	l.must(l.host, "ip", "link", "add", "br1", "type", "bridge")
	l.must(l.host, "ip", "link", "add", "port", "master", "br1", "type", "ifb")
	l.open(l.config("br2"))
	before := l.state()
	stolen := l.config("br2")
	stolen.Dir = filepath.Join(l.dir, "elsewhere")
	for _, cfg := range []Config{l.config("silo0"), l.config("br1"), stolen} {
		if _, err := Open(context.Background(), cfg); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "--bridge") {
			t.Errorf("%s: %v", cfg.Bridge, err)
		}
	}
	if diff := cmp.Diff(before, l.state()); diff != "" {
		t.Errorf("changed: %s", diff)
	}
	for _, bad := range []string{"-x", "a/b", "sixteen-letters-", "..", "a b"} {
		if _, err := Open(context.Background(), l.config(bad)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCorruptRecord(t *testing.T) {
	l := newLab(t)
	cfg := l.config("silo0")
	l.ok(os.MkdirAll(filepath.Join(cfg.Dir, Name), 0o700))
	path := filepath.Join(cfg.Dir, Name, "network.json")
	l.ok(os.WriteFile(path, []byte(`{"format":`), 0o600))
	if _, err := Open(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

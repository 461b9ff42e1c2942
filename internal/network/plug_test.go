package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/testenv"
)

func TestPlugMany(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	n := l.open(l.config("silo0"))
	const count = 20
	spaces := make([]*linux.FD, count)
	for i := range spaces {
		spaces[i] = l.ns()
	}
	eps := make([]Endpoint, count)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			var err error
			eps[i], err = n.Plug(ctx, PlugConfig{ID: id(fmt.Sprint(i)), Netns: spaces[i]})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d at once: %v each", count, time.Since(start)/count)
	l.serve(spaces[0], "0", 7000)
	for i := 1; i < count; i += 6 {
		l.reaches("to the first", spaces[i], eps[0].IP, 7000, "0 saw "+eps[i].IP.String())
	}
	start = time.Now()
	for i := range count {
		wg.Go(func() {
			if err := n.Unplug(ctx, eps[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("unplugged: %v each", time.Since(start)/count)
	if out := l.must(l.host, "ip", "link", "show", "master", "silo0"); out != "" {
		t.Errorf("left: %s", out)
	}
	start = time.Now()
	for i := range count {
		_, err := n.Plug(ctx, PlugConfig{ID: id(fmt.Sprint("again", i)), Netns: spaces[i]})
		l.ok(err)
	}
	t.Logf("one after the other: %v each", time.Since(start)/count)
}

func TestPlugInside(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	n := l.open(l.config("silo0"))
	mac := net.HardwareAddr{2, 1, 2, 3, 4, 5}
	c := container{id: id("c"), ns: l.ns()}
	var err error
	c.ep, err = n.Plug(ctx, PlugConfig{ID: c.id, Netns: c.ns, IP: addr("172.16.3.7"), MAC: mac})
	l.ok(err)
	for cmd, want := range map[string]string{
		"ip -o link show eth0": "link/ether 02:01:02:03:04:05", "ip -o addr show eth0": "inet 172.16.3.7/20 brd 172.16.15.255",
		"ip route": "default via 172.16.0.1 dev eth0", "ip -o link show lo": "LOOPBACK,UP",
		"sysctl net.ipv4.ip_unprivileged_port_start net.ipv4.ping_group_range": "net.ipv4.ip_unprivileged_port_start = 0\nnet.ipv4.ping_group_range = 0\t2147483647",
	} {
		if out := l.must(c.ns, strings.Fields(cmd)...); !strings.Contains(out, want) {
			t.Errorf("%s: %s, want %s", cmd, out, want)
		}
	}
	if out := l.must(c.ns, "ip", "-6", "-o", "addr", "show", "eth0"); out != "" {
		t.Errorf("IPv6 on eth0: %s", out)
	}
	before, other := l.state(), l.ns()
	for name, tt := range map[string]struct {
		cfg  PlugConfig
		want errs.Kind
	}{
		"address in use":     {PlugConfig{ID: id("d"), Netns: other, IP: c.ep.IP}, errs.Conflict},
		"address elsewhere":  {PlugConfig{ID: id("d"), Netns: other, IP: addr("10.0.0.1")}, errs.Invalid},
		"MAC in use":         {PlugConfig{ID: id("d"), Netns: other, MAC: mac}, errs.Conflict},
		"multicast MAC":      {PlugConfig{ID: id("d"), Netns: other, MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}}, errs.Invalid},
		"plugged in already": {PlugConfig{ID: c.id, Netns: other}, errs.Conflict},
		"has an eth0":        {PlugConfig{ID: id("d"), Netns: c.ns}, errs.Conflict},
		"no namespace":       {PlugConfig{ID: id("d")}, errs.Invalid},
	} {
		if _, err := n.Plug(ctx, tt.cfg); !errs.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, l.state()); diff != "" {
		t.Errorf("failures left: %s", diff)
	}
	if d := l.container(n, "d"); d.ep.IP != addr("172.16.0.2") && d.ep.IP.Compare(addr("172.16.0.9")) > 0 {
		t.Errorf("failures kept addresses: %s", d.ep.IP)
	}
	// A former run of the same container whose link is still there.
	l.ok(n.Close())
	n = l.open(l.config("silo0"))
	if _, err := n.Plug(ctx, PlugConfig{ID: c.id, Netns: l.ns()}); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}

func TestPublishRefuses(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	n := l.open(l.config("silo0"))
	a, b := l.container(n, "a"), l.container(n, "b")
	l.serve(l.host, "host", 7001)
	l.ok(publish(n, a, "tcp", "", 8000))
	l.ok(publish(n, a, "tcp", "", 8000))
	l.ok(publish(n, a, "udp", "127.0.0.1", 8000))
	for name, tt := range map[string]struct {
		p    PortMapping
		want errs.Kind
		text string
	}{
		"another container": {PortMapping{Proto: "tcp", HostIP: netip.Addr{}, HostPort: 8000, ContainerPort: 1}, errs.Conflict, "0.0.0.0:8000/tcp: port is already allocated: container " + a.id[:12]},
		"one address of it": {PortMapping{Proto: "tcp", HostIP: addr("127.0.0.1"), HostPort: 8000, ContainerPort: 1}, errs.Conflict, a.id[:12]},
		"all addresses":     {PortMapping{Proto: "udp", HostIP: netip.Addr{}, HostPort: 8000, ContainerPort: 1}, errs.Conflict, "127.0.0.1:8000/udp"},
		"host socket":       {PortMapping{Proto: "tcp", HostIP: netip.Addr{}, HostPort: 7001, ContainerPort: 1}, errs.Conflict, "listens on it"},
		"host UDP socket":   {PortMapping{Proto: "udp", HostIP: addr(hostIP), HostPort: 7001, ContainerPort: 1}, errs.Conflict, fmt.Sprintf("network.test (process %d) listens on it", os.Getpid())},
		"no such address":   {PortMapping{Proto: "tcp", HostIP: addr("192.0.2.77"), HostPort: 80, ContainerPort: 1}, errs.Invalid, "no address of this host"},
		"IPv6":              {PortMapping{Proto: "tcp", HostIP: addr("::1"), HostPort: 80, ContainerPort: 1}, errs.NotSupported, "IPv6"},
		"sctp":              {PortMapping{Proto: "sctp", HostIP: netip.Addr{}, HostPort: 80, ContainerPort: 1}, errs.Invalid, "tcp and udp"},
		"no range":          {PortMapping{Proto: "tcp", HostPort: 9, HostPortEnd: 8, ContainerPort: 80}, errs.Invalid, "no range"},
		"port 0":            {PortMapping{Proto: "tcp", HostIP: netip.Addr{}, HostPort: 80, ContainerPort: 0}, errs.Invalid, "1 to 65535"},
	} {
		good := PortMapping{Proto: "tcp", HostIP: netip.Addr{}, HostPort: 9000, ContainerPort: 1}
		_, err := n.Publish(ctx, b.ep, []PortMapping{good, tt.p})
		if !errs.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	rules, err := n.table.Ports()
	l.ok(err)
	if len(rules) != 2 {
		t.Errorf("failures left ports: %v", rules)
	}
	l.ok(linux.InNetNS(l.host, func() error { return linux.WriteSysctl("net/ipv4/ip_local_port_range", "7000 7002") }))
	got := map[uint16]bool{}
	for range 2 {
		done, err := n.Publish(ctx, b.ep, []PortMapping{{Proto: "tcp", ContainerPort: 80}})
		l.ok(err)
		got[done[0].HostPort] = true
	}
	if diff := cmp.Diff(map[uint16]bool{7000: true, 7002: true}, got); diff != "" {
		t.Errorf("picked: %s", diff)
	}
	if _, err := n.Publish(ctx, b.ep, []PortMapping{{Proto: "tcp", ContainerPort: 80}}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("none left: %v", err)
	}
	l.ok(n.Unpublish(ctx, a.id))
	l.ok(publish(n, b, "tcp", "", 8000))
}

// TestPublishThousands: as servers of calls do. What is withdrawn is gone, and
// can be published again.
func TestPublishThousands(t *testing.T) {
	l := newLab(t)
	n := l.open(l.config("silo0"))
	c := l.container(n, "c")
	ep, _ := n.Endpoint(c.id)
	var ports []PortMapping
	for i := range uint16(3000) {
		ports = append(ports, PortMapping{Proto: "udp", HostPort: 20000 + i, ContainerPort: 20000 + i})
		if i%10 == 0 {
			ports = append(ports, PortMapping{Proto: "tcp", HostIP: netip.MustParseAddr(hostIP), HostPort: 20000 + i, ContainerPort: 20000 + i})
		}
	}
	for range 2 {
		done, err := n.Publish(context.Background(), ep, ports)
		l.ok(err)
		if list, err := n.table.Ports(); err != nil || len(list) != len(ports) || len(done) != len(ports) {
			t.Errorf("%d ports are published (%v), want %d", len(list), err, len(ports))
		}
		l.ok(n.Unpublish(context.Background(), c.id))
		if list, err := n.table.Ports(); err != nil || len(list) != 0 {
			t.Errorf("%d ports are left (%v)", len(list), err)
		}
	}
}

// TestPublishUnderAFlow: a client that was there before the port must not
// have to stop before it gets through.
func TestPublishUnderAFlow(t *testing.T) {
	l := newLab(t)
	n := l.open(l.config("silo0"))
	c := l.container(n, "c")
	l.serve(c.ns, "c", 7000)
	var conn net.Conn
	l.ok(linux.InNetNS(l.outside, func() (err error) {
		conn, err = net.Dial("udp", hostIP+":8000")
		return err
	}))
	defer conn.Close()
	send := func() string {
		conn.Write([]byte("hello"))
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		b := make([]byte, 100)
		k, _ := conn.Read(b)
		return string(b[:k])
	}
	if got := send(); got != "" {
		t.Fatalf("before: %q", got)
	}
	l.ok(publish(n, c, "udp", "", 8000))
	eventually(t, "the old client", func() bool { return send() == "c saw "+outsideIP })
	l.ok(n.Unpublish(context.Background(), c.id))
	eventually(t, "the end of its flow", func() bool { return send() == "" })
}

func TestResolver(t *testing.T) {
	l := newLab(t)
	l.must(l.host, "iptables-nft", "-P", "INPUT", "DROP")
	n := l.open(l.config("silo0"))
	a, b := l.container(n, "a"), l.container(n, "b")
	n.SetNames(b.id, b.ep.IP, "web")
	look := func(ns *linux.FD, network, name string) string {
		r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (c net.Conn, err error) {
			err = linux.InNetNS(ns, func() error {
				d := net.Dialer{Timeout: time.Second}
				c, err = d.DialContext(ctx, network, netip.AddrPortFrom(n.Gateway(), 53).String())
				return err
			})
			return c, err
		}}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		addrs, err := r.LookupNetIP(ctx, "ip4", name)
		if err != nil {
			return "error"
		}
		return fmt.Sprint(addrs)
	}
	want := "[" + b.ep.IP.String() + "]"
	for _, name := range []string{"web.", b.id[:12] + "."} {
		for _, network := range []string{"udp", "tcp"} {
			if got := look(a.ns, network, name); got != want {
				t.Errorf("%s by %s: %s, want %s", name, network, got, want)
			}
		}
	}
	sockets, err := n.Sockets()
	l.ok(err)
	l.ok(n.Close())
	cfg := l.config("silo0")
	cfg.Sockets = sockets
	n = l.open(cfg)
	n.Adopt([]Endpoint{a.ep, b.ep})
	n.SetNames(b.id, b.ep.IP, "db")
	if got := look(a.ns, "udp", "db."); got != want {
		t.Errorf("after a restart: %s, want %s", got, want)
	}
	n.ClearNames(b.id)
	if got := look(a.ns, "udp", "db."); got != "error" {
		t.Errorf("after ClearNames: %s", got)
	}
}

func TestResolverAddressTaken(t *testing.T) {
	l := newLab(t)
	var taken net.PacketConn
	l.ok(linux.InNetNS(l.host, func() (err error) { taken, err = net.ListenPacket("udp4", "0.0.0.0:53"); return err }))
	defer taken.Close()
	n := l.open(l.config("silo0"))
	if got := n.Inspect().Resolver; !strings.HasPrefix(got, "none: serve DNS on 172.16.0.1:53") {
		t.Errorf("Inspect says %q", got)
	}
	l.container(n, "c")
	if s, err := n.Sockets(); s != (Sockets{}) || err != nil {
		t.Errorf("sockets %v, %v", s, err)
	}
}

func TestStats(t *testing.T) {
	l := newLab(t)
	n := l.open(l.config("silo0"))
	c := l.container(n, "c")
	l.must(l.host, "ping", "-n", "-c", "3", "-i", "0.01", "-s", "1000", c.ep.IP.String())
	s, err := n.Stats(c.ep.HostIf)
	l.ok(err)
	if s.RxPackets < 3 || s.RxBytes < 3000 || s.TxPackets < 3 || s.TxBytes < 3000 {
		t.Errorf("got %+v", s)
	}
	for _, name := range []string{"eth0", n.hostName("nobody")} {
		if _, err := n.Stats(name); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInTheOwnNamespace runs TestChild in a new network namespace, so that
// a Config without Netns, as the daemon has it, is tested too.
func TestInTheOwnNamespace(t *testing.T) {
	testenv.NeedRoot(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), "SILO_NETWORK_CHILD="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestChild") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestChild is the child of TestInTheOwnNamespace, and nothing by itself.
func TestChild(t *testing.T) {
	dir := os.Getenv("SILO_NETWORK_CHILD")
	if dir == "" {
		return
	}
	l := &lab{t: t, dir: dir}
	l.write("resolv.conf", "")
	l.must(nil, "ip", "link", "set", "lo", "up")
	n := l.open(l.config("silo0"))
	c := l.container(n, "c")
	l.serve(c.ns, "c", 7000)
	n.SetNames(c.id, c.ep.IP, "web")
	l.ok(publish(n, c, "tcp", "", 8000))
	got, err := l.call(nil, "tcp", netip.MustParseAddrPort("127.0.0.1:8000"), 5*time.Second)
	if want := "c saw " + n.Gateway().String(); err != nil || got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, n.Gateway().String()+":53")
	}}
	addrs, err := r.LookupNetIP(context.Background(), "ip4", "web.")
	if err != nil || len(addrs) != 1 || addrs[0] != c.ep.IP {
		t.Errorf("web: %v, %v", addrs, err)
	}
	if _, err := n.Stats(c.ep.HostIf); err != nil {
		t.Error(err)
	}
	l.ok(n.Remove(context.Background()))
	if links, err := n.links(); err != nil || len(links) != 1 {
		t.Errorf("links left: %v, %v", links, err)
	}
}

// TestPlugUserNamespace plugs in a namespace that belongs to another user
// namespace, as containers' do.
func TestPlugUserNamespace(t *testing.T) {
	l := newLab(t)
	n := l.open(l.config("silo0"))
	cmd := exec.Command("sleep", "60")
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 200000, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, UidMappings: ids, GidMappings: ids, Pdeathsig: syscall.SIGKILL,
	}
	l.ok(cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	ns, err := linux.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid), os.O_RDONLY, 0)
	l.ok(err)
	defer ns.Close()
	c := container{id: id("c"), ns: ns}
	c.ep, err = n.Plug(context.Background(), PlugConfig{ID: c.id, Netns: ns})
	l.ok(err)
	l.pings("host to container", l.host, c.ep.IP, true)
	if out := l.must(ns, "sysctl", "-n", "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"); out != "0\t2147483647\n0\n" {
		t.Errorf("settings: %q", out)
	}
}

// TestUserChain: what an administrator put there stays, and comes first.
func TestUserChain(t *testing.T) {
	l := newLab(t)
	n := l.open(l.config("silo0"))
	c := l.container(n, "c")
	l.serve(l.outside, "outside", 7000)
	l.must(l.host, "nft", "add rule inet silo user ip daddr "+outsideIP+" drop")
	l.blocked("what the administrator forbids", c.ns, addr(outsideIP), 7000)
	l.ok(n.Close())
	l.open(l.config("silo0"))
	l.blocked("the same after a restart", c.ns, addr(outsideIP), 7000)
}

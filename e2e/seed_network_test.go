package e2e

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// address gives a container's IPv4 address.
func (d *daemon) address(id string) string {
	d.t.Helper()
	return d.field(id, "{{.NetworkSettings.Networks.nat.IPAddress}}")
}

// S4: own virtual Ethernet adapter and MAC address.
func TestS04EthernetAdapter(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	mac := d.field(id, "{{.NetworkSettings.Networks.nat.MacAddress}}")
	if _, err := net.ParseMAC(mac); err != nil {
		t.Fatal(err)
	}
	show := d.silo("exec", id, "ip", "link")
	want(t, "ip link", show, "eth0")
	want(t, "ip link", show, mac)
	if out := mustTool(t, "ip", "link"); strings.Contains(out, mac) {
		t.Errorf("the host has an adapter of the same address:\n%s", out)
	}
}

// S5: own IPv4 address in a private class B range, allocated to the switch.
func TestS05Address(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	subnet := netip.MustParsePrefix(d.silo("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", "nat"))
	ip := netip.MustParseAddr(d.address(id))
	if !netip.MustParsePrefix("172.16.0.0/12").Contains(subnet.Addr()) || !subnet.Contains(ip) || subnet.Bits() != 20 {
		t.Errorf("address %s of the switch's %s, want a /20 in 172.16.0.0/12", ip, subnet)
	}
	want(t, "ip addr", d.silo("exec", id, "ip", "addr"), ip.String()+"/20")
	if other := d.address(d.sleeper()); other == ip.String() {
		t.Errorf("two containers have %s", ip)
	}
}

// S6: the gateway is the host's adapter on that switch.
func TestS06Gateway(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	gateway := d.field(id, "{{.NetworkSettings.Networks.nat.Gateway}}")
	want(t, "ip route", d.silo("exec", id, "ip", "route"), "default via "+gateway)
	want(t, "ip addr of the host", mustTool(t, "ip", "-4", "addr", "show", "dev", d.bridge), gateway+"/20")
}

// S7: DNS server addresses, and names resolve.
func TestS07Names(t *testing.T) {
	d := useDaemon(t)
	id, other := d.sleeper(), d.sleeper("--name", "s07other")
	gateway := d.field(id, "{{.NetworkSettings.Networks.nat.Gateway}}")
	want(t, "/etc/resolv.conf", d.silo("exec", id, "cat", "/etc/resolv.conf"), "nameserver "+gateway)
	got := d.silo("exec", id, "nslookup", "s07other")
	want(t, "nslookup", got, d.address(other))
	want(t, "nslookup", got, gateway)
	// The rest is asked of the host's own servers: what they know, the
	// container knows.
	if mirror := hostMirror(t); mirror != "" {
		host := strings.Split(strings.TrimPrefix(strings.TrimPrefix(mirror, "http://"), "https://"), "/")[0]
		if addrs, err := net.LookupHost(host); err == nil {
			t.Logf("the host knows %s as %v", host, addrs)
			d.silo("exec", id, "nslookup", host)
		}
	}
}

// S8: connects to the outside world, by ICMP echo and TCP.
func TestS08ToTheOutside(t *testing.T) {
	d := useDaemon(t)
	o := newOutside(t) // without a route back: it sees the host's address
	o.listen(4080)
	id := d.sleeper()
	want(t, "ping", d.silo("exec", id, "ping", "-c", "1", outsideIP), "0% packet loss")
	want(t, "nc", d.silo("exec", id, "sh", "-c", "nc -w 5 "+outsideIP+" 4080 </dev/null"), "hello from outside, you are "+hostIP)
}

// S15: the host pings the container.
func TestS15HostPings(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	want(t, "ping", mustTool(t, "ping", "-c", "1", "-W", "5", d.address(id)), " 0% packet loss")
}

// web runs a web server whose page tells its name.
func (d *daemon) web(name string, args ...string) string {
	d.t.Helper()
	id := d.detached(append(append([]string{"--name", name}, args...), "core", "sh", "-c",
		"mkdir -p /www; echo page of "+name+" >/www/index.html; exec httpd -p 8080 -h /www")...)
	ip := d.address(id)
	until(d.t, "web server "+name, func() bool {
		c, err := net.DialTimeout("tcp", ip+":8080", time.Second)
		return err == nil && c.Close() == nil
	})
	return id
}

// S17, S18: nothing outside the host reaches the container, not even with a
// route to it through the host, until a port is published.
func TestS17OutsideDoesNotReachIt(t *testing.T) { notReached(t, "s17", false) }

func TestS18NotEvenWithARoute(t *testing.T) { notReached(t, "s18", true) }

func notReached(t *testing.T, name string, route bool) {
	d := useDaemon(t)
	o := newOutside(t)
	if route {
		o.route()
	}
	id := d.web(name)
	ip := d.address(id)
	// It is there: the host reaches it. And the other host reaches this one.
	want(t, "from the host", mustTool(t, "curl", "-sS", "--noproxy", "*", "--max-time", "5", "http://"+ip+":8080/"), "page of "+name)
	if out, err := o.tool("ping", "-c", "1", "-W", "5", hostIP); err != nil {
		t.Fatalf("the other host does not reach this one: %v\n%s", err, out)
	}
	if out, err := o.tool("ping", "-c", "2", "-W", "1", ip); err == nil {
		t.Errorf("a ping from outside is answered:\n%s", out)
	}
	if o.answers(ip + ":8080") {
		t.Error("a connection from outside is answered")
	}
	if o.answers(hostIP + ":8080") {
		t.Error("a port that is not published is answered at the host's address")
	}
}

// "… until we change something": a published port answers from outside, from
// the host's own addresses and from localhost, and no longer than the container.
func TestPublishedPort(t *testing.T) {
	d := useDaemon(t)
	o := newOutside(t)
	id := d.web("published", "-p", "18080:8080", "-p", "127.0.0.1:18081:8080")
	want(t, "port", d.silo("port", id), "8080/tcp -> 0.0.0.0:18080")
	for _, host := range []string{"127.0.0.1", hostIP} {
		out, err := tool("curl", "-sS", "--noproxy", "*", "--max-time", "5", "http://"+host+":18080/")
		if err != nil || !strings.Contains(out, "page of published") {
			t.Errorf("from the host to %s: %q %v", host, out, err)
		}
	}
	if !o.answers(hostIP + ":18080") {
		t.Error("no answer from outside")
	}
	if o.answers(hostIP + ":18081") {
		t.Error("a port of localhost is answered outside")
	}
	want(t, "localhost", mustTool(t, "curl", "-sS", "--noproxy", "*", "--max-time", "5", "http://127.0.0.1:18081/"), "page of published")
	d.silo("rm", "-f", id)
	until(t, "the port is closed", func() bool { return !o.answers(hostIP + ":18080") })
}

// S19: another container pings the first and gets a reply.
func TestS19BetweenContainers(t *testing.T) {
	d := useDaemon(t)
	first, second := d.web("s19first"), d.sleeper()
	want(t, "ping", d.silo("exec", second, "ping", "-c", "1", d.address(first)), "0% packet loss")
	want(t, "ping by name", d.silo("exec", second, "ping", "-c", "1", "s19first"), "0% packet loss")
	want(t, "wget", d.silo("exec", second, "wget", "-q", "-O", "-", "http://s19first:8080/"), "page of s19first")
}

func TestNetworkNone(t *testing.T) {
	d := useDaemon(t)
	links := d.silo("run", "--rm", "--network", "none", "core", "ip", "addr")
	if strings.Contains(links, "eth0") || !strings.Contains(links, "lo:") {
		t.Errorf("links of --network none:\n%s", links)
	}
}

func TestNetworkHost(t *testing.T) {
	d := useDaemon(t)
	links := d.silo("run", "--rm", "--network", "host", "core", "ip", "addr")
	want(t, "links of --network host", links, d.bridge)
}

func TestNetworkOfAnother(t *testing.T) {
	d := useDaemon(t)
	id := d.web("netowner")
	want(t, "page at localhost", d.silo("run", "--rm", "--network", "container:netowner", "core", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"), "page of netowner")
	want(t, "address", d.silo("run", "--rm", "--network", "container:netowner", "core", "ip", "addr"), d.address(id))
}

// hostMirror gives the Debian mirror that this host's apt uses, empty if there
// is none.
func hostMirror(t *testing.T) string {
	t.Helper()
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, path := range append(files, "/etc/apt/sources.list") {
		f, err := os.Open(path)
		if err != nil || !strings.HasSuffix(path, ".sources") && !strings.HasSuffix(path, ".list") {
			continue
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			for _, word := range strings.Fields(lines.Text()) {
				if strings.HasPrefix(lines.Text(), "#") || !strings.HasSuffix(strings.TrimSuffix(word, "/"), "/debian") {
					continue
				}
				if strings.HasPrefix(lines.Text(), "URIs:") || strings.HasPrefix(lines.Text(), "deb ") {
					return strings.TrimSuffix(word, "/")
				}
			}
		}
	}
	return ""
}

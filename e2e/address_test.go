package e2e

import (
	"strings"
	"testing"
)

// Who asks for an address or a MAC gets it unless a container has it: a standby
// makes room, and so does what is left of a run that has ended.
func TestAddressOfNobody(t *testing.T) {
	d := ownDaemon(t, 3)
	first := d.sleeper()
	until(t, "standbys are there", func() bool {
		out, err := tool("ip", "-o", "link", "show", "master", d.bridge)
		return err == nil && strings.Count(out, "\n") >= 3 // and no line end behind the last
	})
	base := strings.TrimSuffix(d.pool, "0.0/16") + "0."
	taken := d.address(first)
	for _, n := range []string{"2", "3", "4", "5", "5"} {
		if ip := base + n; ip != taken {
			want(t, "address "+ip, d.silo("run", "--rm", "--ip", ip, "core", "ip", "addr", "show", "eth0"), ip+"/")
		}
	}
	if r := d.try("run", "--rm", "--ip", taken, "core", "true"); r.code != 125 || !strings.Contains(r.err, first[:12]) {
		t.Errorf("the address of a container: %d %s", r.code, r.err)
	}
	const mac = "02:11:22:33:44:55"
	had := d.sleeper("--mac-address", mac)
	d.silo("stop", "-t", "0", had)
	d.sleeper("--mac-address", mac)
}

// Of few addresses containers can have all: standbys have what is left.
func TestFewAddresses(t *testing.T) {
	pool, err := freePool(500)
	if err != nil {
		t.Fatal(err)
	}
	d := ownDaemon(t, 2, "--address-pool", strings.TrimSuffix(pool, "/16")+"/29")
	for range 5 {
		d.sleeper()
	}
	if r := d.try("run", "--rm", "core", "true"); r.code != 125 || !strings.Contains(r.err, "all 5 addresses") {
		t.Errorf("the sixth: %d %s", r.code, r.err)
	}
	if r := d.try("run", "--rm", "--network", "none", "core", "true"); r.code != 0 {
		t.Errorf("without an address: %d %s", r.code, r.err)
	}
}

package ipam

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"silo/internal/errs"
)

func TestTakeRefuses(t *testing.T) {
	p, err := New(netip.MustParsePrefix("172.16.0.0/20"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Take(netip.MustParseAddr("172.16.0.9"), "a"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		addr, owner string
		want        errs.Kind
	}{
		{"172.16.16.1", "b", errs.Invalid},
		{"172.16.0.0", "b", errs.Invalid},
		{"172.16.15.255", "b", errs.Invalid},
		{"172.16.0.1", "b", errs.Conflict},
		{"172.16.0.9", "b", errs.Conflict},
		{"::1", "b", errs.Invalid},
	} {
		if err := p.Take(netip.MustParseAddr(tt.addr), tt.owner); !errs.Is(err, tt.want) {
			t.Errorf("Take(%s) = %v, want kind %d", tt.addr, err, tt.want)
		}
	}
	for _, ok := range []string{"172.16.0.9", "::ffff:172.16.0.10", "172.16.1.0", "172.16.1.255"} {
		if err := p.Take(netip.MustParseAddr(ok), "a"); err != nil {
			t.Errorf("Take(%s) = %v", ok, err)
		}
	}
}

func TestMACs(t *testing.T) {
	p, _ := New(netip.MustParsePrefix("10.0.0.0/24"))
	mac := MAC(netip.MustParseAddr("10.0.0.7"))
	if err := p.TakeMAC(mac, "a"); err != nil {
		t.Fatal(err)
	}
	if err := p.TakeMAC(mac, "b"); !errs.Is(err, errs.Conflict) {
		t.Errorf("second owner: %v", err)
	}
	if err := p.TakeMAC(MAC(p.Gateway()), "b"); !errs.Is(err, errs.Conflict) {
		t.Errorf("gateway's: %v", err)
	}
	for _, bad := range []net.HardwareAddr{nil, {1, 2, 3, 4, 5, 6}, {0, 0, 0, 0, 0, 0}, {2, 2, 3, 4, 5, 6, 7, 8}} {
		if err := p.TakeMAC(bad, "b"); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	p.FreeMAC(mac, "b")
	if err := p.TakeMAC(mac, "b"); err == nil {
		t.Error("freed by a stranger")
	}
	p.FreeMAC(mac, "a")
	if err := p.TakeMAC(mac, "b"); err != nil {
		t.Error(err)
	}
}

func TestFreedComesLast(t *testing.T) {
	p, _ := New(netip.MustParsePrefix("10.0.0.0/29")) // .2 to .6
	for i := range 5 {
		if a, err := p.Alloc("x"); err != nil || a.As4()[3] != byte(i+2) {
			t.Fatal(a, err)
		}
	}
	if _, err := p.Alloc("x"); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("sixth: %v", err)
	}
	for _, last := range []byte{5, 3} {
		p.Free(netip.AddrFrom4([4]byte{10, 0, 0, last}), "x")
	}
	for _, want := range []byte{5, 3} {
		if a, _ := p.Alloc("y"); a.As4()[3] != want {
			t.Errorf("got %s, want .%d", a, want)
		}
	}
}

// TestNeverTwice draws random operations and checks that no address is ever
// given to two owners, and none outside the range.
func TestNeverTwice(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		p, _ := New(netip.MustParsePrefix("192.168.7.32/27"))
		model := map[netip.Addr]string{}
		for i := range 500 {
			owner := fmt.Sprint(i)
			a := netip.AddrFrom4([4]byte{192, 168, 7, byte(30 + r.IntN(36))})
			switch r.IntN(3) {
			case 0:
				got, err := p.Alloc(owner)
				if (err != nil) != (len(model) == 29) {
					t.Fatalf("seed %d: Alloc with %d used: %v", seed, len(model), err)
				}
				if err == nil {
					if model[got] != "" {
						t.Fatalf("seed %d: %s given twice", seed, got)
					}
					model[got] = owner
				}
			case 1:
				ok := p.Subnet().Contains(a) && a != p.Subnet().Addr() && a != p.Gateway() && a != p.Broadcast() && model[a] == ""
				if err := p.Take(a, owner); (err == nil) != ok {
					t.Fatalf("seed %d: Take(%s) = %v, want ok %v", seed, a, err, ok)
				}
				if ok {
					model[a] = owner
				}
			case 2:
				p.Free(a, model[a])
				delete(model, a)
			}
		}
	}
}

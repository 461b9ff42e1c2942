package nat

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func table(bridge string) *Table {
	return New(nil, bridge, netip.MustParsePrefix("172.16.0.0/20"), netip.MustParseAddr("172.16.0.1"))
}

func TestNames(t *testing.T) {
	for bridge, want := range map[string]string{"silo0": "silo", "test1": "silo-test1"} {
		if got := table(bridge).Name(); got != want {
			t.Errorf("%s: table %s, want %s", bridge, got, want)
		}
	}
	for name, want := range map[string]bool{"silo": true, "silo-x": true, "silos": false, "filter": false} {
		if got := ours(&nftables.Table{Name: name, Family: nftables.TableFamilyINet}); got != want {
			t.Errorf("ours(%s) = %v", name, got)
		}
	}
}

// TestElements: what is written to a map is read back as the same port.
func TestElements(t *testing.T) {
	to := netip.MustParseAddr("172.16.0.9")
	for _, p := range []Port{
		{TCP, netip.IPv4Unspecified(), 8080, to, 80},
		{UDP, netip.MustParseAddr("127.0.0.1"), 65535, to, 1},
	} {
		got, ok := unpack(p.element())
		if !ok || got != p {
			t.Errorf("%v became %v", p, got)
		}
	}
	if _, ok := unpack(nftables.SetElement{Key: make([]byte, 5), Val: make([]byte, 8)}); ok {
		t.Error("a short key was taken")
	}
}

// TestLegacyOrder: iptables-legacy is only called for what is not in order.
func TestLegacyOrder(t *testing.T) {
	tab := table("silo0")
	ours := tab.legacyChains()["FORWARD"]
	if diff := cmp.Diff([]string{
		`-i silo0 -m comment --comment "silo: silo0" -j ACCEPT`,
		`-o silo0 -m comment --comment "silo: silo0" -j ACCEPT`,
	}, ours); diff != "" {
		t.Error(diff)
	}
	other := `-i silo1 -m comment --comment "silo: silo1" -j ACCEPT`
	for _, tt := range []struct {
		name            string
		policy          string
		rules           []string
		needed, inOrder bool
	}{
		{"empty", "ACCEPT", nil, false, false},
		{"drops", "DROP", nil, true, false},
		{"has a rule", "ACCEPT", []string{"-j DOCKER"}, true, false},
		{"another Silo only", "ACCEPT", []string{other}, false, false},
		{"done", "DROP", append(ours[:2:2], "-j DOCKER"), true, true},
		{"below another Silo's", "DROP", []string{other, ours[0], ours[1], "-j DOCKER"}, true, true},
		{"below a foreign one", "DROP", []string{ours[0], "-j DOCKER", ours[1]}, true, false},
	} {
		if got := legacyNeeded(tt.policy, tt.rules); got != tt.needed {
			t.Errorf("%s: needed %v", tt.name, got)
		}
		if got := tab.legacyInOrder(tt.rules, ours); got != tt.inOrder {
			t.Errorf("%s: in order %v", tt.name, got)
		}
	}
}

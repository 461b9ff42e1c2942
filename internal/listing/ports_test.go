package listing

import (
	"net/netip"
	"testing"
)

func TestPorts(t *testing.T) {
	port := func(private, public uint16, addr, kind string) Port {
		p := Port{PrivatePort: private, PublicPort: public, Type: kind}
		if addr != "" {
			p.IP = netip.MustParseAddr(addr)
		}
		return p
	}
	for want, ports := range map[string][]Port{
		"":                     nil,
		"80/tcp":               {port(80, 0, "", "tcp")},
		"53/udp, 80-82/tcp":    {port(82, 0, "", "tcp"), port(80, 0, "", "tcp"), port(53, 0, "", "udp"), port(81, 0, "", "tcp")},
		"127.0.0.1:81->80/tcp": {port(80, 81, "127.0.0.1", "tcp")},
		"0.0.0.0:80-81->80-81/tcp, [::]:80->80/tcp": {
			port(80, 80, "::", "tcp"), port(81, 81, "0.0.0.0", "tcp"), port(80, 80, "0.0.0.0", "tcp"),
		},
	} {
		if got := portsText(ports); got != want {
			t.Errorf("%v: %q, want %q", ports, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		ShortID("sha256:0123456789abcdef"):            "0123456789ab",
		ShortID("web"):                                "web",
		Ellipsis("äöüß", 4):                           "äöüß",
		Ellipsis("äöüßa", 4):                          "äöü…",
		Size(12345678):                                "12.3MB",
		Labels(map[string]string{"b": "2", "a": "1"}): "a=1,b=2",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

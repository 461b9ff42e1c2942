package procfs

import (
	"encoding/hex"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// Route is a line of the kernel's routing table.
type Route struct {
	To      netip.Prefix
	Gateway netip.Addr // not valid for a network that is reached directly
	Link    string
	Metric  int64
}

// Routes reads the routes of IPv4, then those of IPv6. The kernel's own of
// IPv6 (its addresses, multicast, and what it refuses) are left out.
func (r Root) Routes() []Route {
	var all []Route
	data, _ := r.Read("/proc/net/route") // a kernel without has none
	for line := range strings.Lines(string(data)) {
		if route, ok := route4(strings.Fields(line)); ok {
			all = append(all, route)
		}
	}
	data, _ = r.Read("/proc/net/ipv6_route")
	for line := range strings.Lines(string(data)) {
		if route, ok := route6(strings.Fields(line)); ok {
			all = append(all, route)
		}
	}
	return all
}

const (
	flagUp     = 1
	flagReject = 0x200
)

// route4: Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT.
func route4(w []string) (Route, bool) {
	if len(w) < 8 {
		return Route{}, false
	}
	to, ok := word4(w[1])
	gateway, okGateway := word4(w[2])
	mask, okMask := word4(w[7])
	flags, err := strconv.ParseUint(w[3], 16, 32)
	if !ok || !okGateway || !okMask || err != nil || flags&flagUp == 0 || flags&flagReject != 0 {
		return Route{}, false
	}
	m := mask.As4()
	ones := bits.OnesCount32(uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3]))
	r := Route{To: netip.PrefixFrom(to, ones), Link: w[0]}
	if !gateway.IsUnspecified() {
		r.Gateway = gateway
	}
	r.Metric, _ = strconv.ParseInt(w[6], 10, 64) // 0 is the usual one
	return r, true
}

func word4(s string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 4 {
		return netip.Addr{}, false
	}
	return Address(raw)
}

// route6: destination, its length, source, its length, next hop, metric,
// references, use, flags, device; addresses in the order of the network.
func route6(w []string) (Route, bool) {
	if len(w) < 10 {
		return Route{}, false
	}
	to, ok := word6(w[0])
	gateway, okGateway := word6(w[4])
	length, errLength := strconv.ParseUint(w[1], 16, 8)
	metric, errMetric := strconv.ParseUint(w[5], 16, 32)
	flags, errFlags := strconv.ParseUint(w[8], 16, 64)
	if !ok || !okGateway || errLength != nil || length > 128 || errMetric != nil || errFlags != nil {
		return Route{}, false
	}
	const local, anycast = 0x80000000, 0x100000
	if flags&flagUp == 0 || flags&(flagReject|local|anycast) != 0 || to.IsMulticast() || w[9] == "lo" {
		return Route{}, false
	}
	r := Route{To: netip.PrefixFrom(to, int(length)), Link: w[9], Metric: int64(metric)}
	if !gateway.IsUnspecified() {
		r.Gateway = gateway
	}
	return r, true
}

func word6(s string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 16 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(raw)
}

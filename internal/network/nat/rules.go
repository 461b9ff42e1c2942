package nat

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
)

// Values of the kernel's headers that the rules compare with.
const (
	familyIPv4  = 2  // NFPROTO_IPV4
	routeLocal  = 2  // RTN_LOCAL
	statusDNAT  = 32 // IPS_DST_NAT
	stateEstRel = 2 | 4
)

// Offsets of the addresses in an IPv4 header.
const (
	srcAddr = 12
	dstAddr = 16
)

// part is one condition or statement of a rule.
type part = []expr.Any

// write queues the whole table with the given ports added.
func (t *Table) write(c *nftables.Conn, ports []Port) error {
	table := c.AddTable(t.table())
	for _, s := range []*nftables.Set{t.anyPorts(), t.onePorts(), t.near()} {
		if err := c.AddSet(s, nil); err != nil {
			return err
		}
	}
	if err := t.addPorts(c, ports); err != nil {
		return err
	}
	user := c.AddChain(&nftables.Chain{Name: "user", Table: table})
	for _, ch := range t.chains(user) {
		c.AddChain(ch.chain)
		c.FlushChain(ch.chain)
		for _, r := range ch.rules {
			c.AddRule(&nftables.Rule{Table: table, Chain: ch.chain, Exprs: r.exprs(), UserData: comment(r.why)})
		}
	}
	return nil
}

type rule struct {
	why   string // shown by nft as the rule's comment
	parts []part
}

func (r rule) exprs() []expr.Any {
	var all []expr.Any
	for _, p := range r.parts {
		all = append(all, p...)
	}
	return all
}

type chainRules struct {
	chain *nftables.Chain
	rules []rule
}

// chains is the rule set. Every rule names the property it is for.
func (t *Table) chains(user *nftables.Chain) []chainRules {
	base := func(name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
		accept := nftables.ChainPolicyAccept
		return &nftables.Chain{Name: name, Table: t.table(), Type: typ, Hooknum: hook, Priority: prio, Policy: &accept}
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	in, notIn := iif(expr.CmpOpEq, t.bridge), iif(expr.CmpOpNeq, "lo")
	out, notOut := oif(expr.CmpOpEq, t.bridge), oif(expr.CmpOpNeq, t.bridge)
	return []chainRules{
		{base("raw", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw), []rule{
			{"loopback is not on a wire", []part{notIn, addr(expr.CmpOpEq, dstAddr, loopback), verdict(expr.VerdictDrop)}},
			{"loopback is not on a wire", []part{notIn, addr(expr.CmpOpEq, srcAddr, loopback), verdict(expr.VerdictDrop)}},
			{"no sources from elsewhere", []part{in, addr(expr.CmpOpNeq, srcAddr, t.subnet), verdict(expr.VerdictDrop)}},
		}},
		{base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest), t.publish()},
		{base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest), t.publish()},
		{base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource), []rule{
			{"answers to localhost", []part{out, addr(expr.CmpOpEq, srcAddr, loopback), masquerade()}},
			{"answers to a container that used a published port", []part{out, addr(expr.CmpOpEq, srcAddr, t.subnet), dnated(), masquerade()}},
			{"containers to elsewhere", []part{notOut, addr(expr.CmpOpEq, srcAddr, t.subnet), addr(expr.CmpOpNeq, dstAddr, t.subnet), masquerade()}},
		}},
		{base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter), []rule{
			{"the administrator's own rules", []part{{&expr.Verdict{Kind: expr.VerdictJump, Chain: user.Name}}}},
			{"containers of this network", []part{in, out, verdict(expr.VerdictAccept)}},
			{"answers", []part{out, established(), verdict(expr.VerdictAccept)}},
			{"published ports", []part{out, dnated(), verdict(expr.VerdictAccept)}},
			{"nothing else from outside", []part{out, counter(), verdict(expr.VerdictDrop)}},
			{"answers", []part{in, established(), verdict(expr.VerdictAccept)}},
			{"ports that other networks publish", []part{in, dnated(), verdict(expr.VerdictAccept)}},
			{"not between networks", []part{in, {
				&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
				&expr.Lookup{SourceRegister: 1, SetName: setNear},
			}, counter(), verdict(expr.VerdictDrop)}},
		}},
	}
}

// publish is the lookup of published ports: of one address first, then of all.
// Only addresses of the host itself are looked up, and loopback ones only for
// packets that the host sends itself: raw drops the others.
func (t *Table) publish() []rule {
	proto := func(reg uint32) expr.Any { return &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg} }
	port := func(reg uint32) expr.Any {
		return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	}
	local := part{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(routeLocal)},
	}
	// The four-byte registers from 9 on follow register 1 in memory.
	dnat := func(m string) part {
		return part{
			&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: m},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: familyIPv4, RegAddrMin: 1, RegProtoMin: 9},
		}
	}
	dst := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: dstAddr, Len: 4}
	return []rule{
		{"ports of one address", []part{ipv4(), local, {dst, proto(9), port(10)}, dnat(mapOne)}},
		{"ports of all addresses", []part{ipv4(), local, {proto(1), port(9)}, dnat(mapAny)}},
	}
}

func iif(op expr.CmpOp, name string) part {
	return part{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: ifname(name)}}
}

func oif(op expr.CmpOp, name string) part {
	return part{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: ifname(name)}}
}

func ipv4() part {
	return part{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{familyIPv4}}}
}

// addr compares an address of an IPv4 packet with a prefix; other packets do
// not match, whatever the comparison.
func addr(op expr.CmpOp, offset uint32, p netip.Prefix) part {
	mask := make([]byte, 4)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return append(ipv4(),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()})
}

func ctBits(key expr.CtKey, bits uint32) part {
	return part{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func established() part { return ctBits(expr.CtKeySTATE, stateEstRel) }
func dnated() part      { return ctBits(expr.CtKeySTATUS, statusDNAT) }
func masquerade() part  { return part{&expr.Masq{}} }
func counter() part     { return part{&expr.Counter{}} }

func verdict(k expr.VerdictKind) part { return part{&expr.Verdict{Kind: k}} }

func comment(text string) []byte { return userdata.AppendString(nil, userdata.TypeComment, text) }

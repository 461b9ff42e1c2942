package nat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
)

// mark begins the comment of every rule that some Silo daemon keeps in a
// foreign chain; the bridge's name follows.
const mark = "silo: "

func (t *Table) mark() string { return mark + t.bridge }

// pass is an accept rule for foreign chains.
type pass struct {
	in, out bool  // the bridge is where the packet comes in, goes out
	dns     uint8 // protocol; also only to the gateway's port 53
}

// passes gives the rules for a hook, in the order that they stand in.
func passes(hook nftables.ChainHook) []pass {
	switch hook {
	case *nftables.ChainHookForward:
		return []pass{{in: true}, {out: true}}
	case *nftables.ChainHookInput:
		return []pass{{in: true, dns: UDP}, {in: true, dns: TCP}}
	}
	return nil
}

// foreign is a chain of somebody else that our traffic must get through.
type foreign struct {
	chain *nftables.Chain
	rules []*nftables.Rule
}

// Pass makes sure that foreign packet filters let this network through: at
// the top of each foreign base chain at forward and input that could drop
// something, an accept rule for the bridge, carrying a comment with its name.
// Chains that let everything pass get none. Doing it again changes nothing.
func (t *Table) Pass() error {
	return t.each(func(c *nftables.Conn, f foreign) error { return t.passChain(c, f) })
}

// PassLegacy is Pass for the chains of iptables-legacy, where that is in use.
// It runs programs.
func (t *Table) PassLegacy(ctx context.Context) error { return t.passLegacy(ctx) }

// Unpass takes away what Pass and PassLegacy put into foreign chains.
func (t *Table) Unpass(ctx context.Context) error {
	return errors.Join(t.each(func(c *nftables.Conn, f foreign) error {
		for _, r := range f.rules {
			if t.isMine(r) {
				if err := c.DelRule(r); err != nil {
					return err
				}
			}
		}
		return nil
	}), t.unpassLegacy(ctx))
}

// each calls do for every foreign base chain at forward and input, one
// transaction a chain: what one owner refuses must not keep the others.
func (t *Table) each(do func(c *nftables.Conn, f foreign) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.conn()
	if err != nil {
		return err
	}
	var all error
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return fmt.Errorf("list chains: %w", err)
		}
		for _, ch := range chains {
			if ch.Hooknum == nil || ch.Type != nftables.ChainTypeFilter || passes(*ch.Hooknum) == nil || ours(ch.Table) {
				continue
			}
			rules, err := c.GetRules(ch.Table, ch)
			if missing(err) {
				continue // deleted meanwhile
			}
			if err == nil {
				if err = do(c, foreign{ch, rules}); err == nil {
					err = c.Flush()
				}
			}
			if err != nil && !missing(err) {
				all = errors.Join(all, t.advise(ch, err))
			}
		}
	}
	return all
}

// advise says what to do by hand about a chain that refuses our rule, as a
// table does that its owner has locked (firewalld).
func (t *Table) advise(ch *nftables.Chain, err error) error {
	family := "ip"
	if ch.Table.Family == nftables.TableFamilyINet {
		family = "inet"
	}
	way := fmt.Sprintf("nft insert rule %s %s %s iifname %s accept", family, ch.Table.Name, ch.Name, t.bridge)
	if ch.Table.Name == "firewalld" {
		way = "firewall-cmd --permanent --zone=trusted --add-interface=" + t.bridge + " && firewall-cmd --reload"
	}
	return fmt.Errorf("chain %s of table %s %s may drop what containers send: %v: try: %s", ch.Name, family, ch.Table.Name, err, way)
}

// passChain queues what brings one chain in order.
func (t *Table) passChain(c *nftables.Conn, f foreign) error {
	var mine []*nftables.Rule
	needed := f.chain.Policy != nil && *f.chain.Policy == nftables.ChainPolicyDrop
	top := true // ours stand before all that are not some Silo's
	for _, r := range f.rules {
		switch {
		case t.isMine(r):
			mine = append(mine, r)
			top = top && !preceded(f.rules, r)
		case !isSilo(r):
			needed = true
		}
	}
	want := passes(*f.chain.Hooknum)
	switch {
	case needed && top && len(mine) == len(want), !needed && len(mine) == 0:
		return nil
	}
	for _, r := range mine {
		if err := c.DelRule(r); err != nil {
			return err
		}
	}
	if !needed {
		return nil
	}
	for _, p := range slices.Backward(want) { // each is inserted before the last
		c.InsertRule(&nftables.Rule{Table: f.chain.Table, Chain: f.chain, Exprs: t.passExprs(p), UserData: comment(t.mark())})
	}
	return nil
}

// preceded tells whether a rule that is no Silo's stands before r.
func preceded(rules []*nftables.Rule, r *nftables.Rule) bool {
	for _, before := range rules {
		if before == r {
			return false
		}
		if !isSilo(before) {
			return true
		}
	}
	return false
}

func (t *Table) isMine(r *nftables.Rule) bool { return commentOf(r) == t.mark() }

func isSilo(r *nftables.Rule) bool { return strings.HasPrefix(commentOf(r), mark) }

func commentOf(r *nftables.Rule) string {
	text, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return strings.TrimRight(text, "\x00")
}

// passExprs is the rule in the form that iptables-nft writes and reads: the
// interface name compared with its end included.
func (t *Table) passExprs(p pass) []expr.Any {
	name := append([]byte(t.bridge), 0)
	var e []expr.Any
	if p.in {
		e = append(e, &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name})
	}
	if p.out {
		e = append(e, &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name})
	}
	if p.dns != 0 {
		e = append(e,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: dstAddr, Len: 4},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: t.gateway.AsSlice()},
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{p.dns}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: be16(53)})
	}
	return append(e, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
}

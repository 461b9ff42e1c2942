package dns

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// ttl is how many seconds a container's address may be kept: it changes when
// the container is started again.
const ttl = 5

// headerLen is the size of a DNS message's header in bytes.
const headerLen = 12

// answer gives the reply to a query that this resolver can answer by itself:
// names and addresses of containers, and what makes no sense. A query to be
// forwarded gives nil and true, one to be ignored nil and false.
func answer(query []byte, names *Names, clients netip.Prefix) (reply []byte, forward bool) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response {
		return nil, false
	}
	if h.OpCode != 0 {
		return refuse(query, dnsmessage.RCodeNotImplemented), false
	}
	q, err := p.Question()
	if err != nil {
		return refuse(query, dnsmessage.RCodeFormatError), false
	}
	if err := p.SkipQuestion(); !errors.Is(err, dnsmessage.ErrSectionDone) {
		return refuse(query, dnsmessage.RCodeFormatError), false
	}
	if q.Class != dnsmessage.ClassINET {
		return nil, true
	}
	r := response{query: h, question: q, edns: hasEDNS(&p)}
	if ip, ok := reverse(q.Name.String()); ok && clients.Contains(ip) {
		name := names.nameOf(ip)
		if name == "" {
			return r.build(dnsmessage.RCodeNameError), false // ours alone: no use asking others
		}
		r.ptr = name + "."
		return r.build(dnsmessage.RCodeSuccess), false
	}
	addrs := names.addresses(q.Name.String())
	if len(addrs) == 0 {
		return nil, true
	}
	r.addrs = addrs
	return r.build(dnsmessage.RCodeSuccess), false
}

// response is an answer of our own.
type response struct {
	query    dnsmessage.Header
	question dnsmessage.Question
	edns     bool
	addrs    []netip.Addr // for a question of type A
	ptr      string       // for one of type PTR
}

// build makes the message; a known name without a record of the type asked
// for gives an empty answer, which tells clients not to try search domains.
func (r response) build(code dnsmessage.RCode) []byte {
	b := dnsmessage.NewBuilder(make([]byte, 0, 512), dnsmessage.Header{
		ID: r.query.ID, Response: true, Authoritative: true, RecursionDesired: r.query.RecursionDesired, RecursionAvailable: true, RCode: code,
	})
	b.EnableCompression()
	h := dnsmessage.ResourceHeader{Name: r.question.Name, Class: dnsmessage.ClassINET, TTL: ttl}
	ask := r.question.Type
	err := b.StartQuestions()
	if err == nil {
		err = b.Question(r.question)
	}
	if err == nil {
		err = b.StartAnswers()
	}
	if ask == dnsmessage.TypeA || ask == dnsmessage.TypeALL {
		// As many as fit the smallest message there may be.
		for _, a := range r.addrs[:min(len(r.addrs), 16)] {
			if err == nil && a.Is4() {
				err = b.AResource(h, dnsmessage.AResource{A: a.As4()})
			}
		}
	}
	if err == nil && r.ptr != "" && (ask == dnsmessage.TypePTR || ask == dnsmessage.TypeALL) {
		var name dnsmessage.Name
		if name, err = dnsmessage.NewName(r.ptr); err == nil {
			err = b.PTRResource(h, dnsmessage.PTRResource{PTR: name})
		}
	}
	if err == nil && r.edns {
		var opt dnsmessage.ResourceHeader
		if err = opt.SetEDNS0(udpSize, code, false); err == nil {
			if err = b.StartAdditionals(); err == nil {
				err = b.OPTResource(opt, dnsmessage.OPTResource{})
			}
		}
	}
	var msg []byte
	if err == nil {
		msg, err = b.Finish()
	}
	if err != nil {
		return nil
	}
	return msg
}

// udpSize is the size of UDP messages that we say we take, in bytes: what no
// usual link fragments.
const udpSize = 1232

// hasEDNS tells whether the rest of a query holds an OPT record.
func hasEDNS(p *dnsmessage.Parser) bool {
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return false
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return false
		}
		if h.Type == dnsmessage.TypeOPT {
			return true
		}
		if p.SkipAdditional() != nil {
			return false
		}
	}
}

// refuse gives a reply without any record, from the header alone; query holds
// at least a header.
func refuse(query []byte, code dnsmessage.RCode) []byte {
	reply := bytes.Clone(query[:headerLen])
	reply[2] = reply[2]&0x79 | 0x80 // a response; opcode and recursion desired as asked
	reply[3] = 0x80 | byte(code)&0xf
	clear(reply[4:])
	// The question goes with it if there is one.
	if end := questionEnd(query); end > 0 {
		reply = append(reply, query[headerLen:end]...)
		reply[5] = 1
	}
	return reply
}

// reverse reads the address out of a name such as 2.0.16.172.in-addr.arpa.
func reverse(name string) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(fold(name), ".in-addr.arpa")
	parts := strings.Split(digits, ".")
	if !ok || len(parts) != 4 {
		return netip.Addr{}, false
	}
	var a [4]byte
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		a[3-i] = byte(n)
	}
	return netip.AddrFrom4(a), true
}

// questionEnd gives the offset after the only question of a message, 0 if
// there is not exactly one or it is damaged. Questions are not compressed.
func questionEnd(msg []byte) int {
	if len(msg) < headerLen || msg[4] != 0 || msg[5] != 1 {
		return 0
	}
	for at := headerLen; at < len(msg); {
		n := int(msg[at])
		switch {
		case n == 0:
			if end := at + 1 + 4; end <= len(msg) {
				return end
			}
			return 0
		case n > 63:
			return 0
		}
		at += 1 + n
	}
	return 0
}

// replyTo tells whether reply is an answer to query: same number, same
// question (case aside; some servers fold it).
func replyTo(query, reply []byte) bool {
	if len(reply) < headerLen || reply[2]&0x80 == 0 || !bytes.Equal(query[:2], reply[:2]) {
		return false
	}
	q, r := questionEnd(query), questionEnd(reply)
	return q > 0 && q == r && bytes.EqualFold(query[headerLen:q-4], reply[headerLen:r-4]) && bytes.Equal(query[q-4:q], reply[r-4:r])
}

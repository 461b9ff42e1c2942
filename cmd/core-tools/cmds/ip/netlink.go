package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"
)

const (
	inet  = syscall.AF_INET
	inet6 = syscall.AF_INET6
)

// message is one answer of the kernel: its fixed part and its attributes.
type message struct {
	kind  uint16
	fixed []byte
	attrs map[uint16][]byte
}

// fixedSize is the length of the fixed part, by kind of message.
func fixedSize(kind uint16) int {
	switch kind {
	case syscall.RTM_NEWLINK:
		return syscall.SizeofIfInfomsg
	case syscall.RTM_NEWADDR:
		return syscall.SizeofIfAddrmsg
	case syscall.RTM_NEWNEIGH:
		return 12
	}
	return syscall.SizeofRtMsg
}

// list asks for all objects of a kind: RTM_GETLINK and the like.
func list(request, family int) ([]message, error) {
	data, err := syscall.NetlinkRIB(request, family)
	if err != nil {
		return nil, err
	}
	parsed, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return nil, err
	}
	var all []message
	for _, m := range parsed {
		if m.Header.Type == syscall.NLMSG_DONE {
			break
		}
		if n, ok := decode(m); ok {
			all = append(all, n)
		}
	}
	return all, nil
}

func decode(m syscall.NetlinkMessage) (message, bool) {
	size := fixedSize(m.Header.Type)
	if len(m.Data) < size {
		return message{}, false
	}
	n := message{kind: m.Header.Type, fixed: m.Data[:size], attrs: map[uint16][]byte{}}
	rest := m.Data[size:]
	for len(rest) >= 4 {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < 4 || length > len(rest) {
			break
		}
		// The two top bits are flags, not part of the kind.
		n.attrs[binary.NativeEndian.Uint16(rest[2:])&0x3fff] = rest[4:length]
		rest = rest[min(len(rest), (length+3)&^3):]
	}
	return n, true
}

func (m message) number(attr uint16) uint32 {
	if v := m.attrs[attr]; len(v) >= 4 {
		return binary.NativeEndian.Uint32(v)
	}
	return 0
}

func (m message) text(attr uint16) string {
	v := m.attrs[attr]
	if len(v) == 0 {
		return ""
	}
	return string(v[:len(v)-1]) // without the NUL
}

func (m message) ip(attr uint16) string {
	if a, ok := netip.AddrFromSlice(m.attrs[attr]); ok {
		return a.String()
	}
	return ""
}

// ask sends one request and waits for the answer: an object, or that it is done.
func ask(kind, flags uint16, fixed []byte, attrs ...[]byte) (message, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return message{}, err
	}
	defer syscall.Close(fd)
	body := append([]byte{}, fixed...)
	for _, a := range attrs {
		body = append(body, a...)
	}
	head := make([]byte, syscall.NLMSG_HDRLEN)
	binary.NativeEndian.PutUint32(head, uint32(len(head)+len(body)))
	binary.NativeEndian.PutUint16(head[4:], kind)
	binary.NativeEndian.PutUint16(head[6:], flags|syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
	binary.NativeEndian.PutUint32(head[8:], 1)
	if err := syscall.Sendto(fd, append(head, body...), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return message{}, err
	}
	buf := make([]byte, 1<<16)
	for {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return message{}, err
		}
		answers, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return message{}, err
		}
		for _, m := range answers {
			if m.Header.Type == syscall.NLMSG_ERROR {
				if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
					return message{}, syscall.Errno(-code)
				}
				return message{}, nil
			}
			if got, ok := decode(m); ok {
				return got, nil
			}
		}
	}
}

// attribute is one attribute as the kernel reads it, padded to four bytes.
func attribute(kind uint16, value []byte) []byte {
	b := make([]byte, 4, 4+len(value)+3)
	binary.NativeEndian.PutUint16(b, uint16(4+len(value)))
	binary.NativeEndian.PutUint16(b[2:], kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func number(n uint32) []byte {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], n)
	return b[:]
}

// bytes is the memory of a fixed part.
func bytes[T syscall.IfInfomsg | syscall.IfAddrmsg | syscall.RtMsg](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

func familyOf(a netip.Addr) uint8 {
	if a.Is4() {
		return inet
	}
	return inet6
}

func linkIndex(name string) (int32, error) {
	if name == "" {
		return 0, fmt.Errorf("needs dev LINK")
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return 0, fmt.Errorf("%s: no such link", name)
	}
	return int32(ifi.Index), nil
}

func changeAddress(add bool, address, dev string) error {
	prefix, err := netip.ParsePrefix(address)
	if err != nil {
		a, bad := netip.ParseAddr(address)
		if bad != nil {
			return fmt.Errorf("%s: not an address: write 10.0.0.2/24", address)
		}
		prefix = netip.PrefixFrom(a, a.BitLen())
	}
	index, err := linkIndex(dev)
	if err != nil {
		return err
	}
	fixed := syscall.IfAddrmsg{Family: familyOf(prefix.Addr()), Prefixlen: uint8(prefix.Bits()), Index: uint32(index)}
	kind, flags := uint16(syscall.RTM_DELADDR), uint16(0)
	if add {
		kind, flags = syscall.RTM_NEWADDR, syscall.NLM_F_CREATE|syscall.NLM_F_EXCL
	}
	raw := prefix.Addr().AsSlice()
	if _, err = ask(kind, flags, bytes(&fixed), attribute(syscall.IFA_LOCAL, raw), attribute(syscall.IFA_ADDRESS, raw)); err != nil {
		return fmt.Errorf("%s on %s: %w", address, dev, err)
	}
	return nil
}

// setLink reads LINK and what to set, one after the other.
func setLink(words []string) error {
	if len(words) > 0 && words[0] == "dev" {
		words = words[1:]
	}
	if len(words) < 2 {
		return fmt.Errorf("link set: needs a link and what to set")
	}
	name := words[0]
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	fixed := syscall.IfInfomsg{Index: index}
	var attrs [][]byte
	for words = words[1:]; len(words) > 0; words = words[1:] {
		switch words[0] {
		case "up":
			fixed.Flags, fixed.Change = fixed.Flags|syscall.IFF_UP, fixed.Change|syscall.IFF_UP
			continue
		case "down":
			fixed.Flags, fixed.Change = fixed.Flags&^syscall.IFF_UP, fixed.Change|syscall.IFF_UP
			continue
		}
		if len(words) < 2 {
			return fmt.Errorf("link set: %s: unknown, or needs a value", words[0])
		}
		a, err := linkAttribute(words[0], words[1])
		if err != nil {
			return err
		}
		attrs, words = append(attrs, a), words[1:]
	}
	if _, err := ask(syscall.RTM_NEWLINK, 0, bytes(&fixed), attrs...); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}

func linkAttribute(word, value string) ([]byte, error) {
	switch word {
	case "mtu":
		var n uint32
		if _, err := fmt.Sscan(value, &n); err != nil {
			return nil, fmt.Errorf("mtu %s: not a number", value)
		}
		return attribute(syscall.IFLA_MTU, number(n)), nil
	case "address":
		mac, err := net.ParseMAC(value)
		if err != nil {
			return nil, err
		}
		return attribute(syscall.IFLA_ADDRESS, mac), nil
	case "name":
		return attribute(syscall.IFLA_IFNAME, append([]byte(value), 0)), nil
	}
	return nil, fmt.Errorf("link set: %s: unknown", word)
}

func changeRoute(add bool, o map[string]string) error {
	fixed := syscall.RtMsg{Table: syscall.RT_TABLE_MAIN, Protocol: syscall.RTPROT_BOOT, Type: syscall.RTN_UNICAST, Scope: syscall.RT_SCOPE_LINK}
	var attrs [][]byte
	if to := o[""]; to != "default" {
		prefix, err := netip.ParsePrefix(to)
		if err != nil {
			a, bad := netip.ParseAddr(to)
			if bad != nil {
				return fmt.Errorf("%q: not a prefix: write 10.0.0.0/24 or default", to)
			}
			prefix = netip.PrefixFrom(a, a.BitLen())
		}
		fixed.Family, fixed.Dst_len = familyOf(prefix.Addr()), uint8(prefix.Bits())
		attrs = append(attrs, attribute(syscall.RTA_DST, prefix.Masked().Addr().AsSlice()))
	}
	if via := o["via"]; via != "" {
		a, err := netip.ParseAddr(via)
		if err != nil {
			return fmt.Errorf("via %s: not an address", via)
		}
		fixed.Family, fixed.Scope = familyOf(a), syscall.RT_SCOPE_UNIVERSE
		attrs = append(attrs, attribute(syscall.RTA_GATEWAY, a.AsSlice()))
	}
	if fixed.Family == 0 {
		fixed.Family = inet
	}
	if dev := o["dev"]; dev != "" {
		index, err := linkIndex(dev)
		if err != nil {
			return err
		}
		attrs = append(attrs, attribute(syscall.RTA_OIF, number(uint32(index))))
	}
	kind, flags := uint16(syscall.RTM_DELROUTE), uint16(0)
	if add {
		kind, flags = syscall.RTM_NEWROUTE, syscall.NLM_F_CREATE|syscall.NLM_F_EXCL
	} else {
		fixed.Scope, fixed.Protocol, fixed.Type = syscall.RT_SCOPE_NOWHERE, 0, 0
	}
	if _, err := ask(kind, flags, bytes(&fixed), attrs...); err != nil {
		return fmt.Errorf("route %s: %w", o[""], err)
	}
	return nil
}

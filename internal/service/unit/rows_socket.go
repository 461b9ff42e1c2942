package unit

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

func socketRows() []row {
	const s = "Socket"
	return []row{
		{s, "ListenStream", false, setListen(ListenStream)},
		{s, "ListenDatagram", false, setListen(ListenDatagram)},
		{s, "ListenSequentialPacket", false, setListen(ListenSequential)},
		{s, "ListenFIFO", false, setListen(ListenFIFO)},
		{s, "BindIPv6Only", false, setIPv6Only},
		{s, "Accept", false, toBool(func(u *Unit) *bool { return &u.Socket.Accept })},
		{s, "Service", false, setTarget(KindService, func(u *Unit) *string { return &u.Socket.Service })},
		{s, "SocketMode", false, toMode(func(u *Unit) *uint32 { return &u.Socket.Mode })},
		{s, "DirectoryMode", false, toMode(func(u *Unit) *uint32 { return &u.Socket.DirMode })},
		{s, "SocketUser", false, toUser(func(u *Unit) *string { return &u.Socket.User })},
		{s, "SocketGroup", false, toUser(func(u *Unit) *string { return &u.Socket.Group })},
		{s, "Backlog", true, toInt(func(u *Unit) *int { return &u.Socket.Backlog }, 0, 1<<31-1)},
		{s, "FileDescriptorName", true, setFDName},
		{s, "Symlinks", false, toList(func(u *Unit) *[]string { return &u.Socket.Links }, quoting{}, cleanPath)},
		{s, "RemoveOnStop", true, toBool(func(u *Unit) *bool { return &u.Socket.Remove })},
		{s, "MaxConnections", false, toInt(func(u *Unit) *int { return &u.Socket.MaxConns }, 1, 1<<20)},
		{s, "MaxConnectionsPerSource", false, toInt(func(u *Unit) *int { return &u.Socket.MaxConnsPerSource }, 0, 1<<20)},
		{s, "KeepAlive", true, toBool(func(u *Unit) *bool { return &u.Socket.KeepAlive })},
		{s, "NoDelay", true, toBool(func(u *Unit) *bool { return &u.Socket.NoDelay })},
		{s, "ReusePort", true, toBool(func(u *Unit) *bool { return &u.Socket.ReusePort })},
		{s, "FreeBind", true, toBool(func(u *Unit) *bool { return &u.Socket.FreeBind })},
		{s, "PassCredentials", true, toBool(func(u *Unit) *bool { return &u.Socket.PassCred })},
		{s, "Writable", true, toBool(func(u *Unit) *bool { return &u.Socket.Writable })},
		{s, "FlushPending", true, toBool(func(u *Unit) *bool { return &u.Socket.FlushPending })},
		{s, "ReceiveBuffer", true, toBytes(func(u *Unit) *int { return &u.Socket.ReceiveBuffer })},
		{s, "SendBuffer", true, toBytes(func(u *Unit) *int { return &u.Socket.SendBuffer })},
		{s, "PipeSize", true, toBytes(func(u *Unit) *int { return &u.Socket.PipeSize })},
		{s, "TriggerLimitIntervalSec", true, toSpan(func(u *Unit) *time.Duration { return &u.Socket.TriggerInterval })},
		{s, "TriggerLimitBurst", true, func(d *decoder, v string) error {
			d.triggerSet = true
			return toInt(func(u *Unit) *int { return &u.Socket.TriggerBurst }, 0, 1<<30)(d, v)
		}},
	}
}

func setListen(kind ListenKind) setter {
	return func(d *decoder, value string) error {
		s := d.u.Socket
		if value == "" {
			s.Listen = nil // of all kinds, as systemd has it
			return nil
		}
		value, err := d.expand(value)
		if err != nil {
			return err
		}
		l, err := parseListen(kind, value)
		if err != nil {
			return err
		}
		if len(s.Listen) >= mostList {
			return errTooMany
		}
		s.Listen = append(s.Listen, l)
		return nil
	}
}

// parseListen reads an address: a path, @ and an abstract name, a port, or an
// IP address and a port.
func parseListen(kind ListenKind, s string) (Listen, error) {
	l := Listen{Kind: kind}
	if s != "" && (s[0] == '/' || s[0] == '@') {
		const longest = 107 // what sockaddr_un holds with its end
		if len(s) > longest && kind != ListenFIFO {
			return l, fmt.Errorf("path is longer than %d bytes", longest)
		}
		l.Path = s
		if s[0] == '/' {
			p, err := cleanPath(s)
			l.Path = p
			return l, err
		}
		if kind == ListenFIFO || len(s) == 1 {
			return l, errors.New("want an absolute path")
		}
		return l, nil
	}
	if kind == ListenFIFO {
		return l, errors.New("want an absolute path")
	}
	if kind == ListenSequential {
		return l, errors.New("sequential packets are for unix sockets: want a path")
	}
	if port, err := strconv.ParseUint(s, 10, 16); err == nil && port > 0 {
		l.Port = int(port)
		return l, nil
	}
	if strings.HasPrefix(s, "vsock:") {
		return l, errors.New("vsock is not supported in a container")
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Port() == 0 {
		return l, errors.New("want a path, a port, or an IP address and a port")
	}
	l.Host, l.Port = at.Addr().String(), int(at.Port())
	return l, nil
}

func setIPv6Only(d *decoder, value string) error {
	return toEnum(func(*Unit) *string { return &d.bindIPv6 }, "default", "both", "ipv6-only")(d, value)
}

// setTarget wants the name of a unit, of one kind if kind is not KindOther.
func setTarget(kind Kind, field func(*Unit) *string) setter {
	return func(d *decoder, value string) error {
		value, err := d.expand(value)
		if err != nil {
			return err
		}
		n, err := ParseName(value)
		if err != nil {
			return err
		}
		if kind != KindOther && n.Kind() != kind {
			return fmt.Errorf("want the name of a %s", kind)
		}
		if n.IsTemplate() {
			return errors.New("a template cannot be started: name an instance")
		}
		*field(d.u) = value
		return nil
	}
}

func setFDName(d *decoder, value string) error {
	v, err := d.expand(value)
	if err != nil {
		return err
	}
	if len(v) > mostNameLen || strings.ContainsAny(v, ":\n") {
		return errors.New("want a short name without colons")
	}
	d.fdNameSet = v != ""
	d.u.Socket.FDName = v
	return nil
}

// finishSocket fills in what follows from the rest and checks the whole.
func (d *decoder) finishSocket() error {
	s := d.u.Socket
	if len(s.Listen) == 0 {
		return errors.New("the socket listens on nothing: want a ListenStream= or its like")
	}
	ownName := d.u.Socket.Service == ""
	switch {
	case s.Accept && !ownName:
		return errors.New("Accept=yes starts instances of the template of the same name: Service= does not go with it")
	case s.Accept:
		s.Service = d.name.Prefix + "@.service"
	case ownName:
		s.Service = d.name.Stem() + ".service"
	}
	for i := range s.Listen {
		l := &s.Listen[i]
		if s.Accept && (l.Kind == ListenDatagram || l.Kind == ListenFIFO) {
			return errors.New("Accept=yes is for sockets that have connections")
		}
		isV6 := l.Host != "" && strings.Contains(l.Host, ":")
		l.IPv6Only = d.bindIPv6 == "ipv6-only" && l.Path == "" && (l.Host == "" || isV6)
	}
	if len(s.Links) > 0 {
		paths := 0
		for _, l := range s.Listen {
			if path.IsAbs(l.Path) {
				paths++
			}
		}
		if paths != 1 {
			return errors.New("Symlinks= wants exactly one socket or FIFO with a path")
		}
	}
	if !d.fdNameSet {
		s.FDName = d.name.Full
		if s.Accept {
			s.FDName = "connection"
		}
	}
	if !d.triggerSet && s.Accept {
		s.TriggerBurst = 200
	}
	return nil
}

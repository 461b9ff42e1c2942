package main

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"coretools.silo/getopt"
	"coretools.silo/procfs"
	"coretools.silo/table"
)

var networkCommands = []command{
	{"ipconfig", "[/all]", "addresses, gateway and name servers", true, ipConfig},
	{"get-nettcpconnection", "", "TCP connections and listening ports with their processes", true, getConnections},
	{"netstat", "[-tuxlanp] | -r | -i", "sockets, routes (-r), links (-i)", true, netstat},
	{"ss", "[-tuxlanp]", "the same as netstat", true, netstat},
	{"route", "[print]", "routes of this system", true, route},
	{"ping", "[-46nq] [-c COUNT] [-i SECONDS] [-W SECONDS] [-w SECONDS] [-s BYTES] HOST", "ask a host for echoes", false, ping},
	{"nslookup", "NAME|ADDRESS [SERVER]", "ask a name server", true, nslookup},
	{"telnet", "HOST [PORT]", "talk to a TCP port", false, telnet},
}

func getConnections(c *call, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	sockets, err := c.root.Sockets("tcp", "tcp6")
	if err != nil {
		return err
	}
	owners := c.root.Owners()
	t := &table.Table{Columns: []table.Column{
		{Name: "localAddress", Title: "LOCAL ADDRESS"},
		{Name: "localPort", Title: "LOCAL PORT"},
		{Name: "remoteAddress", Title: "REMOTE ADDRESS"},
		{Name: "remotePort", Title: "REMOTE PORT"},
		{Name: "state"},
		{Name: "owningProcess", Title: "OWNING PROCESS"},
		{Name: "processName", Title: "PROCESS NAME"},
		{Name: "user"},
	}}
	for _, s := range sockets {
		pid, name := owner(owners, s)
		t.Add(s.Local.Addr().String(), int(s.Local.Port()), s.Remote.Addr().String(), int(s.Remote.Port()), stateName(s.State), pid, name, c.socketUser(s))
	}
	return c.write(t)
}

// stateName writes a state as a word: Listen, Established, TimeWait.
func stateName(state string) any {
	if state == "" {
		return nil
	}
	var b strings.Builder
	for _, part := range strings.Split(state, "_") {
		b.WriteString(part[:1] + strings.ToLower(part[1:]))
	}
	return b.String()
}

// owner is the process that holds a socket: not known if another user's, or
// if a process outside the container holds it for a service that has not run.
func owner(owners map[uint64]procfs.Owner, s procfs.Socket) (pid, name any) {
	o, ok := owners[s.Inode]
	if !ok || s.Inode == 0 {
		return nil, nil
	}
	return o.PID, textOf(o.Name)
}

func (c *call) socketUser(s procfs.Socket) any {
	if s.UID < 0 {
		return nil
	}
	return c.names().User(uint32(s.UID))
}

var netstatLong = map[string]string{
	"tcp": "t", "udp": "u", "unix": "x", "listening": "l", "all": "a", "numeric": "n", "program": "p", "route": "r", "interfaces": "i",
}

func netstat(c *call, args []string) error {
	opt, err := getopt.Read("tuxlanoprie46WHeO", netstatLong, args)
	if err == nil {
		err = none(opt.Operands)
	}
	if err != nil {
		return usageError{err}
	}
	switch {
	case opt.Has('r'):
		return c.write(c.routes())
	case opt.Has('i'):
		return c.write(c.interfaces())
	case opt.Has('x'):
		return c.unixSockets(opt)
	}
	return c.inetSockets(opt)
}

func (c *call) inetSockets(opt *getopt.Set) error {
	var protocols []string
	every := !opt.Has('t') && !opt.Has('u')
	if every || opt.Has('t') {
		protocols = append(protocols, "tcp", "tcp6")
	}
	if every || opt.Has('u') {
		protocols = append(protocols, "udp", "udp6")
	}
	sockets, err := c.root.Sockets(protocols...)
	if err != nil {
		return err
	}
	t := &table.Table{Columns: []table.Column{
		{Name: "proto"},
		{Name: "local", Title: "LOCAL ADDRESS"},
		{Name: "foreign", Title: "FOREIGN ADDRESS"},
		{Name: "state"},
		{Name: "pid", Detail: !opt.Has('p') && !opt.Has('o')},
		{Name: "program", Detail: !opt.Has('p')},
		{Name: "user", Detail: true},
	}}
	owners := c.root.Owners()
	for _, s := range sockets {
		if waits := s.Listens(); opt.Has('l') && !waits || !opt.Has('l') && !opt.Has('a') && waits {
			continue
		}
		pid, name := owner(owners, s)
		t.Add(s.Protocol, endpoint(s.Local), endpoint(s.Remote), textOf(s.State), pid, name, c.socketUser(s))
	}
	return c.write(t)
}

// endpoint writes an address and a port, * for any.
func endpoint(a netip.AddrPort) string {
	port := "*"
	if a.Port() != 0 {
		port = strconv.Itoa(int(a.Port()))
	}
	return net.JoinHostPort(a.Addr().Unmap().String(), port)
}

func (c *call) unixSockets(opt *getopt.Set) error {
	t := &table.Table{Columns: []table.Column{{Name: "proto"}, {Name: "type"}, {Name: "state"}, {Name: "inode", Title: "I-NODE"}, {Name: "path"}}}
	data, err := c.root.Read("/proc/net/unix")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(data)) {
		w := strings.Fields(line)
		if len(w) < 7 || w[0] == "Num" {
			continue
		}
		kind := map[string]string{"0001": "STREAM", "0002": "DGRAM", "0005": "SEQPACKET"}[w[4]]
		state := map[string]string{"01": "", "03": "CONNECTED"}[w[5]]
		if w[3] == "00010000" { // it accepts connections
			state = "LISTENING"
		} else if opt.Has('l') {
			continue
		}
		inode, err := strconv.ParseInt(w[6], 10, 64)
		if err != nil {
			continue
		}
		t.Add("unix", textOf(kind), textOf(state), inode, textOf(strings.Join(w[7:], " ")))
	}
	return c.write(t)
}

func (c *call) interfaces() *table.Table {
	t := &table.Table{Columns: []table.Column{
		{Name: "iface"}, {Name: "mtu"}, {Name: "rxOk", Title: "RX-OK"}, {Name: "rxErr", Title: "RX-ERR"}, {Name: "txOk", Title: "TX-OK"}, {Name: "txErr", Title: "TX-ERR"},
	}}
	for _, a := range links() {
		count := func(name string) any {
			n, err := strconv.ParseInt(c.root.Line("/sys/class/net/"+a.Name+"/statistics/"+name), 10, 64)
			if err != nil {
				return nil
			}
			return n
		}
		t.Add(a.Name, a.MTU, count("rx_packets"), count("rx_errors"), count("tx_packets"), count("tx_errors"))
	}
	return t
}

package facts

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"silo/internal/linux"
)

// ReadNetwork takes in links, addresses and the default route of the calling
// thread's network namespace, as the kernel tells them by netlink.
func (f *Facts) ReadNetwork() {
	n := &f.Network
	byIndex := map[uint32]int{}
	err := dump(syscall.RTM_GETLINK, syscall.AF_UNSPEC, func(m syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		if len(m.Data) < syscall.SizeofIfInfomsg || len(n.Links) == 64 {
			return
		}
		l := Link{Up: binary.NativeEndian.Uint32(m.Data[8:])&syscall.IFF_UP != 0}
		for _, a := range attrs {
			switch a.Attr.Type {
			case syscall.IFLA_IFNAME:
				l.Name = Text(strings.TrimRight(string(a.Value), "\x00"))
			case syscall.IFLA_MTU:
				l.MTU = int(binary.NativeEndian.Uint32(a.Value))
			case syscall.IFLA_ADDRESS:
				l.MAC = colons(a.Value)
			}
		}
		byIndex[binary.NativeEndian.Uint32(m.Data[4:])] = len(n.Links)
		n.Links = append(n.Links, l)
	})
	if err != nil {
		f.problem("network", err)
		return
	}
	if err = n.readAddresses(byIndex); err == nil {
		err = n.readGateway()
	}
	if err != nil {
		f.problem("network", err)
	}
}

// readAddresses adds to the links, whose places are given by their index, what
// addresses they have.
func (n *Network) readAddresses(byIndex map[uint32]int) error {
	return dump(syscall.RTM_GETADDR, syscall.AF_UNSPEC, func(m syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		if len(m.Data) < syscall.SizeofIfAddrmsg {
			return
		}
		i, ok := byIndex[binary.NativeEndian.Uint32(m.Data[4:])]
		if !ok {
			return
		}
		var local, other string
		for _, a := range attrs {
			switch a.Attr.Type {
			case syscall.IFA_LOCAL:
				local = address(a.Value)
			case syscall.IFA_ADDRESS:
				other = address(a.Value)
			}
		}
		if local == "" {
			local = other
		}
		n.Links[i].Addresses = append(n.Links[i].Addresses, local+"/"+strconv.Itoa(int(m.Data[1])))
	})
}

// readGateway finds the default route of the main table.
func (n *Network) readGateway() error {
	return dump(syscall.RTM_GETROUTE, syscall.AF_INET, func(m syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		if len(m.Data) < syscall.SizeofRtMsg || m.Data[1] != 0 || m.Data[4] != syscall.RT_TABLE_MAIN {
			return
		}
		for _, a := range attrs {
			if a.Attr.Type == syscall.RTA_GATEWAY && n.Gateway == "" {
				n.Gateway = address(a.Value)
			}
		}
	})
}

// dump asks the kernel for all objects of a kind.
func dump(kind, family int, each func(syscall.NetlinkMessage, []syscall.NetlinkRouteAttr)) error {
	data, err := syscall.NetlinkRIB(kind, family)
	if err != nil {
		return os.NewSyscallError("netlink", err)
	}
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return os.NewSyscallError("netlink", err)
	}
	for _, m := range messages {
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			continue // the end, or a kind that is not asked for
		}
		each(m, attrs)
	}
	return nil
}

func colons(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(parts, ":")
}

// address writes an address of 4 or 16 bytes. Of version 6 groups are written
// in full but for leading zeros, and the longest run of zero groups as "::".
func address(b []byte) string {
	if len(b) == 4 {
		return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3])
	}
	if len(b) != 16 {
		return ""
	}
	var groups [8]uint16
	for i := range groups {
		groups[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	from, length := -1, 1
	for i := 0; i < 8; i++ {
		j := i
		for j < 8 && groups[j] == 0 {
			j++
		}
		if j-i > length {
			from, length = i, j-i
		}
		i = max(i, j-1)
	}
	var out strings.Builder
	for i := 0; i < 8; i++ {
		if i == from {
			out.WriteString("::")
			i += length - 1
			continue
		}
		if i > 0 && i != from+length {
			out.WriteByte(':')
		}
		out.WriteString(strconv.FormatUint(uint64(groups[i]), 16))
	}
	return out.String()
}

// States of sockets in /proc/net/tcp and udp.
const (
	stateEstablished = "01"
	stateUnconnected = "07"
	stateListen      = "0A"
)

// ReadPorts takes in who waits for clients, from a folder like /proc/self/net,
// and finds the processes among pids whose sockets they are. listeners asks for
// the listening TCP sockets of the same network namespace, of version 6 or 4.
func (f *Facts) ReadPorts(dir, proc string, pids []int, listeners func(v6 bool) ([]linux.TCPListener, error)) {
	owners := map[string][]int{} // inode → places in f.Ports
	for _, protocol := range []string{"tcp", "tcp6", "udp", "udp6"} {
		list, ok := idleTCP(dir, protocol, listeners)
		if !ok {
			var connections int
			list, connections = socketsOf(readSome(dir+"/"+protocol, maxFile), protocol)
			f.Network.Connections += connections
		}
		for _, s := range list {
			if len(f.Ports) == MaxPorts {
				f.Truncated = true
				return
			}
			owners[s.inode] = append(owners[s.inode], len(f.Ports))
			f.Ports = append(f.Ports, s.Port)
		}
	}
	f.findOwners(owners, proc, pids)
}

// socket is one that waits for clients.
type socket struct {
	Port
	inode string
}

// socketsOf reads a file like /proc/net/tcp; connections counts the established
// ones of TCP.
func socketsOf(text, protocol string) (list []socket, connections int) {
	tcp := strings.HasPrefix(protocol, "tcp")
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) < 10 {
			continue
		}
		if w[3] == stateEstablished && tcp {
			connections++
		}
		waits := w[3] == stateListen || w[3] == stateUnconnected && !tcp
		if ip, port, ok := endpoint(w[1]); ok && waits {
			list = append(list, socket{Port{Protocol: protocol, Address: ip, Port: port, UID: number32(w[7])}, w[9]})
		}
	}
	return list, connections
}

// idleTCP lists the sockets of a protocol if it is TCP and the kernel counts
// none in use but those that listen: then nothing is connected, and the file,
// for which it goes through the connections of the whole machine, need not be
// read. It takes longer than all else that is read of a container.
func idleTCP(dir, protocol string, listeners func(v6 bool) ([]linux.TCPListener, error)) (list []socket, ok bool) {
	file, v6 := "/sockstat", protocol == "tcp6"
	switch {
	case v6:
		file = "/sockstat6"
	case protocol != "tcp":
		return nil, false
	}
	inUse := -1
	for line := range strings.Lines(readSome(dir+file, 4096)) {
		w := strings.Fields(line)
		if len(w) > 2 && w[0] == strings.ToUpper(protocol)+":" && w[1] == "inuse" {
			if n, err := strconv.Atoi(w[2]); err == nil {
				inUse = n
			}
		}
	}
	if inUse <= 0 {
		return nil, inUse == 0
	}
	found, err := listeners(v6)
	if err != nil || len(found) != inUse { // the file tells in any case
		return nil, false
	}
	for _, l := range found {
		list = append(list, socket{Port{Protocol: protocol, Address: address(l.Address), Port: l.Port, UID: l.UID}, strconv.FormatUint(uint64(l.Inode), 10)})
	}
	return list, true
}

// findOwners gives each port the first process that has its socket. To look
// through what processes have open takes longer than all else that is read of
// them: it ends when nothing is sought any more.
func (f *Facts) findOwners(owners map[string][]int, proc string, pids []int) {
	for _, pid := range pids {
		if len(owners) == 0 {
			return
		}
		for _, inode := range sockets(proc + "/" + strconv.Itoa(pid) + "/fd") {
			for _, i := range owners[inode] {
				f.Ports[i].PID = pid
			}
			delete(owners, inode)
		}
	}
}

// endpoint reads an address as /proc/net writes it: words in the order of the
// machine's bytes.
func endpoint(text string) (ip string, port uint16, ok bool) {
	host, p, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(p, 16, 16)
	if err != nil || perr != nil || len(raw) != 4 && len(raw) != 16 {
		return "", 0, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	return address(raw), uint16(n), true
}

// sockets lists the inodes of the sockets that a process has open.
func sockets(dir string) (out []string) {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		to, err := os.Readlink(dir + "/" + name)
		if inode, ok := strings.CutPrefix(to, "socket:["); ok && err == nil {
			out = append(out, strings.TrimSuffix(inode, "]"))
		}
	}
	return out
}

package procfs

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Socket is a line of /proc/net/tcp and its like.
type Socket struct {
	Protocol      string // tcp, tcp6, udp, udp6
	Local, Remote netip.AddrPort
	State         string // for TCP, and ESTABLISHED for a connected UDP socket
	UID           int64
	Inode         uint64 // 0 if no process has it any more
}

// states by their number in /proc/net/tcp.
var states = map[string]string{
	"01": "ESTABLISHED", "02": "SYN_SENT", "03": "SYN_RECV", "04": "FIN_WAIT1", "05": "FIN_WAIT2", "06": "TIME_WAIT",
	"07": "CLOSE", "08": "CLOSE_WAIT", "09": "LAST_ACK", "0A": "LISTEN", "0B": "CLOSING", "0C": "SYN_RECV",
}

// Sockets reads the tables of the protocols; one that the kernel lacks has no
// sockets.
func (r Root) Sockets(protocols ...string) ([]Socket, error) {
	var all []Socket
	for _, p := range protocols {
		data, err := r.Read("/proc/net/" + p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			if s, ok := socket(p, line); ok {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

func socket(protocol, line string) (Socket, bool) {
	w := strings.Fields(line)
	if len(w) < 10 {
		return Socket{}, false
	}
	local, okLocal := address(w[1])
	remote, okRemote := address(w[2])
	if !okLocal || !okRemote {
		return Socket{}, false
	}
	s := Socket{Protocol: protocol, Local: local, Remote: remote, State: states[w[3]], UID: -1}
	if strings.HasPrefix(protocol, "udp") && s.State == "CLOSE" {
		s.State = ""
	}
	if n, err := strconv.ParseUint(w[7], 10, 32); err == nil {
		s.UID = int64(n)
	}
	s.Inode, _ = strconv.ParseUint(w[9], 10, 64) // 0: nobody's
	return s, true
}

// Listens tells whether the socket waits for peers.
func (s Socket) Listens() bool {
	return s.State == "LISTEN" || strings.HasPrefix(s.Protocol, "udp") && s.Remote.Port() == 0
}

// address reads "0100007F:0050": words of four bytes in the order of the
// machine, then the port.
func address(word string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(word, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	a, ok := Address(raw)
	return netip.AddrPortFrom(a, uint16(n)), ok
}

// Address makes an address of words of four bytes in the order of the machine,
// as /proc/net writes them.
func Address(raw []byte) (netip.Addr, bool) {
	for i := 0; i+4 <= len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	a, ok := netip.AddrFromSlice(raw)
	return a, ok
}

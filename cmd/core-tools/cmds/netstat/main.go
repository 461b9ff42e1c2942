// Command netstat lists sockets: those that listen (-l), TCP (-t), UDP (-u) and
// Unix (-x) ones, with their programs (-p); with -r the routes, with -i the
// interfaces. Addresses are always numbers. ss is the same under another name.
package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"coretools.silo/getopt"
)

// socket is a line of /proc/net/tcp and its like.
type socket struct {
	proto, local, remote, state, inode string
}

// tcpStates by their number in /proc/net/tcp.
var tcpStates = map[string]string{
	"01": "ESTABLISHED", "02": "SYN_SENT", "03": "SYN_RECV", "04": "FIN_WAIT1", "05": "FIN_WAIT2", "06": "TIME_WAIT",
	"07": "CLOSE", "08": "CLOSE_WAIT", "09": "LAST_ACK", "0A": "LISTEN", "0B": "CLOSING",
}

func main() {
	opt := getopt.Parse("tuxlanprie46WHeO", "netstat [-tuxlanp] | -r | -i", map[string]string{"tcp": "t", "udp": "u", "unix": "x", "listening": "l", "all": "a", "numeric": "n", "program": "p", "route": "r", "interfaces": "i"})
	var status getopt.Status
	switch {
	case opt.Has('r'):
		status.Note(routes())
	case opt.Has('i'):
		status.Note(interfaces())
	default:
		status.Note(sockets(opt))
	}
	status.Exit()
}

func sockets(opt *getopt.Set) error {
	every := !opt.Has('t') && !opt.Has('u') && !opt.Has('x')
	var rows []socket
	for _, p := range []struct {
		letter byte
		names  []string
	}{{'t', []string{"tcp", "tcp6"}}, {'u', []string{"udp", "udp6"}}} {
		if !every && !opt.Has(p.letter) {
			continue
		}
		for _, n := range p.names {
			found, err := read(n)
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // no IPv6 here
				return err
			}
			rows = append(rows, found...)
		}
	}
	owners := map[string]string{}
	if opt.Has('p') {
		owners = programs()
	}
	table := [][]string{{"Proto", "Local Address", "Foreign Address", "State", "PID/Program name"}}
	for _, s := range rows {
		waits := s.state == "LISTEN" || strings.HasPrefix(s.proto, "udp") && strings.HasSuffix(s.remote, ":*")
		if opt.Has('l') && !waits || !opt.Has('l') && !opt.Has('a') && waits {
			continue
		}
		owner := owners[s.inode]
		if owner == "" {
			owner = "-"
		}
		table = append(table, []string{s.proto, s.local, s.remote, s.state, owner})
	}
	columns := 4
	if opt.Has('p') {
		columns = 5
	}
	print(table, columns)
	if every && opt.Has('a') || opt.Has('x') {
		return unixSockets(opt.Has('l'))
	}
	return nil
}

func print(table [][]string, columns int) {
	var wide [8]int
	for _, row := range table {
		for i := range columns {
			wide[i] = max(wide[i], len(row[i]))
		}
	}
	for _, row := range table {
		var line strings.Builder
		for i := range columns {
			fmt.Fprintf(&line, "%-*s ", wide[i], row[i])
		}
		fmt.Println(strings.TrimRight(line.String(), " "))
	}
}

func read(proto string) ([]socket, error) {
	f, err := os.Open("/proc/net/" + proto)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows []socket
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		w := strings.Fields(scan.Text())
		if len(w) < 10 || w[0] == "sl" {
			continue
		}
		state := tcpStates[w[3]]
		if strings.HasPrefix(proto, "udp") && state == "CLOSE" {
			state = ""
		}
		rows = append(rows, socket{proto, address(w[1]), address(w[2]), state, w[9]})
	}
	return rows, scan.Err()
}

// address reads "0100007F:0050": words of four bytes in the order of the
// machine, then the port.
func address(word string) string {
	host, port, ok := strings.Cut(word, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil {
		return word
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	a, _ := netip.AddrFromSlice(raw)
	n, _ := strconv.ParseUint(port, 16, 16)
	text := "*"
	if n != 0 {
		text = strconv.FormatUint(n, 10)
	}
	return net.JoinHostPort(a.Unmap().String(), text)
}

// programs finds who holds which socket, as far as this user may see.
func programs() map[string]string {
	owners := map[string]string{}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil {
			continue
		}
		inode, ok := strings.CutPrefix(target, "socket:[")
		if !ok {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		owners[strings.TrimSuffix(inode, "]")] = pid + "/" + strings.TrimSpace(string(name))
	}
	return owners
}

func unixSockets(listening bool) error {
	data, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return err
	}
	table := [][]string{{"Proto", "Type", "State", "I-Node", "Path"}}
	for line := range strings.Lines(string(data)) {
		w := strings.Fields(line)
		if len(w) < 7 || w[0] == "Num" {
			continue
		}
		kind := map[string]string{"0001": "STREAM", "0002": "DGRAM", "0005": "SEQPACKET"}[w[4]]
		state := map[string]string{"01": "", "03": "CONNECTED"}[w[5]]
		if w[3] == "00010000" { // it accepts connections
			state = "LISTENING"
		} else if listening {
			continue
		}
		table = append(table, []string{"unix", kind, state, w[6], strings.Join(w[7:], " ")})
	}
	print(table, 5)
	return nil
}

func routes() error {
	data, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return err
	}
	table := [][]string{{"Destination", "Gateway", "Genmask", "Iface"}}
	for line := range strings.Lines(string(data)) {
		w := strings.Fields(line)
		if len(w) < 8 || w[0] == "Iface" {
			continue
		}
		host := func(word string) string { return strings.TrimSuffix(address(word+":0"), ":*") }
		table = append(table, []string{host(w[1]), host(w[2]), host(w[7]), w[0]})
	}
	print(table, 4)
	return nil
}

func interfaces() error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	table := [][]string{{"Iface", "MTU", "RX-OK", "RX-ERR", "TX-OK", "TX-ERR"}}
	for _, i := range all {
		count := func(name string) string {
			data, err := os.ReadFile("/sys/class/net/" + i.Name + "/statistics/" + name)
			if err != nil {
				return "-"
			}
			return strings.TrimSpace(string(data))
		}
		table = append(table, []string{i.Name, strconv.Itoa(i.MTU), count("rx_packets"), count("rx_errors"), count("tx_packets"), count("tx_errors")})
	}
	print(table, 6)
	return nil
}

// Command hostname prints the name of the host, its first part (-s), its
// addresses (-i, -I), or sets the name.
package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("fsdiI", "hostname [-fsdiI] | hostname name", nil)
	if len(opt.Operands) > 0 {
		if err := syscall.Sethostname([]byte(opt.Operands[0])); err != nil {
			fail(fmt.Errorf("set the name to %s: %w", opt.Operands[0], err))
		}
		return
	}
	name, err := os.Hostname()
	if err != nil {
		fail(err)
	}
	short, domain, _ := strings.Cut(name, ".")
	switch {
	case opt.Has('s'):
		fmt.Println(short)
	case opt.Has('d'):
		fmt.Println(domain)
	case opt.Has('i'), opt.Has('I'):
		fmt.Println(strings.Join(addresses(), " "))
	default:
		fmt.Println(name)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "hostname:", err)
	os.Exit(1)
}

// addresses are the IPv4 addresses of all interfaces but the loopback. They
// come from the kernel directly: package net would cost more time at the start
// of every command in this program.
func addresses() []string {
	rib, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil
	}
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil
	}
	var list []string
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < 4 {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			continue
		}
		for _, a := range attrs {
			if ip := a.Value; a.Attr.Type == syscall.IFA_LOCAL && len(ip) == 4 && ip[0] != 127 {
				list = append(list, fmt.Sprintf("%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3]))
			}
		}
	}
	return list
}

// Command nslookup asks a name server for addresses of a name, or for the name
// of an address: the server of /etc/resolv.conf, or the one given.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("", "nslookup name [server]", nil)
	if len(opt.Operands) < 1 || len(opt.Operands) > 2 {
		opt.Usage("needs a name, and may have a server")
	}
	name, server := opt.Operands[0], configured()
	if len(opt.Operands) == 2 {
		server = opt.Operands[1]
	}
	if server == "" {
		fmt.Fprintln(os.Stderr, "nslookup: no name server: /etc/resolv.conf names none")
		os.Exit(1)
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, "53")
	}
	host, port, _ := net.SplitHostPort(server)
	fmt.Printf("Server:\t\t%s\nAddress:\t%s#%s\n\n", host, host, port)
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	if net.ParseIP(name) != nil {
		var names []string
		names, err = r.LookupAddr(ctx, name)
		for _, n := range names {
			fmt.Printf("%s\tname = %s\n", name, n)
		}
	} else {
		var addresses []net.IPAddr
		addresses, err = r.LookupIPAddr(ctx, name)
		for _, a := range addresses {
			fmt.Printf("Name:\t%s\nAddress: %s\n", name, a)
		}
	}
	if err != nil {
		text := err.Error()
		var dns *net.DNSError
		if errors.As(err, &dns) {
			text = dns.Err
		}
		fmt.Printf("** can't find %s: %s\n", name, text)
		os.Exit(1)
	}
}

// configured is the first server of /etc/resolv.conf.
func configured() string {
	data, _ := os.ReadFile("/etc/resolv.conf")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			return f[1]
		}
	}
	return ""
}

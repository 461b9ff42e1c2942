package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"coretools.silo/table"
)

// nslookup asks a name server for the addresses of a name, or for the name of
// an address: the server of /etc/resolv.conf, or the one given.
func nslookup(c *call, args []string) error {
	if len(args) < 1 || len(args) > 2 || strings.HasPrefix(args[0], "-") {
		return badUsage("needs a name, and may have a server")
	}
	server := ""
	if configured := c.root.Resolver().Servers; len(configured) > 0 {
		server = configured[0]
	}
	if len(args) == 2 {
		server = args[1]
	}
	if server == "" {
		return errors.New("no name server: /etc/resolv.conf names none")
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, "53")
	}
	t, err := lookup(args[0], server)
	var dns *net.DNSError
	if errors.As(err, &dns) {
		err = errors.New(dns.Err)
	}
	if c.asTable() {
		if err != nil {
			return fmt.Errorf("%s: %w", table.Clean(args[0]), err)
		}
		return c.write(t)
	}
	host, port, _ := net.SplitHostPort(server)
	fmt.Fprintf(c.out, "Server:\t\t%s\nAddress:\t%s#%s\n\n", host, host, port)
	if err != nil {
		fmt.Fprintf(c.out, "** can't find %s: %v\n", table.Clean(args[0]), err)
		return exitCode(1)
	}
	for _, row := range t.Rows {
		format := "Name:\t%s\nAddress: %s\n"
		if row[1] == "PTR" {
			format = "%s\tname = %s\n"
		}
		fmt.Fprintf(c.out, format, table.Text(row[0]), table.Text(row[2]))
	}
	return nil
}

// lookup asks one server; it does not read the files that others look in first.
func lookup(name, server string) (*table.Table, error) {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	t := &table.Table{Columns: []table.Column{{Name: "name"}, {Name: "type"}, {Name: "answer"}, {Name: "server", Detail: true}}}
	if net.ParseIP(name) != nil {
		names, err := r.LookupAddr(ctx, name)
		for _, n := range names {
			t.Add(name, "PTR", n, server)
		}
		return t, err
	}
	addresses, err := r.LookupIPAddr(ctx, name)
	for _, a := range addresses {
		kind := "AAAA"
		if a.IP.To4() != nil {
			kind = "A"
		}
		t.Add(name, kind, a.String(), server)
	}
	return t, err
}

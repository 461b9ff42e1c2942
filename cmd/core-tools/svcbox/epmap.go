package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"coretools.silo/procfs"
)

const (
	mapperAddress = ":135"
	mapperClients = 16 // at once; more wait
	mapperLimit   = 5 * time.Second
	mapperIgnored = 4 << 10 // bytes that a client may say; nothing is done with them
)

// mapping is what the endpoint mapper answers: one line of JSON.
type mapping struct {
	Host      string     `json:"host"`
	Endpoints []endpoint `json:"endpoints"`
}

// endpoint is one open port.
type endpoint struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	Port     int    `json:"port"`
	Service  string `json:"service,omitempty"` // the name of the port in /etc/services
}

func runMapper(ctx context.Context) error {
	l, err := net.Listen("tcp", mapperAddress)
	if err != nil {
		return hostsPort("epmap", err)
	}
	closeAt(ctx, l)
	if err := ready(); err != nil {
		return err
	}
	return ended(ctx, serveMapper(l, ""))
}

// serveMapper answers whoever connects. It reads nothing that a client says:
// there is nothing to ask for but the list.
func serveMapper(l net.Listener, root procfs.Root) error {
	return acceptEach(l, mapperClients, func(conn net.Conn) {
		if err := conn.SetDeadline(time.Now().Add(mapperLimit)); err != nil {
			return
		}
		answer, err := json.Marshal(endpoints(root))
		if err != nil {
			return
		}
		if _, err := conn.Write(append(answer, '\n')); err != nil {
			return
		}
		// Closing with something unread would take the answer back.
		if half, ok := conn.(*net.TCPConn); ok && half.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, conn, mapperIgnored)
		}
	})
}

// endpoints lists the ports that others can reach: those that listen on the
// loopback only are nobody's business outside.
func endpoints(root procfs.Root) mapping {
	m := mapping{Endpoints: []endpoint{}}
	if name, err := os.Hostname(); err == nil {
		m.Host = name
	}
	names := portNames(root)
	sockets, err := root.Sockets("tcp", "tcp6", "udp", "udp6")
	if err != nil {
		return m
	}
	seen := map[endpoint]bool{}
	for _, s := range sockets {
		if !s.Listens() || s.Local.Addr().IsLoopback() {
			continue
		}
		protocol := strings.TrimSuffix(s.Protocol, "6")
		e := endpoint{protocol, s.Local.Addr().String(), int(s.Local.Port()), names[fmt.Sprintf("%d/%s", s.Local.Port(), protocol)]}
		if !seen[e] {
			seen[e] = true
			m.Endpoints = append(m.Endpoints, e)
		}
	}
	return m
}

// portNames reads /etc/services: "80/tcp" to http.
func portNames(root procfs.Root) map[string]string {
	names := map[string]string{}
	data, err := root.Read("/etc/services")
	if err != nil {
		return names
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 1 && names[f[1]] == "" {
			names[f[1]] = f[0]
		}
	}
	return names
}

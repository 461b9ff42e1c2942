// Package network is the default network, "nat": a switch (a Linux bridge)
// with an IPv4 subnet that the host does not use otherwise, a veth pair for
// each container, one nftables table, and a resolver at the gateway. It has no
// IPv6 yet: containers' adapters have it disabled.
//
// Who reaches whom:
//
//	host        -> container   yes
//	container   -> outside     yes, behind the host's address (masquerade)
//	container   -> container   yes, on one network; between networks no
//	outside     -> container   no, even with a route; only published ports
//
// Everything it makes on the host is named from a record: the bridge and what
// was changed of the host's settings from DIR/nat/network.json, veths, addresses
// and ports from the endpoints that the caller keeps. Open repairs what is
// there, Sweep removes what no record claims, Remove takes all of it away.
//
// The subpackages ipam (addresses), dns (the resolver) and nat (the packet
// filter) are its parts; container life cycles belong to the engine.
package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/network/dns"
	"silo/internal/network/ipam"
	"silo/internal/network/nat"
)

// Config says where a network lives.
type Config struct {
	Bridge string       // the switch's name on the host; "silo0" by default
	Pool   netip.Prefix // what to take the subnet from; 172.16.0.0/12 by default
	Dir    string       // holds a folder for each network
	Log    *slog.Logger // nil: slog.Default

	// Netns is the host's network namespace; nil: the process's own.
	Netns *linux.FD
	// Sockets are the resolver's sockets from an earlier Network.Sockets, so
	// that queries wait in them while the daemon restarts. Both or neither;
	// Open takes ownership.
	Sockets Sockets
	// ResolvConf names the host's resolver configuration, by default
	// /etc/resolv.conf; it is followed as it changes.
	ResolvConf string
}

// Sockets are the listening sockets of the resolver.
type Sockets struct{ UDP, TCP *linux.FD }

// Name is the name of the one network there is.
const Name = "nat"

// Network is an open network. Its methods may be called from several
// goroutines.
type Network struct {
	cfg   Config
	log   *slog.Logger
	pool  *ipam.Pool
	table *nat.Table
	names *dns.Names

	bridge atomic.Int64 // interface index
	mtu    atomic.Int64 // bytes, of the bridge and of new endpoints

	resolver    *dns.Server // nil if its addresses could not be bound
	resolverErr error

	publish  sync.Mutex // one Publish or Unpublish at a time
	bridging sync.Mutex // one mending of the bridge at a time

	mu       sync.Mutex
	rec      netRecord
	eps      map[string]Endpoint // by container
	warnings []string            // what Inspect shows
	others   []string            // bridges of other networks that the table knows; nil: not told yet

	stop context.CancelFunc
	wg   sync.WaitGroup
}

var bridgeName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$`)

func (c *Config) defaults() error {
	if c.Bridge == "" {
		c.Bridge = "silo0"
	}
	if !bridgeName.MatchString(c.Bridge) {
		return errs.Invalidf("bridge %q: a name is a letter and up to 14 letters, digits, '_', '.' and '-'", c.Bridge)
	}
	if !c.Pool.IsValid() {
		c.Pool = netip.MustParsePrefix("172.16.0.0/12")
	}
	if !c.Pool.Addr().Is4() || c.Pool.Bits() > 29 || c.Pool.Bits() < 8 {
		return errs.Invalidf("address pool %s: must be an IPv4 range from /8 to /29", c.Pool)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.ResolvConf == "" {
		c.ResolvConf = "/etc/resolv.conf"
	}
	return nil
}

// Open makes or repairs the network and starts what keeps it so. Doing it
// again, also after being killed at any point, leads to the same network.
// Unavailable if no range of the pool is free on the host, Conflict if the
// bridge's name belongs to somebody else.
func Open(ctx context.Context, cfg Config) (*Network, error) {
	n, err := open(ctx, cfg)
	if err != nil {
		cfg.Sockets.UDP.Close()
		cfg.Sockets.TCP.Close()
		return nil, fmt.Errorf("open network %s: %w", Name, err)
	}
	return n, nil
}

func open(ctx context.Context, cfg Config) (*Network, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	n := &Network{cfg: cfg, log: cfg.Log.With("network", Name), names: dns.NewNames(), eps: map[string]Endpoint{}}
	if err := n.settle(); err != nil {
		return nil, err
	}
	if err := n.sysctls(); err != nil {
		return nil, err
	}
	n.table = nat.New(cfg.Netns, cfg.Bridge, n.Subnet(), n.Gateway())
	if err := n.table.Apply(); err != nil {
		return nil, err
	}
	watchCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	events, err := n.subscribe()
	if err != nil {
		stop()
		return nil, err
	}
	n.reconcile(ctx)
	n.step(ctx, stepLegacy, n.table.PassLegacy)
	n.startResolver()
	n.watch(watchCtx, events)
	return n, nil
}

// startResolver binds the gateway's port 53. A host service that has it
// already costs names, not the network.
func (n *Network) startResolver() {
	cfg := dns.Config{
		Listen: netip.AddrPortFrom(n.Gateway(), 53), Clients: n.Subnet(), Names: n.names,
		ResolvConf: n.cfg.ResolvConf, Netns: n.cfg.Netns, Log: n.log,
		UDP: n.cfg.Sockets.UDP, TCP: n.cfg.Sockets.TCP,
	}
	n.resolver, n.resolverErr = dns.Listen(cfg)
	if n.resolverErr != nil {
		n.log.Warn("containers have no resolver: stop what listens on port 53 of all addresses, or bind it to its own, then restart silod", "err", n.resolverErr)
	}
}

// Sockets gives second descriptors of the resolver's sockets, to be kept for
// the next Open; both nil if there is no resolver. The caller closes them.
func (n *Network) Sockets() (Sockets, error) {
	if n.resolver == nil {
		return Sockets{}, nil
	}
	udp, tcp, err := n.resolver.Files()
	return Sockets{UDP: udp, TCP: tcp}, err
}

// Close stops the resolver and the watching. Bridge, table and endpoints
// stay: running containers go on.
func (n *Network) Close() error {
	n.stop()
	n.wg.Wait()
	if n.resolver != nil {
		return n.resolver.Close()
	}
	return nil
}

// Remove closes the network and takes away all that it made on the host:
// endpoints, rules in foreign tables, table, bridge, settings, record.
func (n *Network) Remove(ctx context.Context) error {
	err := n.Close()
	n.mu.Lock()
	n.eps = map[string]Endpoint{}
	n.mu.Unlock()
	if _, e := n.sweepLinks(); e != nil {
		err = errors.Join(err, e)
	}
	err = errors.Join(err, n.table.Unpass(ctx), n.removeBridge(), n.table.Remove(), n.restoreSysctls())
	if err == nil {
		err = os.RemoveAll(n.dir())
	}
	if err != nil {
		return fmt.Errorf("remove network %s: %w", Name, err)
	}
	return nil
}

// Subnet gives the network's addresses, such as 172.16.0.0/20.
func (n *Network) Subnet() netip.Prefix { return n.pool.Subnet() }

// Gateway gives the switch's own address: the containers' default route and
// name server.
func (n *Network) Gateway() netip.Addr { return n.pool.Gateway() }

// MTU gives the largest packet in bytes that new endpoints send: the uplink's.
func (n *Network) MTU() int { return int(n.mtu.Load()) }

// Info is what Inspect tells.
type Info struct {
	ID        string       `json:"id"` // 64 hex digits
	Name      string       `json:"name"`
	Created   time.Time    `json:"created"`
	Bridge    string       `json:"bridge"`
	Subnet    netip.Prefix `json:"subnet"`
	Gateway   netip.Addr   `json:"gateway"`
	MTU       int          `json:"mtu"`
	Resolver  string       `json:"resolver"`           // "172.16.0.1:53", or why there is none
	Warnings  []string     `json:"warnings,omitempty"` // what an administrator should look at
	Endpoints []Endpoint   `json:"endpoints"`          // by address
}

// Inspect tells what the network is now.
func (n *Network) Inspect() Info {
	n.mu.Lock()
	defer n.mu.Unlock()
	info := Info{
		ID: n.rec.ID, Name: Name, Created: n.rec.Created, Bridge: n.cfg.Bridge, Subnet: n.Subnet(),
		Gateway: n.Gateway(), MTU: n.MTU(), Warnings: slices.Clone(n.warnings),
		Resolver: netip.AddrPortFrom(n.Gateway(), 53).String(),
	}
	if n.resolver == nil {
		info.Resolver = "none"
		if n.resolverErr != nil {
			info.Resolver += ": " + n.resolverErr.Error()
		}
	}
	for _, ep := range n.eps {
		info.Endpoints = append(info.Endpoints, ep)
	}
	slices.SortFunc(info.Endpoints, func(a, b Endpoint) int { return a.IP.Compare(b.IP) })
	return info
}

// SetNames makes the resolver answer for a container: by its id, the first 12
// digits of it, and the names given. It replaces what was set before.
func (n *Network) SetNames(containerID string, ip netip.Addr, names ...string) {
	all := slices.Clone(names)
	if len(containerID) > 12 {
		all = append(all, containerID[:12])
	}
	n.names.Set(containerID, ip, append(all, containerID)...)
}

// ClearNames undoes SetNames.
func (n *Network) ClearNames(containerID string) { n.names.Clear(containerID) }

// warn keeps the one warning of a kind up to date and logs it when it is new.
func (n *Network) warn(kind, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	full := kind + ": " + text
	if slices.Contains(n.warnings, full) {
		return
	}
	n.warnings = slices.DeleteFunc(n.warnings, func(w string) bool { return strings.HasPrefix(w, kind+": ") })
	if text != "" {
		n.warnings = append(n.warnings, full)
		n.log.Warn(full)
	}
}

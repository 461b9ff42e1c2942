// Package nat keeps what one network needs of the host's packet filter: a
// table of its own, in which published ports and foreign bridges are elements
// of maps and sets, and one accept rule in each foreign chain that would
// otherwise drop the network's traffic. What to publish is decided elsewhere.
//
// The table, for bridge silo0 (`nft list table inet silo`):
//
//	raw          drops loopback addresses that come in over a wire, and from the
//	             bridge every source that is not of the subnet
//	prerouting   published ports of packets from the network, by map
//	output       published ports of packets from the host itself, by map
//	postrouting  masquerade: subnet to elsewhere, and what must come back
//	             through the host (from loopback, and from the bridge to itself)
//	forward      what may pass; jumps to user first
//	user         for the administrator; made once, never changed by Silo
//
// A drop in any chain of a hook is final, an accept only ends its own chain.
// So the accept rules in foreign chains let nothing in that forward refuses.
package nat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"

	"silo/internal/linux"
)

// Port is one published port: what arrives for HostIP:HostPort goes to
// To:ToPort. HostIP 0.0.0.0 means all addresses of the host.
type Port struct {
	Proto    uint8 // 6 TCP, 17 UDP
	HostIP   netip.Addr
	HostPort uint16
	To       netip.Addr
	ToPort   uint16
}

// Protocol numbers of Port.
const (
	TCP uint8 = 6
	UDP uint8 = 17
)

func (p Port) String() string {
	proto := "tcp"
	if p.Proto == UDP {
		proto = "udp"
	}
	return fmt.Sprintf("%s/%s", netip.AddrPortFrom(p.HostIP, p.HostPort), proto)
}

// Table is the nftables table of one network. Its methods may be called from
// several goroutines.
type Table struct {
	ns      *linux.FD // nil: where the process is
	bridge  string
	subnet  netip.Prefix
	gateway netip.Addr

	mu sync.Mutex // one transaction of ours at a time
}

// prefix begins the name of every table that some Silo daemon owns.
const prefix = "silo"

// New names the table of a bridge; nothing is changed before Apply.
func New(ns *linux.FD, bridge string, subnet netip.Prefix, gateway netip.Addr) *Table {
	return &Table{ns: ns, bridge: bridge, subnet: subnet.Masked(), gateway: gateway}
}

// Name gives the table's name: "silo" for bridge silo0, else silo-BRIDGE.
func (t *Table) Name() string {
	if t.bridge == "silo0" {
		return prefix
	}
	return prefix + "-" + t.bridge
}

func (t *Table) table() *nftables.Table {
	return &nftables.Table{Name: t.Name(), Family: nftables.TableFamilyINet}
}

// ours tells whether some Silo daemon owns a table.
func ours(t *nftables.Table) bool {
	return t.Family == nftables.TableFamilyINet && (t.Name == prefix || strings.HasPrefix(t.Name, prefix+"-"))
}

func (t *Table) conn() (*nftables.Conn, error) {
	options := []nftables.ConnOption{nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(bufferSize), c.SetReadBuffer(bufferSize))
	})}
	if t.ns != nil {
		options = append(options, nftables.WithNetNSFd(t.ns.Int()))
	}
	return nftables.New(options...)
}

// bufferSize of a netlink socket: a transaction is sent as a whole, and all
// that the kernel says to it waits to be read. It is a bound, not memory; all
// 65,535 ports of both protocols take half of it.
const bufferSize = 16 << 20

// transact sends what fill queues as one transaction.
func (t *Table) transact(what string, fill func(c *nftables.Conn) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.conn()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := fill(c); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("%s in table inet %s: %w", what, t.Name(), err)
	}
	return nil
}

// Apply makes the table what it should be, in one transaction: chains are
// written anew, published ports and the chain "user" stay. A table of an
// older version that cannot be changed so is replaced, with its ports kept.
func (t *Table) Apply() error {
	err := t.transact("write rules", func(c *nftables.Conn) error { return t.write(c, nil) })
	if err == nil {
		return nil
	}
	ports, listErr := t.Ports()
	if listErr != nil {
		return errors.Join(err, listErr)
	}
	return t.transact("replace rules", func(c *nftables.Conn) error {
		c.DelTable(c.AddTable(t.table()))
		return t.write(c, ports)
	})
}

// Exists tells whether the table is there.
func (t *Table) Exists() (bool, error) {
	c, err := t.conn()
	if err != nil {
		return false, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("list tables: %w", err)
	}
	for _, have := range tables {
		if have.Name == t.Name() {
			return true, nil
		}
	}
	return false, nil
}

// Whole tells whether every rule of ours is in its chain, in order; others may
// stand between them.
func (t *Table) Whole() (bool, error) {
	c, err := t.conn()
	if err != nil {
		return false, err
	}
	for _, ch := range t.chains(&nftables.Chain{Name: "user", Table: t.table()}) {
		have, err := c.GetRules(t.table(), ch.chain)
		if err != nil && !errors.Is(err, syscall.ENOENT) { // which is a chain that was deleted
			return false, fmt.Errorf("list rules of %s: %w", ch.chain.Name, err)
		}
		missing := ch.rules
		for _, r := range have {
			if len(missing) > 0 && commentOf(r) == missing[0].why {
				missing = missing[1:]
			}
		}
		if len(missing) > 0 {
			return false, nil
		}
	}
	return true, nil
}

// Remove deletes the table, if it is there.
func (t *Table) Remove() error {
	return t.transact("remove", func(c *nftables.Conn) error {
		c.DelTable(c.AddTable(t.table()))
		return nil
	})
}

// The maps: which port of all addresses, and which port of one address, goes
// to which container. The set: bridges of other networks.
const (
	mapAny  = "ports"
	mapOne  = "ports_of_address"
	setNear = "other_networks"
)

var target = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)

func (t *Table) anyPorts() *nftables.Set {
	return &nftables.Set{
		Table: t.table(), Name: mapAny, IsMap: true, Concatenation: true, DataType: target,
		KeyType: nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService),
	}
}

func (t *Table) onePorts() *nftables.Set {
	return &nftables.Set{
		Table: t.table(), Name: mapOne, IsMap: true, Concatenation: true, DataType: target,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
	}
}

func (t *Table) near() *nftables.Set {
	return &nftables.Set{Table: t.table(), Name: setNear, KeyType: nftables.TypeIFName, KeyByteOrder: binaryutil.NativeEndian}
}

// Add publishes ports, all or none. A port already published to the same
// target stays; one published to another target is an error.
func (t *Table) Add(ports ...Port) error {
	err := t.transact("publish", func(c *nftables.Conn) error { return t.addPorts(c, ports) })
	if err == nil {
		return nil
	}
	// An error may come of the answer to a transaction that was done.
	if t.count(ports) == len(ports) {
		return nil
	}
	return err
}

// Delete withdraws ports, all or none; those that are not there are no error.
func (t *Table) Delete(ports ...Port) error {
	err := t.withdraw(ports)
	if err != nil && t.count(ports) == 0 {
		return nil
	}
	return err
}

// count tells how many of some ports are published, -1 if it cannot be told.
func (t *Table) count(ports []Port) (n int) {
	now, err := t.Ports()
	if err != nil {
		return -1
	}
	have := map[Port]bool{}
	for _, p := range now {
		have[p] = true
	}
	for _, p := range ports {
		if have[p] {
			n++
		}
	}
	return n
}

func (t *Table) withdraw(ports []Port) error {
	return t.transact("withdraw", func(c *nftables.Conn) error {
		// Adding first makes deleting what is not there no error, and a port
		// that now has another target one.
		if err := t.addPorts(c, ports); err != nil {
			return err
		}
		return t.perMap(ports, func(set *nftables.Set, elements []nftables.SetElement) error {
			for i := range elements {
				elements[i].Val = nil
			}
			return c.SetDeleteElements(set, elements)
		})
	})
}

func (t *Table) addPorts(c *nftables.Conn, ports []Port) error {
	return t.perMap(ports, c.SetAddElements)
}

// chunk is how many elements one message has: the list is an attribute, whose
// length has 16 bits, and an element takes less than 100 bytes.
const chunk = 500

// element is a port as the maps have it: where it goes, by what it is.
func (p Port) element() nftables.SetElement {
	key := pack([]byte{p.Proto}, be16(p.HostPort))
	if !p.HostIP.IsUnspecified() {
		key = append(pack(p.HostIP.AsSlice()), key...)
	}
	return nftables.SetElement{Key: key, Val: pack(p.To.AsSlice(), be16(p.ToPort))}
}

// perMap gives the elements of the ports, some at a time, and the map they are
// in.
func (t *Table) perMap(ports []Port, do func(*nftables.Set, []nftables.SetElement) error) error {
	var anyIP, oneIP []nftables.SetElement
	for _, p := range ports {
		if p.HostIP.IsUnspecified() {
			anyIP = append(anyIP, p.element())
		} else {
			oneIP = append(oneIP, p.element())
		}
	}
	for some := range slices.Chunk(anyIP, chunk) {
		if err := do(t.anyPorts(), some); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(oneIP, chunk) {
		if err := do(t.onePorts(), some); err != nil {
			return err
		}
	}
	return nil
}

// Ports lists what the table publishes; nothing if the table is not there.
func (t *Table) Ports() ([]Port, error) { return t.portsOf(t.table()) }

func (t *Table) portsOf(table *nftables.Table) ([]Port, error) {
	c, err := t.conn()
	if err != nil {
		return nil, err
	}
	var ports []Port
	for _, set := range []*nftables.Set{t.anyPorts(), t.onePorts()} {
		set.Table = table
		elements, err := c.GetSetElements(set)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list published ports of %s: %w", set.Table.Name, err)
		}
		for _, e := range elements {
			if p, ok := unpack(e); ok {
				ports = append(ports, p)
			}
		}
	}
	return ports, nil
}

// missing tells whether err says that a table or set does not exist. The
// library keeps only the text of some errors.
func missing(err error) bool {
	return err != nil && (errors.Is(err, syscall.ENOENT) || strings.Contains(err.Error(), syscall.ENOENT.Error()))
}

// PortsOfOthers lists what the tables of other Silo daemons publish, by table.
func (t *Table) PortsOfOthers() (map[string][]Port, error) {
	c, err := t.conn()
	if err != nil {
		return nil, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	found := map[string][]Port{}
	for _, other := range tables {
		if ours(other) && other.Name != t.Name() {
			if found[other.Name], err = t.portsOf(other); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// SetOthers names the bridges that containers must not reach through the
// forward hook, because other networks are behind them.
func (t *Table) SetOthers(names []string) error {
	return t.transact("name other networks", func(c *nftables.Conn) error {
		set := t.near()
		c.FlushSet(set)
		var elements []nftables.SetElement
		for _, n := range names {
			elements = append(elements, nftables.SetElement{Key: ifname(n)})
		}
		return c.SetAddElements(set, elements)
	})
}

// pack joins the parts of a concatenated key, each filled up to four bytes.
func pack(parts ...[]byte) []byte {
	var key []byte
	for _, p := range parts {
		key = append(key, p...)
		for len(key)%4 != 0 {
			key = append(key, 0)
		}
	}
	return key
}

func unpack(e nftables.SetElement) (p Port, ok bool) {
	if len(e.Val) != 8 || (len(e.Key) != 8 && len(e.Key) != 12) {
		return p, false
	}
	p.HostIP = netip.IPv4Unspecified()
	key := e.Key
	if len(key) == 12 {
		p.HostIP, key = netip.AddrFrom4([4]byte(key[:4])), key[4:]
	}
	p.Proto, p.HostPort = key[0], binary.BigEndian.Uint16(key[4:])
	p.To, p.ToPort = netip.AddrFrom4([4]byte(e.Val[:4])), binary.BigEndian.Uint16(e.Val[4:])
	return p, true
}

func be16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// ifname is an interface name as the kernel compares it: 16 bytes.
func ifname(name string) []byte {
	b := make([]byte, 16)
	copy(b[:15], name)
	return b
}

package dns

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Names is what the resolver answers by itself. Its methods may be called
// from several goroutines.
type Names struct {
	mu     sync.RWMutex
	byID   map[string]entry
	byName map[string][]string     // folded name to ids, in the order they came
	byIP   map[netip.Addr][]string // address to ids
}

type entry struct {
	ip    netip.Addr
	names []string // folded; the first is the one an address is resolved to
}

// NewNames makes an empty set.
func NewNames() *Names {
	return &Names{byID: map[string]entry{}, byName: map[string][]string{}, byIP: map[netip.Addr][]string{}}
}

// Set makes names resolve to a container's address, in place of what was set
// for it. A name that several containers have resolves to all of them.
func (n *Names) Set(id string, ip netip.Addr, names ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clear(id)
	e := entry{ip: ip}
	for _, name := range names {
		name = fold(name)
		// What no question can hold is left out.
		if name == "" || len(name) > 253 || slices.Contains(e.names, name) || slices.ContainsFunc(strings.Split(name, "."), func(l string) bool { return l == "" || len(l) > 63 }) {
			continue
		}
		e.names = append(e.names, name)
		n.byName[name] = append(n.byName[name], id)
	}
	n.byID[id] = e
	n.byIP[ip] = append(n.byIP[ip], id)
}

// Clear forgets a container.
func (n *Names) Clear(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clear(id)
}

func (n *Names) clear(id string) {
	e, ok := n.byID[id]
	if !ok {
		return
	}
	delete(n.byID, id)
	for _, name := range e.names {
		n.byName[name] = without(n.byName[name], id)
		if len(n.byName[name]) == 0 {
			delete(n.byName, name)
		}
	}
	if n.byIP[e.ip] = without(n.byIP[e.ip], id); len(n.byIP[e.ip]) == 0 {
		delete(n.byIP, e.ip)
	}
}

func without(list []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == id })
}

// addresses gives what a name resolves to, nothing if it is not known.
func (n *Names) addresses(name string) []netip.Addr {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var all []netip.Addr
	for _, id := range n.byName[fold(name)] {
		all = append(all, n.byID[id].ip)
	}
	return all
}

// nameOf gives the first name of the container that has an address.
func (n *Names) nameOf(ip netip.Addr) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, id := range n.byIP[ip] {
		if names := n.byID[id].names; len(names) > 0 {
			return names[0]
		}
	}
	return ""
}

// fold makes names equal that are equal to DNS: without case and final dot.
func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

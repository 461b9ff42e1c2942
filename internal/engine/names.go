package engine

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	agent "silo/internal/agent/wire"
	"silo/internal/network"
)

// hostname is the name that a container has inside.
func hostname(r *configRecord) string {
	if r.Config.Hostname != "" {
		return r.Config.Hostname
	}
	return r.ID[:12]
}

// hostnameOn is the name of a container on the network of the host or of another
// container: theirs, as in Docker, since their addresses are its own. "" leaves
// it to the id.
func (e *Engine) hostnameOn(mode container.NetworkMode) string {
	if mode.IsHost() {
		name, _ := os.Hostname() // without one it has its own
		return name
	}
	if mode.IsContainer() {
		if other, err := e.find(mode.ConnectedContainer()); err == nil {
			return hostname(other.record())
		}
	}
	return ""
}

// files are hosts, hostname and resolv.conf as they stand in a container: of one
// on another's network that one's, but for a name of its own.
func (e *Engine) files(r *configRecord, b *sandbox) []agent.File {
	giver, ep := r, b.endpoint
	for range maxJoins {
		if !giver.HostConfig.NetworkMode.IsContainer() {
			break
		}
		other, err := e.find(giver.HostConfig.NetworkMode.ConnectedContainer())
		if err != nil {
			break
		}
		giver, ep = other.record(), other.state().Endpoint
	}
	resolv := e.resolvConf(giver.HostConfig, ep)
	if giver.HostConfig.NetworkMode.IsHost() {
		resolv = string(e.hostResolv.bytes())
	}
	return []agent.File{{Path: "/etc/hostname", Data: hostname(r) + "\n"}, {Path: "/etc/hosts", Data: e.hosts(giver, ep)}, {Path: "/etc/resolv.conf", Data: resolv}}
}

// maxJoins bounds how many containers a network is handed on by.
const maxJoins = 16

func (e *Engine) hosts(r *configRecord, ep *network.Endpoint) string {
	var b strings.Builder
	if r.HostConfig.NetworkMode.IsHost() {
		b.Write(bytes.TrimRight(e.hostHosts.bytes(), "\n"))
		b.WriteByte('\n')
	} else {
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	}
	for _, x := range r.HostConfig.ExtraHosts {
		name, addr, err := extraHost(x)
		if err != nil {
			continue // of a record from before such were refused
		}
		if addr == hostGateway {
			addr = e.net.Gateway().String()
		}
		fmt.Fprintf(&b, "%s\t%s\n", addr, name)
	}
	if ep != nil {
		names := hostname(r)
		if d := r.Config.Domainname; d != "" {
			names = names + "." + d + " " + names
		} else if short, _, whole := strings.Cut(names, "."); whole { // as Docker has it
			names += " " + short
		}
		fmt.Fprintf(&b, "%s\t%s\n", ep.IP, names)
	}
	return b.String()
}

// resolvConf names the resolver at the gateway, which answers for containers
// and asks the host's servers for the rest, or the servers of --dns.
func (e *Engine) resolvConf(h *container.HostConfig, ep *network.Endpoint) string {
	var b strings.Builder
	for _, s := range h.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(h.DNS) == 0 && ep != nil {
		fmt.Fprintf(&b, "nameserver %s\n", ep.Gateway)
	}
	search := slices.DeleteFunc(slices.Clone(h.DNSSearch), func(s string) bool { return s == "." })
	if len(h.DNSSearch) == 0 && ep != nil {
		search = e.hostResolv.search()
	}
	if len(search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	if len(h.DNSOptions) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(h.DNSOptions, " "))
	}
	return b.String()
}

// knownNames are the names by which containers find each other.
func knownNames(r *configRecord) (names []string) {
	for _, name := range slices.Concat([]string{r.Name}, r.Aliases, []string{r.ID[:min(12, len(r.ID))], r.Config.Hostname}) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

package network

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/record"
)

// netRecord is DIR/nat/network.json: what must be known to find again, repair
// and remove the network.
type netRecord struct {
	Format  int          `json:"format"`
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Created time.Time    `json:"created"`
	Bridge  string       `json:"bridge"`
	Subnet  netip.Prefix `json:"subnet"`
	// Sysctls are the settings of the host that were changed, with the value
	// they had before.
	Sysctls map[string]string `json:"sysctls,omitempty"`
}

const recordFormat = 1

func (n *Network) dir() string { return filepath.Join(n.cfg.Dir, Name) }

func (n *Network) recordPath() string { return filepath.Join(n.dir(), "network.json") }

func (n *Network) save() error { return record.Write(n.recordPath(), n.rec, record.Durable) }

// load reads the record; a missing one leaves a new one in n.rec.
func (n *Network) load() error {
	err := record.Read(n.recordPath(), &n.rec)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		id := make([]byte, 32)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		n.rec = netRecord{Format: recordFormat, ID: hex.EncodeToString(id), Name: Name, Created: time.Now().UTC(), Bridge: n.cfg.Bridge}
		return os.MkdirAll(n.dir(), 0o700)
	case err != nil:
		return fmt.Errorf("%w: remove it to start with a new network", err)
	case n.rec.Format != recordFormat:
		return errs.New(errs.NotSupported, "read record %s: format %d is newer than this silod", n.recordPath(), n.rec.Format)
	case n.rec.Bridge != n.cfg.Bridge:
		return errs.Conflictf("the data root's network has bridge %s: start with --bridge %s, or another --data-root", n.rec.Bridge, n.rec.Bridge)
	case n.rec.Subnet.IsValid() && (!n.rec.Subnet.Addr().Is4() || n.rec.Subnet.Bits() > 29):
		return errs.Invalidf("read record %s: subnet %s is not an IPv4 range", n.recordPath(), n.rec.Subnet)
	}
	return nil
}

// setSysctl sets a host-wide setting and remembers what it was, on disk
// before it is changed.
func (n *Network) setSysctl(key, value string) error {
	return linux.InNetNS(n.cfg.Netns, func() error {
		was, err := linux.ReadSysctl(key)
		if err != nil || was == value {
			return err
		}
		if _, known := n.rec.Sysctls[key]; !known {
			if n.rec.Sysctls == nil {
				n.rec.Sysctls = map[string]string{}
			}
			n.rec.Sysctls[key] = was
			if err := n.save(); err != nil {
				return err
			}
		}
		n.log.Info("change host setting", "sysctl", key, "from", was, "to", value)
		return linux.WriteSysctl(key, value)
	})
}

// sysctls makes the host forward and the bridge behave. Settings of the
// bridge go with it, so only the host's own are remembered.
func (n *Network) sysctls() error {
	if err := n.setSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return fmt.Errorf("let the host forward: %w", err)
	}
	return linux.InNetNS(n.cfg.Netns, func() error {
		conf := "net/ipv4/conf/" + escape(n.cfg.Bridge) + "/"
		// Published ports on 127.0.0.1 leave through the bridge with a loopback
		// source; the table's chain raw closes what this would open.
		if err := linux.WriteSysctl(conf+"route_localnet", "1"); err != nil {
			return err
		}
		return linux.WriteSysctl(conf+"forwarding", "1")
	})
}

// restoreSysctls puts back what setSysctl changed, unless another bridge on
// the host is there: it may rely on forwarding by now.
func (n *Network) restoreSysctls() error {
	if len(n.rec.Sysctls) == 0 {
		return nil
	}
	links, err := n.links()
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(links, func(l link) bool { return l.kind == "bridge" }); i >= 0 {
		n.log.Warn("leave host settings changed: another bridge may need them", "bridge", links[i].name, "before", n.rec.Sysctls)
		return nil
	}
	return linux.InNetNS(n.cfg.Netns, func() error {
		var err error
		for key, was := range n.rec.Sysctls {
			err = errors.Join(err, linux.WriteSysctl(key, was))
		}
		return err
	})
}

// escape makes an interface name one element of a path below /proc/sys: the
// kernel shows it as it is, dots included.
func escape(name string) string { return filepath.Base(name) }

package cgroup

import (
	"fmt"
	"strings"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // fills DevicesSetV1 and DevicesSetV2
	devices "github.com/opencontainers/cgroups/devices/config"

	"silo/internal/errs"
)

// DeviceRule lets the group use devices, or forbids it.
type DeviceRule struct {
	Type         rune   // 'c' character, 'b' block, 'a' all
	Major, Minor int64  // -1 is any
	Access       string // of r (read), w (write), m (mknod)
	Deny         bool
}

// baseDevices are those that every container has: null, zero, full, random,
// urandom, tty, console, ptmx and pseudo terminals. Making nodes is no use of
// a device, and is allowed as far as the kernel lets a user namespace.
func baseDevices() []DeviceRule {
	out := []DeviceRule{{Type: 'c', Major: -1, Minor: -1, Access: "m"}, {Type: 'b', Major: -1, Minor: -1, Access: "m"}}
	for _, d := range [][2]int64{{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, -1}} {
		out = append(out, DeviceRule{Type: 'c', Major: d[0], Minor: d[1], Access: "rwm"})
	}
	return out
}

// SetDevices restricts the group to the devices that every container has and
// those of the rules, read in order. Without it a group may use any device
// that it finds a node of. On v2 it takes a BPF program, which stays attached
// as long as the group.
func (g *Group) SetDevices(rules []DeviceRule) error {
	if g.bad != nil {
		return g.bad
	}
	all := []*devices.Rule{{Type: devices.WildcardDevice, Major: -1, Minor: -1, Permissions: "rwm"}}
	for _, r := range append(baseDevices(), rules...) {
		if !strings.ContainsRune("abc", r.Type) || r.Access == "" || strings.Trim(r.Access, "rwm") != "" || r.Major < -1 || r.Minor < -1 {
			return errs.Invalidf("device rule %q %d:%d %q: use type a, b or c and access of r, w and m", r.Type, r.Major, r.Minor, r.Access)
		}
		all = append(all, &devices.Rule{
			Type: devices.Type(r.Type), Major: r.Major, Minor: r.Minor,
			Permissions: devices.Permissions("").Union(devices.Permissions(r.Access)), Allow: !r.Deny,
		})
	}
	dir, _, v1 := g.dir("devices")
	var err error
	switch {
	case v1:
		err = cgroups.DevicesSetV1(dir, &cgroups.Resources{Devices: all})
	case g.layout.Unified != "":
		err = cgroups.DevicesSetV2(g.UnifiedDir(), &cgroups.Resources{Devices: all})
	default:
		return errs.New(errs.NotSupported, "limit devices of cgroup %s: the host has no devices controller", g.path)
	}
	if err != nil {
		return fmt.Errorf("limit devices of cgroup %s: %v", g.path, err)
	}
	return nil
}

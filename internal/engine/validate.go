package engine

import (
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"silo/api"
	agent "silo/internal/agent/wire"
	"silo/internal/cgroup"
	"silo/internal/disk"
	"silo/internal/errs"
	"silo/internal/logfile"
)

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

func checkName(name string) error {
	if len(name) > 128 || !nameForm.MatchString(name) {
		return errs.Invalidf("Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, 2 to 128 characters", name)
	}
	return nil
}

// checkUnsupported refuses what Silo does not do, rather than ignore it.
func checkUnsupported(h *container.HostConfig) error {
	for _, x := range []struct {
		set  bool
		name string
	}{
		{len(h.Links) > 0, "Links (containers on one network know each other by name)"},
		{len(h.VolumesFrom) > 0, "VolumesFrom"},
		{h.VolumeDriver != "" && h.VolumeDriver != "local", "VolumeDriver"},
		{len(h.DeviceRequests) > 0, "DeviceRequests"},
		{len(h.DeviceCgroupRules) > 0, "DeviceCgroupRules"},
		{h.BlkioWeight != 0 || len(h.BlkioWeightDevice)+len(h.BlkioDeviceReadBps)+len(h.BlkioDeviceWriteBps)+len(h.BlkioDeviceReadIOps)+len(h.BlkioDeviceWriteIOps) > 0, "block I/O limits"},
		{h.CPURealtimePeriod != 0 || h.CPURealtimeRuntime != 0, "real-time CPU limits"},
		{h.CPUCount != 0 || h.CPUPercent != 0 || h.IOMaximumIOps != 0 || h.IOMaximumBandwidth != 0, "limits for Windows"},
		{h.MemorySwappiness != nil && *h.MemorySwappiness != -1, "MemorySwappiness"},
		{h.OomKillDisable != nil && *h.OomKillDisable, "OomKillDisable"},
		{h.UsernsMode != "", "UsernsMode (every container has a private range of user ids)"},
		{h.CgroupnsMode != "" && h.CgroupnsMode != "private", "CgroupnsMode host"},
		{h.Cgroup != "", "Cgroup"},
		{h.Runtime != "" && h.Runtime != "silo", "Runtime"},
	} {
		if x.set {
			return errs.New(errs.NotSupported, "not supported: %s", x.name)
		}
	}
	return nil
}

// checkConfig checks everything of a request that needs no look at the host.
func (e *Engine) checkConfig(c *container.Config, h *container.HostConfig) error {
	if err := checkUnsupported(h); err != nil {
		return err
	}
	if h.RestartPolicy.Name != "" && h.AutoRemove && !h.RestartPolicy.IsNone() {
		return errs.Invalidf("can't create 'AutoRemove' container with restart policy")
	}
	if err := container.ValidateRestartPolicy(h.RestartPolicy); err != nil {
		return errs.Invalidf("%v", err)
	}
	switch h.LogConfig.Type {
	case "", "json-file", "none":
	default:
		return errs.New(errs.NotSupported, "log driver %q: silo has json-file and none", h.LogConfig.Type)
	}
	if _, err := logfile.ParseOptions(h.LogConfig.Config); err != nil {
		return err
	}
	if err := checkHosts(c, h); err != nil {
		return err
	}
	if c.WorkingDir != "" && !path.IsAbs(c.WorkingDir) {
		return errs.Invalidf("the working directory '%s' is invalid, it needs to be an absolute path", c.WorkingDir)
	}
	for _, env := range c.Env {
		if env == "" || env[0] == '=' || strings.ContainsRune(env, 0) {
			return errs.Invalidf("invalid environment variable: %q", env)
		}
	}
	if c.StopSignal != "" {
		if _, err := parseSignal(c.StopSignal); err != nil {
			return err
		}
	}
	if h.OomScoreAdj < -1000 || h.OomScoreAdj > 1000 {
		return errs.Invalidf("invalid value %d, range for oom score adj is [-1000, 1000]", h.OomScoreAdj)
	}
	if h.ShmSize < 0 {
		return errs.Invalidf("SHM size can not be less than 0")
	}
	switch h.Annotations[api.HealthOnFailure] {
	case "", "none", "kill", "restart", "stop":
	default:
		return errs.Invalidf("--health-on-failure %q: give none, kill, restart or stop", h.Annotations[api.HealthOnFailure])
	}
	if err := checkSysctls(h); err != nil {
		return err
	}
	if h.CgroupParent != "" {
		if err := cgroup.CheckParent(h.CgroupParent); err != nil {
			return err
		}
	}
	if err := checkHealth(c.Healthcheck); err != nil {
		return err
	}
	return resources(h).Validate(e.cgroups)
}

// checkHosts checks what is to stand in /etc/hosts.
func checkHosts(c *container.Config, h *container.HostConfig) error {
	if c.Hostname != "" && (len(c.Hostname) > 64 || strings.ContainsAny(c.Hostname, "/ \x00\n")) {
		return errs.Invalidf("invalid hostname %q: at most 64 letters, digits, '-' and '.'", c.Hostname)
	}
	for _, x := range h.ExtraHosts {
		if _, _, err := extraHost(x); err != nil {
			return err
		}
	}
	return nil
}

// checkGiver refuses what a container that is on another's network has from that
// one.
func checkGiver(c *container.Config, h *container.HostConfig) error {
	if !h.NetworkMode.IsContainer() {
		return nil
	}
	switch {
	case c.Hostname != "":
		return errs.Invalidf("conflicting options: hostname and the network mode")
	case len(h.DNS) > 0 || len(h.DNSSearch) > 0 || len(h.DNSOptions) > 0:
		return errs.Invalidf("conflicting options: dns and the network mode")
	case len(h.ExtraHosts) > 0:
		return errs.Invalidf("conflicting options: custom host-to-IP mapping and the network mode")
	}
	return nil
}

func checkHealth(h *container.HealthConfig) error {
	if h == nil {
		return nil
	}
	if len(h.Test) > 0 && !slices.Contains([]string{"", "NONE", "CMD", "CMD-SHELL"}, h.Test[0]) {
		return errs.Invalidf("Test in Healthcheck begins with %q: give NONE, CMD or CMD-SHELL", h.Test[0])
	}
	for _, d := range []struct {
		name  string
		value int64
	}{{"Interval", int64(h.Interval)}, {"Timeout", int64(h.Timeout)}, {"StartPeriod", int64(h.StartPeriod)}, {"StartInterval", int64(h.StartInterval)}} {
		if d.value != 0 && d.value < int64(container.MinimumDuration) {
			return errs.Invalidf("%s in Healthcheck cannot be less than %s", d.name, container.MinimumDuration)
		}
	}
	if h.Retries < 0 {
		return errs.Invalidf("Retries in Healthcheck cannot be negative")
	}
	return nil
}

// checkSysctls allows only parameters that belong to a namespace.
func checkSysctls(h *container.HostConfig) error {
	for key := range h.Sysctls {
		net := strings.HasPrefix(key, "net.")
		ipc := strings.HasPrefix(key, "kernel.shm") || strings.HasPrefix(key, "kernel.msg") || key == "kernel.sem" || strings.HasPrefix(key, "fs.mqueue.")
		switch {
		case net && h.NetworkMode.IsHost():
			return errs.Invalidf("sysctl '%s' is not allowed with the host's network", key)
		case ipc && h.IpcMode.IsHost():
			return errs.Invalidf("sysctl '%s' is not allowed with the host's IPC", key)
		case !net && !ipc, strings.Contains(key, "/"), strings.Contains(key, ".."):
			return errs.Invalidf("sysctl '%s' is not allowed: it does not belong to a namespace", key)
		}
	}
	return nil
}

// resources picks the cgroup limits out of a host config.
func resources(h *container.HostConfig) cgroup.Resources {
	return cgroup.Resources{
		Memory: h.Memory, MemoryReservation: h.MemoryReservation, MemorySwap: h.MemorySwap, NanoCPUs: h.NanoCPUs,
		CPUQuota: h.CPUQuota, CPUPeriod: h.CPUPeriod, CPUShares: h.CPUShares, CpusetCpus: h.CpusetCpus, CpusetMems: h.CpusetMems, PidsLimit: h.PidsLimit,
	}
}

// mostPIDs is the most processes that a 64-bit kernel has (PID_MAX_LIMIT).
const mostPIDs = 4 << 20

// withAgent leaves room for the agent beside what the user allows.
func withAgent(r cgroup.Resources) cgroup.Resources {
	if r.PidsLimit != nil && *r.PidsLimit > 0 {
		n := *r.PidsLimit + agent.Threads
		if *r.PidsLimit > mostPIDs-agent.Threads {
			n = -1 // as much as no limit
		}
		r.PidsLimit = &n
	}
	return r
}

// diskSize reads --storage-opt size=.
func diskSize(opts map[string]string) (int64, error) {
	size := int64(disk.DefaultSize)
	for k, v := range opts {
		if !strings.EqualFold(k, "size") {
			return 0, errs.Invalidf("unknown storage option %q: silo knows size=", k)
		}
		n, err := disk.ParseSize(v)
		if err != nil {
			return 0, err
		}
		size = n
	}
	return size, nil
}

// networkMode normalises --network: nat, none, host or container:REF.
func networkMode(h *container.HostConfig) (string, error) {
	switch mode := string(h.NetworkMode); {
	case mode == "", mode == "default", mode == "bridge", mode == "nat":
		return "nat", nil
	case mode == "none", mode == "host":
		return mode, nil
	case strings.HasPrefix(mode, "container:") && len(mode) > len("container:"):
		return mode, nil
	default:
		// 404 is said of the image only: clients answer it by a pull.
		return "", errs.Invalidf("network %s not found: there are nat, none, host and container:NAME", mode)
	}
}

// wishes are what a request asks of its container's place in the network.
type wishes struct {
	ip, mac string
	aliases []string
}

// endpointWishes reads --ip, --mac-address and --network-alias.
func endpointWishes(mode string, n *network.NetworkingConfig) (w wishes, err error) {
	if n == nil {
		return w, nil
	}
	for name, ep := range n.EndpointsConfig {
		if m, err := networkMode(&container.HostConfig{NetworkMode: container.NetworkMode(name)}); err != nil || m != mode {
			return w, errs.Invalidf("network %s: a container is on one network, here %s", name, mode)
		}
		if ep == nil {
			continue
		}
		if err := checkEndpoint(name, ep); err != nil {
			return w, err
		}
		if ep.IPAMConfig != nil && ep.IPAMConfig.IPv4Address.IsValid() {
			w.ip = ep.IPAMConfig.IPv4Address.String()
		}
		if len(ep.MacAddress) > 0 {
			w.mac = net.HardwareAddr(ep.MacAddress).String()
		}
		w.aliases = append(w.aliases, ep.Aliases...)
	}
	if mode != "nat" {
		if w.ip != "" || w.mac != "" {
			return w, errs.Invalidf("--ip and --mac-address need the network nat, not %s", mode)
		}
		if len(w.aliases) > 0 {
			return w, errs.Invalidf("network-scoped alias is supported only for containers in the network nat, not %s", mode)
		}
	}
	if w.ip != "" {
		if a, err := netip.ParseAddr(w.ip); err != nil || !a.Is4() {
			return w, errs.Invalidf("invalid IPv4 address %q", w.ip)
		}
	}
	return w, nil
}

// checkEndpoint refuses what no network can do. Fields that only tell of an
// endpoint, such as Gateway, come back from clients that copy what inspect
// shows, and are passed over.
func checkEndpoint(name string, ep *network.EndpointSettings) error {
	if len(ep.Links) > 0 || len(ep.DriverOpts) > 0 {
		return errs.New(errs.NotSupported, "not supported: links and driver options of a network")
	}
	if ep.GwPriority != 0 {
		return errs.Invalidf("network %s: GwPriority %d is not supported: a container is on one network", name, ep.GwPriority)
	}
	if ipam := ep.IPAMConfig; ipam != nil {
		if ipam.IPv6Address.IsValid() {
			return errs.Invalidf("network %s: IPv6Address %q is not supported: silo's networks are IPv4", name, ipam.IPv6Address)
		}
		if len(ipam.LinkLocalIPs) > 0 {
			return errs.Invalidf("network %s: LinkLocalIPs %q are not supported: a container has one address", name, ipam.LinkLocalIPs)
		}
	}
	for _, alias := range ep.Aliases {
		if !resolvable(alias) {
			return errs.Invalidf("network %s: alias %q: give a name as DNS has them, labels of 1 to 63 characters", name, alias)
		}
	}
	return nil
}

// resolvable tells whether the resolver can answer for a name.
func resolvable(name string) bool {
	if len(name) > 253 || !hostsWord(name) {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// hostsWord tells whether a name is one word in /etc/hosts, and no comment.
func hostsWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '#' || r == unicode.ReplacementChar || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// hostGateway stands for the address of the host in --add-host.
const hostGateway = "host-gateway"

// extraHost reads NAME:ADDRESS or NAME=ADDRESS of --add-host.
func extraHost(s string) (name, addr string, err error) {
	name, addr, ok := strings.Cut(s, "=")
	if !ok {
		name, addr, _ = strings.Cut(s, ":") // the rest may be IPv6
	}
	if inner, ok := strings.CutPrefix(addr, "["); ok && strings.HasSuffix(inner, "]") {
		addr = strings.TrimSuffix(inner, "]")
	}
	ip, err := netip.ParseAddr(addr)
	if !hostsWord(name) || strings.Contains(name, ":") || addr != hostGateway && (err != nil || ip.Zone() != "") {
		return "", "", errs.Invalidf("invalid extra host %q: give NAME:ADDRESS, the address an IPv4 or IPv6 one or %s", s, hostGateway)
	}
	return name, addr, nil
}

// besideIPv4 tells whether a port is published at the same port of every IPv4
// address too.
func besideIPv4(list []network.PortBinding, hostPort string) bool {
	return slices.ContainsFunc(list, func(b network.PortBinding) bool {
		return b.HostPort == hostPort && (!b.HostIP.IsValid() || b.HostIP == netip.IPv4Unspecified())
	})
}

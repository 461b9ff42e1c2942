package engine

import (
	"net"
	"net/netip"
	"path"
	"regexp"
	"strings"

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
	if c.Hostname != "" && (len(c.Hostname) > 64 || strings.ContainsAny(c.Hostname, "/ \x00\n")) {
		return errs.Invalidf("invalid hostname %q: at most 64 letters, digits, '-' and '.'", c.Hostname)
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

func checkHealth(h *container.HealthConfig) error {
	if h == nil {
		return nil
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

// withAgent leaves room for the agent beside what the user allows.
func withAgent(r cgroup.Resources) cgroup.Resources {
	if r.PidsLimit != nil && *r.PidsLimit > 0 {
		n := *r.PidsLimit + agent.Threads
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

// endpointWishes reads --ip and --mac-address.
func endpointWishes(mode string, n *network.NetworkingConfig) (ip, mac string, err error) {
	if n == nil {
		return "", "", nil
	}
	for name, ep := range n.EndpointsConfig {
		if m, err := networkMode(&container.HostConfig{NetworkMode: container.NetworkMode(name)}); err != nil || m != mode {
			return "", "", errs.Invalidf("network %s: a container is on one network, here %s", name, mode)
		}
		if ep == nil {
			continue
		}
		if ep.IPAMConfig != nil && ep.IPAMConfig.IPv4Address.IsValid() {
			ip = ep.IPAMConfig.IPv4Address.String()
		}
		if len(ep.MacAddress) > 0 {
			mac = net.HardwareAddr(ep.MacAddress).String()
		}
		if len(ep.Links) > 0 || len(ep.DriverOpts) > 0 {
			return "", "", errs.New(errs.NotSupported, "not supported: links and driver options of a network")
		}
	}
	if (ip != "" || mac != "") && mode != "nat" {
		return "", "", errs.Invalidf("--ip and --mac-address need the network nat, not %s", mode)
	}
	if ip != "" {
		if a, err := netip.ParseAddr(ip); err != nil || !a.Is4() {
			return "", "", errs.Invalidf("invalid IPv4 address %q", ip)
		}
	}
	return ip, mac, nil
}

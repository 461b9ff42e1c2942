package cli

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/spf13/pflag"

	"silo/api"
	"silo/client/container"
)

// request makes the body of a create request of the flags. changed tells
// which flags were given.
func (o *createFlags) request(f *pflag.FlagSet, image string, args []string) (*container.CreateRequest, error) {
	if err := o.conflicts(f); err != nil {
		return nil, err
	}
	config, err := o.config(f, image, args)
	if err != nil {
		return nil, err
	}
	host, err := o.hostConfig(f, config)
	if err != nil {
		return nil, err
	}
	ends, err := o.endpoints()
	if err != nil {
		return nil, err
	}
	r := &container.CreateRequest{Config: config, HostConfig: host}
	if ends != nil {
		r.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: ends}
	}
	return r, nil
}

// conflicts finds flags that do not go together.
func (o *createFlags) conflicts(f *pflag.FlagSet) error {
	health := o.healthCmd != "" || o.healthInterval != 0 || o.healthTimeout != 0 || o.healthStartPeriod != 0 ||
		o.healthStartInterval != 0 || o.healthRetries != 0 || o.healthOnFailure != ""
	switch {
	case o.noHealthcheck && health:
		return errors.New("--no-healthcheck does not go with --health-…")
	case o.remove && o.restart != "" && o.restart != "no":
		return errors.New("--rm does not go with --restart")
	case o.healthInterval < 0 || o.healthTimeout < 0 || o.healthStartPeriod < 0 || o.healthStartInterval < 0 || o.healthRetries < 0:
		return errors.New("--health-… takes no negative value")
	case !slices.Contains([]string{pullAlways, pullMissing, pullNever}, o.pull):
		return fmt.Errorf("--pull %q: use always, missing or never", o.pull)
	case !slices.Contains([]string{"", "none", "kill", "restart", "stop"}, o.healthOnFailure):
		return fmt.Errorf("--health-on-failure %q: use none, kill, restart or stop", o.healthOnFailure)
	case !slices.Contains([]string{"", "ignore", "exit", "restart"}, o.serviceFailure):
		return fmt.Errorf("--service-failure %q: use ignore, exit or restart", o.serviceFailure)
	case f.Changed("services") && !o.services && (o.waitServices || o.serviceFailure != ""):
		return errors.New("--services=false does not go with --wait-services and --service-failure")
	case o.pid != "" && o.pid != "private" && o.pid != "host" && !strings.HasPrefix(o.pid, "container:"):
		return fmt.Errorf("--pid %q: use private or host", o.pid)
	case o.uts != "" && o.uts != "host":
		return fmt.Errorf("--uts %q: use host", o.uts)
	case !ipcMode(o.ipc):
		return fmt.Errorf("--ipc %q: use private, shareable, host or container:NAME", o.ipc)
	case f.Changed("stop-timeout") && o.stopTimeout < -1:
		return fmt.Errorf("--stop-timeout %d: use seconds, or -1 to wait for ever", o.stopTimeout)
	case len(o.networks) > 1:
		return fmt.Errorf("--network was given %d times: a container joins one network when it is created", len(o.networks))
	}
	return nil
}

// config is what the container is.
func (o *createFlags) config(f *pflag.FlagSet, image string, args []string) (*container.Config, error) {
	env, err := keyValueFiles(o.envFiles, os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("--env-file: %w", err)
	}
	labels, err := keyValueFiles(o.labelFiles, nil)
	if err != nil {
		return nil, fmt.Errorf("--label-file: %w", err)
	}
	c := &container.Config{
		Hostname:     o.hostname,
		User:         o.user,
		Tty:          o.tty,
		OpenStdin:    o.stdin,
		AttachStdin:  o.stdin || slices.Contains(o.attach, "stdin"),
		AttachStdout: len(o.attach) == 0 || slices.Contains(o.attach, "stdout"),
		AttachStderr: len(o.attach) == 0 || slices.Contains(o.attach, "stderr"),
		Env:          append(env, o.env...),
		Image:        image,
		WorkingDir:   o.workdir,
		Labels:       pairs(append(labels, o.labels...)),
		StopSignal:   o.stopSignal,
		Healthcheck:  o.health(),
	}
	c.StdinOnce = c.OpenStdin && c.AttachStdin
	if len(args) > 0 {
		c.Cmd = args
	}
	if f.Changed("entrypoint") {
		c.Entrypoint = []string{o.entrypoint} // an empty one resets the image's
	}
	if f.Changed("stop-timeout") {
		c.StopTimeout = &o.stopTimeout
	}
	return c, nil
}

func (o *createFlags) health() *container.HealthConfig {
	if o.noHealthcheck {
		return &container.HealthConfig{Test: []string{"NONE"}}
	}
	h := &container.HealthConfig{
		Interval: o.healthInterval, Timeout: o.healthTimeout, StartPeriod: o.healthStartPeriod,
		StartInterval: o.healthStartInterval, Retries: o.healthRetries,
	}
	if o.healthCmd != "" {
		h.Test = []string{"CMD-SHELL", o.healthCmd}
	}
	if h.Test == nil && h.Interval == 0 && h.Timeout == 0 && h.StartPeriod == 0 && h.StartInterval == 0 && h.Retries == 0 {
		return nil
	}
	return h
}

// hostConfig is how the host runs it. It adds published ports and anonymous
// volumes to c, where Docker's API has them.
func (o *createFlags) hostConfig(f *pflag.FlagSet, c *container.Config) (*container.HostConfig, error) {
	h := &container.HostConfig{
		ContainerIDFile: o.cidfile,
		LogConfig:       container.LogConfig{Config: o.logOpt},
		AutoRemove:      o.remove,
		PublishAllPorts: o.publishAll,
		Annotations:     o.annotations,
		CapAdd:          o.capAdd,
		CapDrop:         o.capDrop,
		DNS:             addresses(o.dns),
		DNSSearch:       o.dnsSearch,
		ExtraHosts:      o.addHost,
		GroupAdd:        o.groupAdd,
		IpcMode:         container.IpcMode(o.ipc),
		OomScoreAdj:     o.oomScoreAdj,
		PidMode:         container.PidMode(o.pid),
		Privileged:      o.privileged,
		ReadonlyRootfs:  o.readOnly,
		StorageOpt:      o.storageOpt,
		UTSMode:         container.UTSMode(o.uts),
		ShmSize:         o.shmSize,
		Sysctls:         o.sysctls,
		Isolation:       container.Isolation(o.isolation),
		Mounts:          o.mounts,
	}
	if len(o.networks) > 0 {
		h.NetworkMode = container.NetworkMode(o.networks[0])
	}
	if f.Changed("init") {
		h.Init = &o.init
	}
	annotate := func(key, value string) {
		if h.Annotations = maps.Clone(h.Annotations); h.Annotations == nil {
			h.Annotations = pairs(nil)
		}
		h.Annotations[key] = value
	}
	if o.healthOnFailure != "" {
		annotate(api.HealthOnFailure, o.healthOnFailure)
	}
	if f.Changed("services") {
		annotate(api.Services, strconv.FormatBool(o.services))
	}
	if o.waitServices {
		annotate(api.WaitServices, "true")
	}
	if o.serviceFailure != "" {
		annotate(api.ServiceFailure, o.serviceFailure)
	}
	err := o.hostParts(h, c)
	return h, err
}

// hostParts reads the flags that need a parser.
func (o *createFlags) hostParts(h *container.HostConfig, c *container.Config) (err error) {
	if h.RestartPolicy, err = restartPolicy(o.restart); err != nil {
		return err
	}
	if h.SecurityOpt, err = securityOptions(o.securityOpt); err != nil {
		return err
	}
	if h.PortBindings, err = publish(o.publish); err != nil {
		return err
	}
	c.ExposedPorts = network.PortSet{}
	for p := range h.PortBindings {
		c.ExposedPorts[p] = struct{}{}
	}
	if err = expose(c.ExposedPorts, o.expose); err != nil {
		return err
	}
	for _, v := range o.volumes {
		spec, anonymous, err := bind(v)
		if err != nil {
			return err
		}
		if !anonymous {
			h.Binds = append(h.Binds, spec)
			continue
		}
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		c.Volumes[spec] = struct{}{}
	}
	for _, t := range o.tmpfs {
		if h.Tmpfs == nil {
			h.Tmpfs = map[string]string{}
		}
		path, options, _ := strings.Cut(t, ":")
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("--tmpfs %q: %q is not an absolute path", t, path)
		}
		h.Tmpfs[path] = options
	}
	h.Resources, err = o.resources()
	return err
}

func (o *createFlags) resources() (container.Resources, error) {
	r := container.Resources{
		CPUShares: o.cpuShares, NanoCPUs: o.cpus, CpusetCpus: o.cpusetCpus, CpusetMems: o.cpusetMems,
		Memory: o.memory, MemorySwap: o.memorySwap, MemoryReservation: o.memoryReservation,
		CgroupParent: o.cgroupParent,
	}
	if o.pidsLimit != 0 {
		r.PidsLimit = &o.pidsLimit
	}
	for _, s := range o.devices {
		d, err := device(s)
		if err != nil {
			return r, err
		}
		r.Devices = append(r.Devices, d)
	}
	var err error
	r.Ulimits, err = ulimits(o.ulimits)
	return r, err
}

// endpoints holds the addresses that were asked for.
func (o *createFlags) endpoints() (map[string]*network.EndpointSettings, error) {
	if o.ip == "" && o.mac == "" {
		return nil, nil
	}
	e := &network.EndpointSettings{}
	name := "default"
	if len(o.networks) > 0 {
		name = o.networks[0]
	}
	if name == network.NetworkNone || name == network.NetworkHost || strings.HasPrefix(name, "container:") {
		return nil, fmt.Errorf("--ip and --mac-address do not go with --network %s", name)
	}
	if o.ip != "" {
		ip, err := netip.ParseAddr(o.ip)
		if err != nil || !ip.Is4() {
			return nil, fmt.Errorf("--ip %q is not an IPv4 address", o.ip)
		}
		e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: ip}
	}
	if o.mac != "" {
		mac, err := net.ParseMAC(strings.TrimSpace(o.mac))
		if err != nil || len(mac) != 6 {
			return nil, fmt.Errorf("--mac-address %q is not a MAC address", o.mac)
		}
		e.MacAddress = network.HardwareAddr(mac)
	}
	return map[string]*network.EndpointSettings{name: e}, nil
}

func addresses(list []string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil { // checked when it was set
			out = append(out, a)
		}
	}
	return out
}

// ipcMode tells whether s is a mode of --ipc.
func ipcMode(s string) bool {
	return slices.Contains([]string{"", "host", "private", "shareable"}, s) || strings.HasPrefix(s, "container:")
}

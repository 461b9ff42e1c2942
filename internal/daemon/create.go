package daemon

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"silo/internal/errs"
)

// createRequest is the body of POST /containers/create on its way to what
// the newest version would have said.
type createRequest struct {
	container.CreateRequest
	mac      network.HardwareAddr // of the container as a whole, until 1.52
	warnings []string
}

// decodeCreate reads the body. All three parts of the result are there.
func decodeCreate(v version, data []byte) (*createRequest, error) {
	c := &createRequest{}
	if err := decodeCommand(data, &c.CreateRequest); err != nil {
		return nil, err
	}
	if c.Config == nil {
		return nil, errs.Invalidf("config cannot be empty in order to create a container")
	}
	if c.HostConfig == nil {
		c.HostConfig = &container.HostConfig{}
	}
	if c.NetworkingConfig == nil {
		c.NetworkingConfig = &network.NetworkingConfig{}
	}
	if c.NetworkingConfig.EndpointsConfig == nil {
		c.NetworkingConfig.EndpointsConfig = map[string]*network.EndpointSettings{}
	}
	for name, e := range c.NetworkingConfig.EndpointsConfig {
		if e == nil {
			c.NetworkingConfig.EndpointsConfig[name] = &network.EndpointSettings{}
		}
	}
	var legacy struct{ MacAddress json.RawMessage }
	if bytes.Contains(data, []byte("acAddress")) && json.Unmarshal(data, &legacy) == nil && len(legacy.MacAddress) > 0 {
		if err := json.Unmarshal(legacy.MacAddress, &c.mac); err != nil {
			return nil, errs.Invalidf("invalid MAC address %s: %v", legacy.MacAddress, err)
		}
	}
	for _, step := range createSteps {
		if v.before(step.until) {
			if err := step.apply(c); err != nil {
				return nil, err
			}
		}
	}
	if !v.before(52) && len(c.mac) > 0 {
		return nil, errs.Invalidf("container-wide MAC address no longer supported; use endpoint-specific MAC address instead")
	}
	return c, c.check(v)
}

// decodeCommand decodes a body that has a command: one word may stand for a
// list of it, as the API's own examples have it ("Entrypoint": "").
func decodeCommand(data []byte, v any) error {
	err := decodeJSON(data, v)
	if err == nil || !strings.Contains(err.Error(), "cannot unmarshal string") {
		return err
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return err
	}
	for k, value := range fields {
		if bytes.HasPrefix(value, []byte(`"`)) && (strings.EqualFold(k, "Cmd") || strings.EqualFold(k, "Entrypoint")) {
			fields[k] = slices.Concat([]byte("["), value, []byte("]"))
		}
	}
	whole, merr := json.Marshal(fields)
	if merr != nil {
		return err
	}
	return decodeJSON(whole, v)
}

// createSteps are what a field meant, or that it meant nothing, before a
// version of the API.
var createSteps = []struct {
	until int
	apply func(*createRequest) error
}{
	{42, func(c *createRequest) error {
		c.HostConfig.ConsoleSize = [2]uint{}
		for i := range c.HostConfig.Mounts {
			m := &c.HostConfig.Mounts[i]
			if m.BindOptions != nil {
				m.BindOptions.CreateMountpoint = false
			}
			if m.Type != mount.TypeVolume {
				m.VolumeOptions = nil
			}
			if m.Type != mount.TypeTmpfs {
				m.TmpfsOptions = nil
			}
		}
		return nil
	}},
	{43, func(c *createRequest) error { c.HostConfig.Annotations = nil; return nil }},
	{44, func(c *createRequest) error {
		if c.Healthcheck != nil {
			c.Healthcheck.StartInterval = 0
		}
		for _, m := range c.HostConfig.Mounts {
			if o := m.BindOptions; o != nil && o.ReadOnlyForceRecursive {
				return errs.Invalidf("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
			}
		}
		for _, e := range c.NetworkingConfig.EndpointsConfig {
			e.MacAddress = nil
		}
		if len(c.NetworkingConfig.EndpointsConfig) > 1 {
			return errs.Invalidf("Container cannot be created with multiple network endpoints")
		}
		return nil
	}},
	{45, func(c *createRequest) error {
		for _, m := range c.HostConfig.Mounts {
			if m.VolumeOptions != nil && m.VolumeOptions.Subpath != "" {
				return errs.Invalidf("VolumeOptions.Subpath needs API v1.45 or newer")
			}
		}
		return nil
	}},
	{48, func(c *createRequest) error {
		for _, e := range c.NetworkingConfig.EndpointsConfig {
			e.GwPriority = 0
		}
		return nil
	}},
	{52, moveMAC},
}

// moveMAC gives the MAC address of the container to its first network.
func moveMAC(c *createRequest) error {
	if len(c.mac) == 0 {
		return nil
	}
	mode := c.HostConfig.NetworkMode
	if mode.IsHost() || mode.IsNone() || mode.IsContainer() {
		return errs.Invalidf("conflicting options: mac-address and the network mode")
	}
	endpoints := c.NetworkingConfig.EndpointsConfig
	var e *network.EndpointSettings
	switch name := mode.NetworkName(); {
	case endpoints[name] != nil:
		e = endpoints[name]
	case len(endpoints) == 0:
		if name == "" {
			name = network.NetworkDefault
		}
		e = &network.EndpointSettings{}
		endpoints[name] = e
	case len(endpoints) == 1:
		for _, only := range endpoints {
			e = only
		}
	default:
		return errs.Invalidf("HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks")
	}
	if len(e.MacAddress) > 0 && !bytes.Equal(e.MacAddress, c.mac) {
		return errs.Invalidf("the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty")
	}
	e.MacAddress = c.mac
	c.warnings = append(c.warnings, "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.")
	return nil
}

// check refuses what no version allows.
func (c *createRequest) check(v version) error {
	for _, m := range c.HostConfig.Mounts {
		switch {
		case v.before(42):
		case m.VolumeOptions != nil && m.Type != mount.TypeVolume:
			return errs.Invalidf("VolumeOptions must not be specified on mount type %q", m.Type)
		case m.BindOptions != nil && m.Type != mount.TypeBind:
			return errs.Invalidf("BindOptions must not be specified on mount type %q", m.Type)
		case m.TmpfsOptions != nil && m.Type != mount.TypeTmpfs:
			return errs.Invalidf("TmpfsOptions must not be specified on mount type %q", m.Type)
		}
	}
	if l := c.HostConfig.PidsLimit; l != nil && *l <= 0 {
		c.HostConfig.PidsLimit = nil // 0 and every negative number mean no limit
	}
	return nil
}

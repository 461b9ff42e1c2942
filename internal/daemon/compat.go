package daemon

import (
	"encoding/json"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"
)

// What older API versions answer. The Backend speaks the newest version only;
// here is each difference that a client of an older one would stumble over,
// from the API's version history.

// withFields gives v as JSON with further fields, merged into objects that
// both have. Fields of v win.
func withFields(v any, extra map[string]any) (json.RawMessage, error) {
	data, err := json.Marshal(v)
	if err != nil || len(extra) == 0 {
		return data, err
	}
	var have map[string]json.RawMessage
	if err := json.Unmarshal(data, &have); err != nil {
		return nil, err
	}
	for k, add := range extra {
		old, ok := have[k]
		if sub, isObject := add.(map[string]any); ok && isObject {
			if have[k], err = withFields(old, sub); err != nil {
				return nil, err
			}
		} else if !ok {
			if have[k], err = json.Marshal(add); err != nil {
				return nil, err
			}
		}
	}
	return json.Marshal(have)
}

func oldContainerSummary(v version, c *container.Summary) {
	if v.before(46) {
		c.HostConfig.Annotations = nil
	}
	if v.before(48) {
		c.ImageManifestDescriptor = nil
	}
	if v.before(52) {
		c.Health = nil
	}
}

// oldContainerInspect restores the addresses of the default network, which
// scripts read as .NetworkSettings.IPAddress, and which left in 1.52.
func oldContainerInspect(v version, c container.InspectResponse) (any, error) {
	if v.before(48) {
		c.ImageManifestDescriptor = nil
	}
	if !v.before(52) {
		return c, nil
	}
	extra := map[string]any{}
	if c.NetworkSettings != nil {
		settings := map[string]any{
			"Bridge": "", "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
			"SecondaryIPAddresses": nil, "SecondaryIPv6Addresses": nil,
			"EndpointID": "", "Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
			"IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "MacAddress": "",
		}
		if e := c.NetworkSettings.Networks["nat"]; e != nil {
			settings["EndpointID"], settings["MacAddress"] = e.EndpointID, e.MacAddress
			settings["Gateway"], settings["IPAddress"], settings["IPPrefixLen"] = e.Gateway, e.IPAddress, e.IPPrefixLen
			settings["IPv6Gateway"], settings["GlobalIPv6Address"], settings["GlobalIPv6PrefixLen"] = e.IPv6Gateway, e.GlobalIPv6Address, e.GlobalIPv6PrefixLen
		}
		extra["NetworkSettings"] = settings
	}
	if c.Config != nil {
		extra["Config"] = map[string]any{"OnBuild": nil}
	}
	return withFields(c, extra)
}

func oldImageList(v version, list []image.Summary) (any, error) {
	out := make([]json.RawMessage, 0, len(list))
	for _, img := range list {
		if v.before(43) && len(img.RepoTags) == 0 && len(img.RepoDigests) == 0 {
			img.RepoTags, img.RepoDigests = []string{"<none>:<none>"}, []string{"<none>@<none>"}
		}
		img.RepoTags, img.RepoDigests = notNil(img.RepoTags), notNil(img.RepoDigests)
		if v.before(48) {
			img.Descriptor = nil
		}
		if v.before(51) {
			img.Containers = -1
		}
		var extra map[string]any
		if v.before(44) {
			extra = map[string]any{"VirtualSize": img.Size}
		}
		data, err := withFields(img, extra)
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func oldImageInspect(v version, img image.InspectResponse) (any, error) {
	img.RepoTags, img.RepoDigests = notNil(img.RepoTags), notNil(img.RepoDigests)
	extra := map[string]any{}
	if v.before(44) {
		extra["VirtualSize"] = img.Size
		if img.Created == "" {
			img.Created = "0001-01-01T00:00:00Z"
		}
	}
	if v.before(45) {
		extra["Container"] = ""
		extra["ContainerConfig"] = nil
	}
	if v.before(48) {
		img.Descriptor = nil
	}
	if v.before(52) {
		for _, k := range []string{"Parent", "Comment", "DockerVersion", "Author"} {
			extra[k] = ""
		}
		if img.Config != nil {
			extra["Config"] = map[string]any{"User": "", "WorkingDir": "", "Env": nil, "Cmd": nil, "Entrypoint": nil, "Labels": nil, "Volumes": nil, "OnBuild": nil}
		}
	}
	return withFields(img, extra)
}

// oldEvent restores the fields of before 1.22, which were sent until 1.52.
func oldEvent(v version, m events.Message) any {
	if !v.before(52) {
		return m
	}
	old := struct {
		Status string `json:"status,omitempty"`
		ID     string `json:"id,omitempty"`
		From   string `json:"from,omitempty"`
		events.Message
	}{Message: m}
	switch m.Type {
	case events.ContainerEventType:
		old.Status, old.ID, old.From = string(m.Action), m.Actor.ID, m.Actor.Attributes["image"]
	case events.ImageEventType:
		old.Status, old.ID = string(m.Action), m.Actor.ID
	}
	return old
}

// legacyDiskUsage is GET /system/df of before 1.52. Docker sends it along with
// the new form still, unless the client shows by verbose that it knows that.
type legacyDiskUsage struct {
	LayersSize int64                `json:"LayersSize"`
	Images     []image.Summary      `json:"Images"`
	Containers []container.Summary  `json:"Containers"`
	Volumes    []volume.Volume      `json:"Volumes"`
	BuildCache []*build.CacheRecord `json:"BuildCache"`
}

func oldDiskUsage(v version, du system.DiskUsage, verbose bool) any {
	old := legacyDiskUsage{}
	if du.ImageUsage != nil {
		old.LayersSize, old.Images = du.ImageUsage.TotalSize, notNil(du.ImageUsage.Items)
	}
	if du.ContainerUsage != nil {
		old.Containers = notNil(du.ContainerUsage.Items)
	}
	if du.VolumeUsage != nil {
		old.Volumes = notNil(du.VolumeUsage.Items)
	}
	if v.before(52) {
		return old
	}
	if !verbose {
		return struct {
			legacyDiskUsage
			system.DiskUsage
		}{old, brief(du)}
	}
	return du
}

// brief leaves out the single objects.
func brief(du system.DiskUsage) system.DiskUsage {
	if du.ImageUsage != nil {
		u := *du.ImageUsage
		u.Items, du.ImageUsage = nil, &u
	}
	if du.ContainerUsage != nil {
		u := *du.ContainerUsage
		u.Items, du.ContainerUsage = nil, &u
	}
	if du.VolumeUsage != nil {
		u := *du.VolumeUsage
		u.Items, du.VolumeUsage = nil, &u
	}
	return du
}

// notNil makes JSON show an empty list rather than null.
func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

package client

import (
	"context"
	"io"
	"net/url"

	"github.com/moby/moby/api/types/network"

	"silo/api"
	"silo/client/system"
	"silo/client/volume"
)

// Networks lists networks.
func (c *Client) Networks(ctx context.Context, f Filters) (out []network.Summary, err error) {
	return out, c.get(ctx, "/networks", f.add(url.Values{}), &out)
}

// NetworkInspect describes a network.
func (c *Client) NetworkInspect(ctx context.Context, ref string) (Raw[network.Inspect], error) {
	return raw[network.Inspect](ctx, c, "/networks/"+url.PathEscape(ref), nil)
}

// VolumeCreate makes a volume; an empty name picks one.
func (c *Client) VolumeCreate(ctx context.Context, r volume.CreateRequest) (out volume.Volume, err error) {
	return out, c.post(ctx, "/volumes/create", nil, r, &out)
}

// Volumes lists volumes.
func (c *Client) Volumes(ctx context.Context, f Filters) (out volume.ListResponse, err error) {
	return out, c.get(ctx, "/volumes", f.add(url.Values{}), &out)
}

// VolumeInspect describes a volume.
func (c *Client) VolumeInspect(ctx context.Context, name string) (Raw[volume.Volume], error) {
	return raw[volume.Volume](ctx, c, "/volumes/"+url.PathEscape(name), nil)
}

// VolumeRemove removes a volume; force makes a missing one no error.
func (c *Client) VolumeRemove(ctx context.Context, name string, force bool) error {
	return c.call(ctx, "DELETE", "/volumes/"+url.PathEscape(name), query("force", flag(force)), nil, nil)
}

// VolumesPrune removes unused anonymous volumes, or all with the filter
// all=true.
func (c *Client) VolumesPrune(ctx context.Context, f Filters) (out volume.PruneReport, err error) {
	return out, c.post(ctx, "/volumes/prune", f.add(url.Values{}), nil, &out)
}

// Info describes the daemon and its host.
func (c *Client) Info(ctx context.Context) (out system.Info, err error) {
	return out, c.get(ctx, "/info", nil, &out)
}

// Version tells which daemon this is.
func (c *Client) Version(ctx context.Context) (out system.VersionResponse, err error) {
	return out, c.get(ctx, "/version", nil, &out)
}

// DiskUsage tells what takes space in the data root.
func (c *Client) DiskUsage(ctx context.Context) (out system.DiskUsage, err error) {
	return out, c.get(ctx, "/system/df", nil, &out)
}

// Events streams events.Message values; since and until as Docker takes them.
func (c *Client) Events(ctx context.Context, since, until string, f Filters) (io.ReadCloser, error) {
	q := f.add(query("since", since, "until", until))
	return c.stream(ctx, &request{method: "GET", path: "/events", query: q})
}

// Sessions lists the sessions of the host and the containers.
func (c *Client) Sessions(ctx context.Context) (out []api.Session, err error) {
	return out, c.get(ctx, "/silo/sessions", nil, &out)
}

// Disks lists the sandbox disks.
func (c *Client) Disks(ctx context.Context) (out []api.Disk, err error) {
	return out, c.get(ctx, "/silo/disks", nil, &out)
}

// DiskMount shows the file system of a container at a host path.
func (c *Client) DiskMount(ctx context.Context, ref string, r api.DiskMountRequest) error {
	return c.post(ctx, "/silo/disks/"+url.PathEscape(ref)+"/mount", nil, r, nil)
}

// DiskUnmount takes it away from the path again.
func (c *Client) DiskUnmount(ctx context.Context, path string) error {
	return c.post(ctx, "/silo/disks/unmount", query("path", path), nil, nil)
}

// Services lists the services of a running container.
func (c *Client) Services(ctx context.Context, ref string) (out []api.Service, err error) {
	return out, c.get(ctx, "/silo/services/"+url.PathEscape(ref), nil, &out)
}

// ServiceAction does something to services of a running container, waits
// until it is done, and describes them.
func (c *Client) ServiceAction(ctx context.Context, ref string, r api.ServiceRequest) (out []api.Service, err error) {
	return out, c.post(ctx, "/silo/services/"+url.PathEscape(ref), nil, r, &out)
}

// Doctor asks what this host can do.
func (c *Client) Doctor(ctx context.Context) (out []api.Check, err error) {
	return out, c.get(ctx, "/silo/doctor", nil, &out)
}

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"

	"silo/images"
	"silo/internal/errs"
	"silo/internal/filter"
	siloimage "silo/internal/image"
	"silo/internal/layer"
	"silo/internal/linux"
	"silo/internal/record"
)

// basesOf shows the layer store to the image store.
type basesOf struct{ e *Engine }

func (b basesOf) Build(ctx context.Context, id string, list []siloimage.LayerSource, progress func(int, int64)) error {
	sources := make([]layer.Source, len(list))
	for i, l := range list {
		sources[i] = layer.Source{DiffID: l.DiffID, ChainID: l.ChainID, Size: l.Size, Open: l.Open}
	}
	_, err := b.e.layers.Build(ctx, id, sources, progress)
	return err
}

func (b basesOf) Remove(id string) error {
	b.e.standby.forget(id)
	return errors.Join(b.e.bases.drop(id), b.e.layers.Remove(id, nil))
}

func (b basesOf) Has(id string) bool {
	if b.e.bases.mounted(id) {
		return true
	}
	_, err := b.e.layers.Base(id)
	return err == nil
}

// builtinRecord is builtin.json of a data root: which archives its built-in
// images were made from, so that an unchanged one is not unpacked again.
type builtinRecord struct {
	Format int
	Sums   map[string]string // image name → sum of its archive
	IDs    map[string]string // image name → image id
}

// addBuiltin brings the built-in images into the store.
func (e *Engine) addBuiltin(ctx context.Context) error {
	path := filepath.Join(e.o.Data, "builtin.json")
	var r builtinRecord
	if err := record.Read(path, &r); err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.log.Warn("built-in images are unpacked again", "err", err)
	}
	if r.Format != recordFormat {
		r = builtinRecord{Format: recordFormat, Sums: map[string]string{}, IDs: map[string]string{}}
	}
	defer linux.AllProcessors()()
	changed := false
	for _, a := range images.Builtin() {
		sum, err := a.Sum()
		if errors.Is(err, images.ErrNotBuilt) {
			e.log.Warn("built-in image is not there", "err", err)
			continue
		}
		if err != nil {
			return err
		}
		if img, err := e.images.Resolve(r.IDs[a.Name]); err == nil && img.Builtin == a.Reference() && r.Sums[a.Name] == sum && (basesOf{e}).Has(img.ID) && len(img.RepoTags) > 0 {
			continue
		}
		if err := e.addArchive(ctx, a); err != nil {
			return fmt.Errorf("built-in image %s: %w", a.Name, err)
		}
		img, err := e.images.Resolve(a.Reference())
		if err != nil || img.Builtin != a.Reference() {
			continue // its name is a user's own image
		}
		r.Sums[a.Name], r.IDs[a.Name], changed = sum, img.ID, true
	}
	if !changed {
		return nil
	}
	debug.FreeOSMemory() // unpacking took more than the daemon ever needs again
	return record.Write(path, r, record.Durable)
}

func (e *Engine) addArchive(ctx context.Context, a images.Archive) error {
	r, err := a.Open()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	r.Close()
	if err != nil {
		return err
	}
	return e.images.AddBuiltin(ctx, a.Reference(), bytes.NewReader(data))
}

// imageInUse names a container of an image, a running one if there is one.
func (e *Engine) imageInUse(id string) (name string, running bool) {
	for _, c := range e.all() {
		r, st := c.record(), c.state()
		if r.ImageID != id {
			continue
		}
		name = r.Name
		if st.State == container.StateRunning || st.State == container.StatePaused {
			return name, true
		}
	}
	return name, false
}

// The image operations of the API are the image store's.

// Images lists images.
func (e *Engine) Images(ctx context.Context, all bool, f filter.Args) ([]image.Summary, error) {
	list, err := e.images.Images(ctx, all, f)
	if err != nil {
		return nil, err
	}
	count := map[string]int64{}
	for _, c := range e.all() {
		count[c.record().ImageID]++
	}
	for i := range list {
		list[i].Containers = count[list[i].ID]
	}
	return list, nil
}

// ImageInspect shows one image.
func (e *Engine) ImageInspect(ctx context.Context, ref string) (image.InspectResponse, error) {
	return e.images.ImageInspect(ctx, ref)
}

// ImageHistory shows how an image was made.
func (e *Engine) ImageHistory(ctx context.Context, ref string) ([]image.HistoryResponseItem, error) {
	return e.images.ImageHistory(ctx, ref)
}

// ImagePull fetches an image from its registry.
func (e *Engine) ImagePull(ctx context.Context, ref, platform string, auth *registry.AuthConfig, p Progress) error {
	defer linux.AllProcessors()()
	return e.images.ImagePull(ctx, ref, platform, auth, siloimage.Progress(p))
}

// ImageTags lists what a repository of a registry has.
func (e *Engine) ImageTags(ctx context.Context, ref string, auth *registry.AuthConfig) ([]string, error) {
	return e.images.ImageTags(ctx, ref, auth)
}

// ImagePush sends an image to its registry.
func (e *Engine) ImagePush(ctx context.Context, ref, platform string, auth *registry.AuthConfig, p Progress) error {
	defer linux.AllProcessors()()
	return e.images.ImagePush(ctx, ref, platform, auth, siloimage.Progress(p))
}

// ImageImport makes an image of a root file system's tar.
func (e *Engine) ImageImport(ctx context.Context, repoTag, message, platform string, changes []string, r io.Reader, p Progress) error {
	defer linux.AllProcessors()()
	return e.images.ImageImport(ctx, repoTag, message, platform, changes, r, siloimage.Progress(p))
}

// ImageLoad reads an archive of images.
func (e *Engine) ImageLoad(ctx context.Context, r io.Reader, quiet bool, p Progress) error {
	defer linux.AllProcessors()()
	return e.images.ImageLoad(ctx, r, quiet, siloimage.Progress(p))
}

// ImageSave writes an archive of images.
func (e *Engine) ImageSave(ctx context.Context, refs []string, w io.Writer) error {
	defer linux.AllProcessors()()
	return e.images.ImageSave(ctx, refs, w)
}

// ImageTag gives an image another name.
func (e *Engine) ImageTag(ctx context.Context, source, target string) error {
	return e.images.ImageTag(ctx, source, target)
}

// ImageRemove takes a name from an image, or the image away.
func (e *Engine) ImageRemove(ctx context.Context, ref string, force, noPrune bool) ([]image.DeleteResponse, error) {
	return e.images.ImageRemove(ctx, ref, force, noPrune)
}

// networkID gives each of the three networks its id.
func (e *Engine) networkID(name string) string {
	if name == "nat" {
		return e.natID
	}
	return digestHex("network " + name + " of " + e.id)
}

// Networks lists the networks.
func (e *Engine) Networks(ctx context.Context, f filter.Args) ([]network.Summary, error) {
	if err := f.Validate("dangling", "driver", "id", "label", "label!", "name", "scope", "type"); err != nil {
		return nil, err
	}
	dangling, err := f.Bool("dangling", false)
	if err != nil {
		return nil, err
	}
	for _, t := range f["type"] {
		if t != "builtin" && t != "custom" {
			return nil, errs.Invalidf("invalid filter 'type=%s': give builtin or custom", t)
		}
	}
	out := []network.Summary{}
	if dangling { // those that are always there do not count
		return out, nil
	}
	for _, name := range []string{"nat", "none", "host"} {
		n := e.network(name)
		named := slices.ContainsFunc(networkNames(name), func(s string) bool { return f.Match("name", s) })
		if named && anyMatch(f, "driver", networkNames(n.Driver)) && f.Prefix("id", n.ID) && f.Exact("scope", n.Scope) && f.Labels(n.Labels) && f.Exact("type", "builtin") {
			out = append(out, network.Summary{Network: n})
		}
	}
	return out, nil
}

func (e *Engine) network(name string) network.Network {
	drivers := map[string]string{"nat": "nat", "none": "null", "host": "host"}
	n := network.Network{
		Name: name, ID: e.networkID(name), Scope: "local", Driver: drivers[name], EnableIPv4: name == "nat", Options: map[string]string{}, Labels: map[string]string{},
		IPAM: network.IPAM{Driver: "default", Config: []network.IPAMConfig{}},
	}
	_ = n.Created.UnmarshalText([]byte(e.started.UTC().Format(time.RFC3339Nano)))
	if name == "nat" {
		info := e.net.Inspect()
		_ = n.Created.UnmarshalText([]byte(info.Created.UTC().Format(time.RFC3339Nano)))
		n.IPAM.Config = append(n.IPAM.Config, network.IPAMConfig{Subnet: info.Subnet, Gateway: info.Gateway})
		n.Options["silo.bridge"], n.Options["silo.mtu"], n.Options["silo.resolver"] = info.Bridge, itoa(info.MTU), info.Resolver
	}
	return n
}

// NetworkInspect shows a network and who is on it.
func (e *Engine) NetworkInspect(_ context.Context, ref string) (network.Inspect, error) {
	for _, name := range []string{"nat", "none", "host"} {
		n := e.network(name)
		if ref != n.ID && !(len(ref) >= 4 && len(ref) < 64 && n.ID[:len(ref)] == ref) && !slices.Contains(networkNames(name), ref) {
			continue
		}
		out := network.Inspect{Network: n, Containers: map[string]network.EndpointResource{}}
		for _, c := range e.all() {
			r, st := c.record(), c.state()
			if st.PID == 0 || string(r.HostConfig.NetworkMode) != name {
				continue
			}
			x := network.EndpointResource{Name: r.Name}
			if ep := st.Endpoint; ep != nil {
				x.EndpointID = endpointID(*ep)
				x.IPv4Address = netip.PrefixFrom(ep.IP, ep.Bits)
				_ = x.MacAddress.UnmarshalText([]byte(ep.MAC))
			}
			out.Containers[r.ID] = x
		}
		return out, nil
	}
	return network.Inspect{}, errs.NotFoundf("network %s not found", ref)
}

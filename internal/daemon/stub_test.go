package daemon

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"silo/api"
	"silo/internal/engine"
	"silo/internal/filter"
)

// stub is a Backend that does nothing, notes what it was asked (the method's
// name and its arguments), and fails with err if that is set. Tests replace
// the methods that matter to them through the function fields.
type stub struct {
	mu    sync.Mutex
	calls []any
	err   error

	attach  func(ctx context.Context, o engine.AttachOptions, h engine.Hijack) error
	exec    func(ctx context.Context, o engine.ExecStartOptions) error
	run     func(o engine.RunOptions) error
	execRun func(take engine.Takeover) error
	wait    func(ctx context.Context) (<-chan engine.WaitResult, error)
	logs    func() (engine.LogSource, error)
	stats   func(ctx context.Context) <-chan container.StatsResponse
	events  func(ctx context.Context) <-chan events.Message
	pull    func(ctx context.Context, p Progress) error
	load    func(r io.Reader, p Progress) error
	save    func(w io.Writer) error
	inspect func(ctx context.Context) (container.InspectResponse, error)
	list    []container.Summary
	views   api.Properties
	images  []image.Summary
	usage   system.DiskUsage
}

// call is what the stub notes.
type call struct {
	Method string
	Args   []any
}

func (b *stub) note(method string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, call{method, args})
	return b.err
}

func (b *stub) ContainerCreate(_ context.Context, o engine.CreateOptions) (container.CreateResponse, error) {
	return container.CreateResponse{ID: "c1"}, b.note("ContainerCreate", o)
}

func (b *stub) Containers(_ context.Context, o engine.ListOptions) ([]container.Summary, error) {
	return b.list, b.note("Containers", o)
}

func (b *stub) ContainerInspect(ctx context.Context, ref string, size bool) (container.InspectResponse, error) {
	if b.inspect != nil {
		return b.inspect(ctx)
	}
	return container.InspectResponse{ID: ref}, b.note("ContainerInspect", ref, size)
}

func (b *stub) ContainerStart(_ context.Context, ref string) error {
	return b.note("ContainerStart", ref)
}

func (b *stub) ContainerRun(_ context.Context, o engine.RunOptions) error {
	if b.run != nil {
		return b.run(o)
	}
	o.Takeover = nil // functions cannot be compared
	return b.note("ContainerRun", o)
}

func (b *stub) ContainerStop(_ context.Context, ref string, o engine.StopOptions) error {
	return b.note("ContainerStop", ref, o)
}

func (b *stub) ContainerRestart(_ context.Context, ref string, o engine.StopOptions) error {
	return b.note("ContainerRestart", ref, o)
}

func (b *stub) ContainerKill(_ context.Context, ref, signal string) error {
	return b.note("ContainerKill", ref, signal)
}

func (b *stub) ContainerWait(ctx context.Context, ref string, c container.WaitCondition) (<-chan engine.WaitResult, error) {
	if b.wait != nil {
		return b.wait(ctx)
	}
	ch := make(chan engine.WaitResult, 1)
	ch <- engine.WaitResult{ExitCode: 7}
	return ch, b.note("ContainerWait", ref, c)
}

func (b *stub) ContainerAttach(ctx context.Context, ref string, o engine.AttachOptions, h engine.Hijack) error {
	if b.attach != nil {
		return b.attach(ctx, o, h)
	}
	return b.note("ContainerAttach", ref, o)
}

func (b *stub) ContainerLogs(context.Context, string) (engine.LogSource, error) {
	if b.logs != nil {
		return b.logs()
	}
	return engine.LogSource{Path: "/nonexistent/log"}, b.note("ContainerLogs")
}

func (b *stub) ContainerResize(_ context.Context, ref string, h, w uint16) error {
	return b.note("ContainerResize", ref, h, w)
}

func (b *stub) ContainerRename(_ context.Context, ref, name string) error {
	return b.note("ContainerRename", ref, name)
}

func (b *stub) ContainerRemove(_ context.Context, ref string, o engine.RemoveOptions) error {
	return b.note("ContainerRemove", ref, o)
}

func (b *stub) ContainerTop(_ context.Context, ref, args string) (container.TopResponse, error) {
	return container.TopResponse{}, b.note("ContainerTop", ref, args)
}

func (b *stub) ContainerStats(ctx context.Context, ref string, stream, oneShot bool) (<-chan container.StatsResponse, error) {
	if b.stats != nil {
		return b.stats(ctx), nil
	}
	ch := make(chan container.StatsResponse, 1)
	ch <- container.StatsResponse{ID: ref}
	close(ch)
	return ch, b.note("ContainerStats", ref, stream, oneShot)
}

func (b *stub) ContainerPause(_ context.Context, ref string) error {
	return b.note("ContainerPause", ref)
}

func (b *stub) ContainerUnpause(_ context.Context, ref string) error {
	return b.note("ContainerUnpause", ref)
}

func (b *stub) ContainerUpdate(_ context.Context, ref string, u container.UpdateConfig) (container.UpdateResponse, error) {
	return container.UpdateResponse{}, b.note("ContainerUpdate", ref, u)
}

func (b *stub) ContainersPrune(_ context.Context, f filter.Args) (container.PruneReport, error) {
	return container.PruneReport{}, b.note("ContainersPrune", f)
}

func (b *stub) ExecCreate(_ context.Context, ref string, r container.ExecCreateRequest) (string, error) {
	return "e1", b.note("ExecCreate", ref, r)
}

func (b *stub) ExecStart(ctx context.Context, id string, o engine.ExecStartOptions) error {
	if b.exec != nil {
		return b.exec(ctx, o)
	}
	o.Hijack = nil // functions cannot be compared
	return b.note("ExecStart", id, o)
}

func (b *stub) ExecRun(_ context.Context, ref string, r container.ExecCreateRequest, take engine.Takeover) error {
	if b.execRun != nil {
		return b.execRun(take)
	}
	return b.note("ExecRun", ref, r)
}

func (b *stub) ExecResize(_ context.Context, id string, h, w uint16) error {
	return b.note("ExecResize", id, h, w)
}

func (b *stub) ExecInspect(_ context.Context, id string) (container.ExecInspectResponse, error) {
	return container.ExecInspectResponse{ID: id}, b.note("ExecInspect", id)
}

func (b *stub) Images(_ context.Context, all bool, f filter.Args) ([]image.Summary, error) {
	return b.images, b.note("Images", all, f)
}

func (b *stub) ImageInspect(_ context.Context, ref string) (image.InspectResponse, error) {
	return image.InspectResponse{ID: ref}, b.note("ImageInspect", ref)
}

func (b *stub) ImageHistory(_ context.Context, ref string) ([]image.HistoryResponseItem, error) {
	return nil, b.note("ImageHistory", ref)
}

func (b *stub) ImagePull(ctx context.Context, ref, platform string, a *registry.AuthConfig, p Progress) error {
	if b.pull != nil {
		return b.pull(ctx, p)
	}
	p(jsonstream.Message{Status: "pulling"})
	return b.note("ImagePull", ref, platform, a)
}

func (b *stub) ImagesPrune(_ context.Context, f filter.Args) (image.PruneReport, error) {
	return image.PruneReport{}, b.note("ImagesPrune", f)
}

func (b *stub) ImageTags(_ context.Context, ref string, a *registry.AuthConfig) ([]string, error) {
	return []string{"1", "2"}, b.note("ImageTags", ref, a)
}

func (b *stub) ImagePush(_ context.Context, ref, platform string, a *registry.AuthConfig, _ Progress) error {
	return b.note("ImagePush", ref, platform, a)
}

func (b *stub) ImageImport(_ context.Context, repoTag, message, platform string, changes []string, r io.Reader, _ Progress) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return b.note("ImageImport", repoTag, message, platform, changes, string(data))
}

func (b *stub) ImageLoad(_ context.Context, r io.Reader, quiet bool, p Progress) error {
	if b.load != nil {
		return b.load(r, p)
	}
	return b.note("ImageLoad", quiet)
}

func (b *stub) ImageSave(_ context.Context, refs []string, w io.Writer) error {
	if b.save != nil {
		return b.save(w)
	}
	return b.note("ImageSave", refs)
}

func (b *stub) ImageTag(_ context.Context, source, target string) error {
	return b.note("ImageTag", source, target)
}

func (b *stub) ImageRemove(_ context.Context, ref string, force, noPrune bool) ([]image.DeleteResponse, error) {
	return nil, b.note("ImageRemove", ref, force, noPrune)
}

func (b *stub) VolumeCreate(_ context.Context, r volume.CreateRequest) (volume.Volume, error) {
	return volume.Volume{Name: r.Name}, b.note("VolumeCreate", r)
}

func (b *stub) Volumes(_ context.Context, f filter.Args) (volume.ListResponse, error) {
	return volume.ListResponse{}, b.note("Volumes", f)
}

func (b *stub) VolumeInspect(_ context.Context, name string) (volume.Volume, error) {
	return volume.Volume{Name: name}, b.note("VolumeInspect", name)
}

func (b *stub) VolumeRemove(_ context.Context, name string, force bool) error {
	return b.note("VolumeRemove", name, force)
}

func (b *stub) VolumesPrune(_ context.Context, f filter.Args) (volume.PruneReport, error) {
	return volume.PruneReport{}, b.note("VolumesPrune", f)
}

func (b *stub) Networks(_ context.Context, f filter.Args) ([]network.Summary, error) {
	return nil, b.note("Networks", f)
}

func (b *stub) NetworkInspect(_ context.Context, ref string) (network.Inspect, error) {
	return network.Inspect{}, b.note("NetworkInspect", ref)
}
func (b *stub) Info(context.Context) (system.Info, error) { return system.Info{}, b.note("Info") }
func (b *stub) DiskUsage(context.Context) (system.DiskUsage, error) {
	return b.usage, b.note("DiskUsage")
}

func (b *stub) Events(ctx context.Context, since, until time.Time, f filter.Args) (<-chan events.Message, error) {
	if b.events != nil {
		return b.events(ctx), nil
	}
	ch := make(chan events.Message)
	close(ch)
	return ch, b.note("Events", since, until, f)
}

func (b *stub) Session(_ context.Context, n uint32) (api.SessionDetail, error) {
	return api.SessionDetail{List: []api.ProcessView{}}, b.note("Session", n)
}

func (b *stub) SessionLog(_ context.Context, n uint32) ([]api.SessionRecord, error) {
	return nil, b.note("SessionLog", n)
}

func (b *stub) Properties(_ context.Context, ref string) (api.Properties, error) {
	return b.views, b.note("Properties", ref)
}

func (b *stub) ToolCreate(_ context.Context, ref string, r container.ExecCreateRequest) (string, error) {
	return "e1", b.note("ToolCreate", ref, r)
}

func (b *stub) Sessions(context.Context) ([]api.Session, error) { return nil, b.note("Sessions") }
func (b *stub) Disks(context.Context) ([]api.Disk, error)       { return nil, b.note("Disks") }
func (b *stub) DiskMount(_ context.Context, ref string, r api.DiskMountRequest) error {
	return b.note("DiskMount", ref, r)
}

func (b *stub) DiskUnmount(_ context.Context, path string) error {
	return b.note("DiskUnmount", path)
}

func (b *stub) Services(_ context.Context, ref string) ([]api.Service, error) {
	return nil, b.note("Services", ref)
}

func (b *stub) ServiceAction(_ context.Context, ref string, r api.ServiceRequest) ([]api.Service, error) {
	return nil, b.note("ServiceAction", ref, r)
}

func (b *stub) Doctor(context.Context) ([]api.Check, error) { return nil, b.note("Doctor") }

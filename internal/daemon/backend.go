// Package daemon serves the Docker Engine API, and Silo's own below /silo/,
// over a Backend: it reads requests, checks them as far as no object is
// involved, and turns results and errors into answers. It knows nothing of
// how containers work.
package daemon

import (
	"context"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"silo/api"
	"silo/internal/engine"
	"silo/internal/filter"
)

// Backend is what the API needs of the engine. A container is named by its
// name, id or unambiguous id prefix. Errors carry a kind of package errs.
type Backend interface {
	Containers
	Execs
	Services
	Images
	Volumes
	Host

	Networks(ctx context.Context, f filter.Args) ([]network.Summary, error)
	NetworkInspect(ctx context.Context, ref string) (network.Inspect, error)
}

// Containers is the life of containers.
type Containers interface {
	ContainerCreate(ctx context.Context, o engine.CreateOptions) (container.CreateResponse, error)
	Containers(ctx context.Context, o engine.ListOptions) ([]container.Summary, error)
	ContainerInspect(ctx context.Context, ref string, size bool) (container.InspectResponse, error)
	ContainerStart(ctx context.Context, ref string) error // errs.NotModified if it runs
	// ContainerRun creates and starts with the client joined.
	ContainerRun(ctx context.Context, o engine.RunOptions) error
	ContainerStop(ctx context.Context, ref string, o engine.StopOptions) error
	ContainerRestart(ctx context.Context, ref string, o engine.StopOptions) error
	ContainerKill(ctx context.Context, ref, signal string) error
	// ContainerWait checks at once and then delivers one result; condition is
	// not-running, next-exit or removed.
	ContainerWait(ctx context.Context, ref string, condition container.WaitCondition) (<-chan engine.WaitResult, error)
	ContainerAttach(ctx context.Context, ref string, o engine.AttachOptions, h engine.Hijack) error
	ContainerLogs(ctx context.Context, ref string) (engine.LogSource, error)
	ContainerResize(ctx context.Context, ref string, height, width uint16) error
	ContainerRename(ctx context.Context, ref, name string) error
	ContainerRemove(ctx context.Context, ref string, o engine.RemoveOptions) error
	ContainerTop(ctx context.Context, ref string, psArgs string) (container.TopResponse, error)
	// ContainerStats delivers samples once a second until ctx ends, or one
	// sample if stream is false (with oneShot, without waiting for a second).
	ContainerStats(ctx context.Context, ref string, stream, oneShot bool) (<-chan container.StatsResponse, error)
	ContainerPause(ctx context.Context, ref string) error
	ContainerUnpause(ctx context.Context, ref string) error
	ContainerUpdate(ctx context.Context, ref string, u container.UpdateConfig) (container.UpdateResponse, error)
	ContainersPrune(ctx context.Context, f filter.Args) (container.PruneReport, error)
}

// Execs is further commands in running containers.
type Execs interface {
	ExecCreate(ctx context.Context, ref string, r container.ExecCreateRequest) (id string, err error)
	// ToolCreate is ExecCreate for a program of the image core, which the
	// container's own image need not have.
	ToolCreate(ctx context.Context, ref string, r container.ExecCreateRequest) (id string, err error)
	ExecStart(ctx context.Context, id string, o engine.ExecStartOptions) error
	ExecResize(ctx context.Context, id string, height, width uint16) error
	ExecInspect(ctx context.Context, id string) (container.ExecInspectResponse, error)
	// ExecRun is ExecCreate and ExecStart with the client joined.
	ExecRun(ctx context.Context, ref string, r container.ExecCreateRequest, take engine.Takeover) error
}

// Services is what the agents of running containers supervise.
type Services interface {
	Services(ctx context.Context, ref string) ([]api.Service, error)
	// ServiceAction returns when the action is done.
	ServiceAction(ctx context.Context, ref string, r api.ServiceRequest) ([]api.Service, error)
}

// Progress receives the messages of a long image operation.
type Progress = engine.Progress

// Images is the image store. It is implemented by internal/image, with the
// engine adding what containers use.
type Images interface {
	Images(ctx context.Context, all bool, f filter.Args) ([]image.Summary, error)
	ImageInspect(ctx context.Context, ref string) (image.InspectResponse, error)
	ImageHistory(ctx context.Context, ref string) ([]image.HistoryResponseItem, error)
	ImagePull(ctx context.Context, ref, platform string, auth *registry.AuthConfig, p Progress) error
	ImagesPrune(ctx context.Context, f filter.Args) (image.PruneReport, error)
	// ImageTags lists the tags of a repository of a registry.
	ImageTags(ctx context.Context, ref string, auth *registry.AuthConfig) ([]string, error)
	ImagePush(ctx context.Context, ref, platform string, auth *registry.AuthConfig, p Progress) error
	// ImageImport makes an image of one root file system tar; changes are
	// Dockerfile instructions (CMD, ENV, …).
	ImageImport(ctx context.Context, repoTag, message, platform string, changes []string, r io.Reader, p Progress) error
	ImageLoad(ctx context.Context, r io.Reader, quiet bool, p Progress) error
	ImageSave(ctx context.Context, refs []string, w io.Writer) error
	ImageTag(ctx context.Context, source, target string) error
	ImageRemove(ctx context.Context, ref string, force, noPrune bool) ([]image.DeleteResponse, error)
}

// Volumes are directories that outlive containers.
type Volumes interface {
	VolumeCreate(ctx context.Context, r volume.CreateRequest) (volume.Volume, error)
	Volumes(ctx context.Context, f filter.Args) (volume.ListResponse, error)
	VolumeInspect(ctx context.Context, name string) (volume.Volume, error)
	VolumeRemove(ctx context.Context, name string, force bool) error
	VolumesPrune(ctx context.Context, f filter.Args) (volume.PruneReport, error)
}

// Host is the daemon and the machine it runs on.
type Host interface {
	Info(ctx context.Context) (system.Info, error)
	DiskUsage(ctx context.Context) (system.DiskUsage, error)
	// Events delivers past events from since, then live ones until until or
	// the end of ctx. Zero times mean: none past, no end.
	Events(ctx context.Context, since, until time.Time, f filter.Args) (<-chan events.Message, error)

	Sessions(ctx context.Context) ([]api.Session, error)
	Session(ctx context.Context, number uint32) (api.SessionDetail, error)
	// SessionLog is what the host's audit log and silod's own hold of a session.
	SessionLog(ctx context.Context, number uint32) ([]api.SessionRecord, error)
	Properties(ctx context.Context, ref string) (api.Properties, error)
	Disks(ctx context.Context) ([]api.Disk, error)
	// DiskMount shows the file system of a container at an absolute host
	// path; DiskUnmount takes it away again.
	DiskMount(ctx context.Context, ref string, r api.DiskMountRequest) error
	DiskUnmount(ctx context.Context, path string) error
	Doctor(ctx context.Context) ([]api.Check, error)
}

package engine

import (
	"net"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"

	"silo/internal/filter"
)

// CreateOptions describe a container to be made.
type CreateOptions struct {
	Name             string // "" picks one
	Platform         string // "os/arch[/variant]", "" is the host's
	Config           *container.Config
	HostConfig       *container.HostConfig
	NetworkingConfig *network.NetworkingConfig
}

// ListOptions select containers for a listing.
type ListOptions struct {
	All     bool // stopped ones too
	Limit   int  // the newest n of any state; 0 is no limit
	Size    bool // fill SizeRw and SizeRootFs
	Filters filter.Args
}

// StopOptions say how to stop: Signal "" is the container's own stop signal;
// Timeout nil its own stop timeout in seconds, -1 waits for ever.
type StopOptions struct {
	Signal  string
	Timeout *int
}

// RemoveOptions say how to remove: Force kills a running container first,
// Volumes removes its anonymous volumes with it.
type RemoveOptions struct {
	Force, Volumes bool
}

// Hijack turns the HTTP request into a raw stream. The engine calls it once,
// when everything that can be refused has been checked. multiplexed tells
// that output will carry Docker's 8-byte frame headers (no terminal). It
// returns the connection, which the engine then owns, and bytes of standard
// input that had been read from it already.
type Hijack func(multiplexed bool) (conn net.Conn, buffered []byte, err error)

// Takeover gives the engine the connection of a request before anything was
// answered on it, to hand it on to who will send head, the beginning of a
// success's answer with these headers more. If the engine returns an error
// after that, the request is answered with it. The connection stays the
// server's.
type Takeover func(header map[string]string) (conn net.Conn, head, buffered []byte, err error)

// RunOptions describe a container that is made and started in one request.
type RunOptions struct {
	CreateOptions
	Stdin, Stdout, Stderr bool // which streams the client joins
	DetachKeys            string
	Warnings              []string // of the request, beside those of create
	Takeover              Takeover
}

// AttachOptions say which streams an attach joins.
type AttachOptions struct {
	Stdin, Stdout, Stderr bool
	Stream                bool // live output; without it only Logs are sent
	Logs                  bool // what was written before
	DetachKeys            string
}

// WaitResult is the end of a container, or the error that hid it.
type WaitResult struct {
	ExitCode int
	Err      error
}

// LogSource is where the output of a container is kept.
type LogSource struct {
	Path    string          // the newest log file; older ones are Path.1, Path.2 …
	TTY     bool            // one raw stream, no frames
	Done    <-chan struct{} // closed when nothing more will be written
	Created time.Time
}

// Progress receives the messages of a long image operation.
type Progress = func(jsonstream.Message)

// ExecStartOptions start a prepared exec. Hijack is nil for a detached one.
type ExecStartOptions struct {
	Detach      bool
	TTY         bool
	ConsoleSize *[2]uint // height, width
	Hijack      Hijack
}

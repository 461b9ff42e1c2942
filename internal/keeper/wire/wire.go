// Package wire is the protocol between silod and silo-keeper, drawn and
// versioned. silod connects to the keeper's socket below the exec root; only
// root may. Requests carry a number that the answer repeats.
//
//	silod                                    silo-keeper
//	  │ hello ─────────────────────────────────▶│
//	  │◀───────── done {version, containers} ───│ the truth about what runs
//	  │ launch {ids, namespaces, cgroups} ─────▶│ forks an agent; it parks
//	  │◀─────────────────── done {pid, session}─│
//	  │ prepare {…} + mounts ──────────────────▶│ passed on to the agent
//	  │ root {…} + mount, unroot ──────────────▶│ passed on to the agent
//	  │ start {…} + mounts, client streams ────▶│ adds standard streams, passes on
//	  │◀──────────────────────── done {pid} ────│
//	  │ attach, exec, resize, signal, service ─▶│ while it runs
//	  │◀── execexit, detach, servicefailed ─────│ events (no ID)
//	  │◀──────────────── exit {code} (no ID) ───│ all output is written and sent
//	  │ release ───────────────────────────────▶│ clients may learn the exit code
//	  │ heard ─────────────────────────────────▶│ failures in hello are known
//	  │ forget ────────────────────────────────▶│ silod has recorded the exit
//	  │ upgrade + new program ─────────────────▶│ executes it in place
//
// Exits are kept until forgotten, so that a silod that was away learns them.
package wire

import (
	"encoding/json"
	"time"

	agent "silo/internal/agent/wire"
	"silo/internal/ipc"
	service "silo/internal/service/wire"
)

// Version changes when an older silod and a newer keeper, or the reverse,
// could misunderstand each other. A keeper of another version is upgraded.
const Version = 2

// SocketName is the keeper's socket below the exec root.
const SocketName = "keeper.sock"

// Message is one of the messages above.
type Message = ipc.Message

// Hello is the answer to hello.
type Hello struct {
	Version    int
	Build      string // the program's build, as given by -ldflags
	PID        int
	Containers []Status
	Kept       []string
}

// State is where the keeper sees a container.
type State string

// The states of a container at the keeper.
const (
	Parked  State = "parked"
	Running State = "running"
	Exited  State = "exited"
)

// Status is what the keeper knows of one container.
type Status struct {
	ID      string
	State   State
	Agent   int // process of the agent
	PID     int // process of the command, once running
	Session uint32
	Started time.Time
	Exit    *Exit        `json:",omitempty"`
	Execs   []ExecStatus `json:",omitempty"` // running ones, and the last that have ended
	// Failed are the services that failed for good while no silod was there,
	// until it says that it has heard.
	Failed []service.Failure `json:",omitempty"`
}

// ExecStatus is a further command as the keeper knows it.
type ExecStatus struct {
	ID    string
	PID   int
	Args  []string
	User  string
	Stdio Stdio
	Exit  *Exit `json:",omitempty"` // once ended
}

// Launch asks for an agent. Descriptors: the namespaces to join, in order.
type Launch struct {
	ID           string
	First, Count uint32 // host ids of the user namespace
	Net, UTS     bool   // new namespaces besides user, mount and cgroup
	IPC          bool
	Join         int      // how many namespace descriptors come
	CgroupProcs  []string // cgroup.procs files to be joined before the agent runs
	HardLimits   []agent.Rlimit
	OOMScoreAdj  *int
}

// Launched is the answer to launch.
type Launched struct {
	PID     int
	Session uint32 // 0 where the kernel has no audit sessions
}

// Prepare passes an agent's prepare on with its descriptors.
type Prepare struct {
	ID   string
	Body agent.Prepare
}

// Root passes an agent's root on with its descriptor.
type Root struct {
	ID   string
	Body agent.Root
}

// Log says where output is kept.
type Log struct {
	Path     string
	MaxSize  int64 // bytes before rotation, -1 never
	MaxFiles int
}

// Stdio says what the standard streams of a command are.
type Stdio struct {
	TTY       bool
	OpenStdin bool // else standard input is /dev/null
	StdinOnce bool // standard input ends with the first client that ends its own
	Log       *Log
}

// Attach joins a client to a command's streams. Its descriptor is a connected
// stream socket which the keeper then owns.
type Attach struct {
	Stdin, Stdout, Stderr bool
	Mux                   bool   // output carries Docker's 8-byte frame headers
	DetachKeys            []byte // none: cannot be detached by keys
	Buffered              []byte // standard input that was read already
	Greeting              []byte // goes to the client before all output
	// End makes a frame of stream EndStream the last thing that the client
	// gets: four bytes, the exit code, big-endian. For a container's own command
	// it waits for Release, so that silod has noted the end by then. Needs Mux.
	End bool
}

// EndStream is the number of the stream that tells the exit code; 0 to 3 are
// Docker's.
const EndStream = 4

// Start starts a prepared container. Descriptors: those of the agent's start
// without the standard streams, then one for each Attach.
type Start struct {
	ID     string
	Body   agent.Start
	Stdio  Stdio
	Attach []Attach
}

// StartOrder is Start as the keeper reads it: what the agent is to do goes on
// to it as it came.
type StartOrder struct {
	ID     string
	Body   json.RawMessage
	Stdio  Stdio
	Attach []Attach
}

// Exec runs a further command. Descriptors: the program, if Op says so, then
// one if Attach is set.
type Exec struct {
	ID      string
	Op      string        `json:",omitempty"` // "": a program of the image; "program": a descriptor; "inside": the agent's reader
	Command agent.Command // its ID names the exec
	Stdio   Stdio
	Attach  *Attach
}

// ExecOrder is Exec as the keeper reads it.
type ExecOrder struct {
	ID      string
	Op      string
	Command json.RawMessage
	Stdio   Stdio
	Attach  *Attach
}

// ExecHead is what the keeper wants to know of a command.
type ExecHead struct {
	ID, User string
	Args     []string
}

// Started is the answer to start and exec.
type Started struct{ PID int }

// Target names a container's command, or one of its execs.
type Target struct {
	ID   string
	Exec string `json:",omitempty"`
}

// AttachTo is Attach for a running command; one descriptor.
type AttachTo struct {
	Target
	Attach Attach
}

// Resize sets a terminal's size.
type Resize struct {
	Target
	Rows, Cols uint16
}

// Signal sends a signal to a command.
type Signal struct {
	Target
	Number int
}

// Service asks the agent of a running container about its services.
type Service struct {
	ID   string
	Body service.Request
}

// ServiceFailed is the event of a service that has failed for good.
type ServiceFailed struct {
	Target
	service.Failure
}

// Keep stores the descriptors that come with it under a name, until Take
// gives them back or others take their place.
type Keep struct{ Name string }

// Exit is the event of a container's end, and execexit's.
type Exit struct {
	Target
	Code   int
	Signal int
	At     time.Time
	Reason string `json:",omitempty"` // why, if the command did not end by itself
	Held   bool   `json:",omitempty"` // clients wait for release to learn the code
}

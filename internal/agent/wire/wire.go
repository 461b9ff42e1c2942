// Package wire is the protocol between silo-keeper and silo-agent, drawn and
// versioned. The keeper takes what an agent says for the word of a hostile
// process: lengths, descriptors and order are checked on arrival.
//
//	silo-keeper                              silo-agent (one per container)
//	    │ fork, exec from a sealed memfd ───────▶│ descriptor 3 is the channel
//	    │◀──────────────────────────── hello ────│ version
//	    │ prepare {dev, proc, masks} ───────────▶│ builds /dev, /proc, /sys; pivots
//	    │◀──────────────────────────── done ─────│   into an empty tmpfs: parked
//	    │ root {root, files} ───────────────────▶│ optional, for a standby: pivots into
//	    │◀──────────────────────────── done ─────│   the root of the image to expect
//	    │ unroot ───────────────────────────────▶│ it was another: back to parked
//	    │◀──────────────────────────── done ─────│
//	    │ start {root, mounts, command} ────────▶│ pivots into the container's root,
//	    │◀─────────────────── done {pid, tty} ───│   executes the command
//	    │ exec {command} ───────────────────────▶│ any number of times
//	    │◀─────────────────── done {pid, tty} ───│
//	    │ program {command} + program ──────────▶│ as exec, but what is executed comes
//	    │◀─────────────────── done {pid, tty} ───│   as a descriptor
//	    │ inside {command} ─────────────────────▶│ as exec, of the agent's own reader
//	    │◀─────────────────── done {pid, tty} ───│   of facts (package facts)
//	    │◀──────────────────────────── exit ─────│ one for each command started
//	    │ service {op, action, units} ──────────▶│ ask the supervisor of services
//	    │◀──────────────── done {services} ──────│   when the action is done
//	    │◀─────── servicelog, servicefailed ─────│ unasked, while services run
//	    │                                        │ after the first command's exit all
//	    │◀──────────────────── end {that exit} ──│   processes are killed
//	    │ closes ───────────────────────────────▶│ the agent ends, or soon by itself
//
// Requests carry a number that the answer repeats; exit and end carry none. The
// first command's exit comes with end, or before it where others take a while
// to die.
package wire

import (
	"silo/internal/ipc"
	service "silo/internal/service/wire"
)

// Version changes when an older keeper and a newer agent, or the reverse,
// could misunderstand each other.
const Version = 2

// Channel is the descriptor on which an agent finds its channel.
const Channel = 3

// Threads is how many threads an agent has. They are in the container's cgroup,
// so that its commands are born there, but not in the user's count.
const Threads = 12

// Message is one of the messages above.
type Message = ipc.Message

// Error is an error of the other side with its kind (package errs).
type Error = ipc.Error

// Hello is the first message of an agent.
type Hello struct{ Version int }

// Prepare makes the parts of a container's root that do not depend on its
// image. Descriptors, in order: the /dev tmpfs with its nodes; then the proc
// for process isolation, if Proc; then a read-only /sys, if Sys.
type Prepare struct {
	Proc     bool // a proc comes as a descriptor
	Sys      bool // a sys comes as a descriptor (the network is not our own)
	Masked   []string
	ReadOnly []string
	Shm      bool  // make /dev/shm, else a descriptor for it follows
	ShmSize  int64 // bytes
	Mqueue   bool  // make /dev/mqueue (own IPC namespace)
	Cgroups  []Cgroup
	Unmasked bool // privileged: sys and cgroup are writable
	// Seccomp is the filter of every Command that says Prepared: most commands
	// have the same, and it is most of what a message would carry.
	Seccomp      []byte
	SeccompFlags uint32
	// Caps is the bounding set of those commands.
	Caps []string
}

// Root gives a parked agent the root that its container will probably have,
// so that start finds it laid. Descriptor: the root mount.
type Root struct {
	Hostname string
	Files    []File // start may bring other contents for the same paths
	Services bool   // it will probably have services
}

// Cgroup is a hierarchy to be shown below /sys/fs/cgroup. Controllers "" is
// the unified one (version 2).
type Cgroup struct {
	Name        string // folder name; "" is /sys/fs/cgroup itself
	Controllers string
}

// Mount is one mount in the container besides its root. Source "fd" takes the
// next descriptor, a detached mount; "tmpfs" is made by the agent.
type Mount struct {
	Target   string
	Source   string
	IsDir    bool
	Options  string // of a tmpfs: size=…,mode=…
	Attrs    uint64 // MOUNT_ATTR_… of a tmpfs, or to be set when another is attached
	Populate bool   // copy what the image has at Target into the empty volume first
}

// File is a small file that is bound over one of the image's.
type File struct {
	Path string
	Data string
}

// Start gives a prepared agent its root and its command. Descriptors, in
// order: the root mount unless Rooted; one for each Mount whose Source is
// "fd"; standard input, output and error unless the command has a terminal.
type Start struct {
	Rooted   bool // the root is that of Root
	PID      bool // the command gets a PID namespace of its own
	Init     bool // and a small init as process 1 there
	Hostname string
	Domain   string
	Sysctls  map[string]string
	Mounts   []Mount
	Files    []File // if Rooted, those that differ
	ReadOnly bool   // the root is read-only once mounts are in place
	Command  Command
	// Masked and ReadOnlyPaths are applied to the new proc of a PID
	// namespace; without one, Prepare has done it.
	Masked, ReadOnlyPaths []string
	// Services makes the agent supervise the services of the image, each with
	// the rights of Command or fewer. Not with PID.
	Services *service.Options `json:",omitempty"`
}

// Command is a process to be made in the container.
type Command struct {
	ID           string // how exit names it; "" is the container's own
	Args         []string
	Env          []string // NAME=value; HOME, and with a terminal TERM, are added if missing
	Dir          string
	User         string // [user][:group], names or numbers, as in the image's files
	Groups       []string
	TTY          bool
	Rows, Cols   uint16
	Caps         []string // bounding set; also permitted and effective for root; nil is those of Prepare, if Prepared
	NoNewPrivs   bool
	Prepared     bool   // the filter and the bounding set are those of Prepare
	Seccomp      []byte // else struct sock_filter records; none is unconfined
	SeccompFlags uint32
	Rlimits      []Rlimit
	OOMScoreAdj  *int
	Umask        *uint32
}

// Rlimit is one resource limit; Type is its number in setrlimit(2).
type Rlimit struct {
	Name       string
	Type       int
	Soft, Hard uint64
}

// Started is the answer to start and exec; with a terminal its master comes
// as a descriptor.
type Started struct{ PID int }

// Exit tells the end of a command.
type Exit struct {
	ID     string
	Code   int // exit code, 128+n after signal n
	Signal int
}

// End is an agent's last message: no process of the container is left. Exit
// is the end of the container's own command, unless it was told before.
type End struct{ Exit *Exit }

package service

import (
	"silo/internal/linux"
	"silo/internal/service/unit"
)

// System is what the manager needs of the agent: processes, accounts and the
// way out for logs. Its methods are called by the manager's goroutine and
// must not wait for anything but the kernel.
type System interface {
	// Spawn starts a process. It returns when the program is executed. The
	// descriptors stay the caller's.
	Spawn(p *Process) (pid int, err error)
	// Members lists the living processes of services by their marks.
	Members() map[Mark][]Member
	// MarkOf tells which mark a process carries; 0 is none, or it is gone.
	MarkOf(pid int) Mark
	// Ancestors gives the process's parent and so on, the nearest first, up to
	// the agent, which is not among them.
	Ancestors(pid int) []int
	// Kill signals a process of a service; one that has ended is no error.
	Kill(pid int, sig unit.Signal) error
	// Resident gives the bytes of memory that a process holds.
	Resident(pid int) int64
	// User looks up who a process is to be; group "" is the user's own.
	User(name, group string, extra []string) (User, error)
	// Output passes on what a service wrote: whole lines or a part of one. It
	// may wait for the keeper; the manager calls it never, its lines do.
	Output(service, stream string, data []byte)
	// Failed tells that a service has failed for good.
	Failed(service, result string)
}

// Mark tells the processes of one run of a service from all others: every
// descendant has it. 0 is none.
type Mark uint64

// Member is a process of a service.
type Member struct {
	PID   int
	Child bool // of the agent: its parent has ended, or is the agent
}

// User is who a process runs as.
type User struct {
	UID, GID uint32
	Groups   []uint32
	Name     string
	Home     string
	Shell    string
}

// Exit is how a process ended.
type Exit struct {
	Code   int // exit code, if Signal is 0
	Signal int
	Core   bool // it dumped core
}

// Process is a process to be started.
type Process struct {
	Service string // whose log output goes to
	Mark    Mark
	Path    string
	Args    []string
	Env     []string
	Dir     string
	User    User
	UMask   uint32

	Limits        map[string]unit.Limit
	Nice          *int
	OOMScore      *int
	IgnoreSIGPIPE bool
	NoNewPrivs    bool
	Caps          []string // bounding set; nil is the container's
	Ambient       []string

	Stdin, Stdout, Stderr Stream
	Files                 []*linux.FD // become descriptors 3, 4, …
	ListenPID             bool        // LISTEN_PID is added with the process's own number
}

// Stream is a standard stream of a Process: a descriptor, or nil for the log
// (output) or /dev/null.
type Stream struct {
	FD  *linux.FD
	Log bool
}

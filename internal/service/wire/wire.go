// Package wire holds what is said about services: between the agent, which
// supervises them, the keeper and silod, and on the agent's socket inside the
// container. It decides nothing and imports the standard library only.
//
// Inside, /dev/silo/agent is a stream socket: one JSON object a line.
//
//	program                                  silo-agent
//	   │ {"op":"services"} ────────────────────▶│ anyone
//	   │◀──────────────── {"services":[…]} ─────│
//	   │ {"op":"service","action":"start", ────▶│ user 0 only (SO_PEERCRED)
//	   │    "units":["x.service"]}              │
//	   │◀──── {"services":[…]} or {"error":…} ──│ when it is done
package wire

import "time"

// Socket is where the agent listens inside a container.
const Socket = "/dev/silo/agent"

// MaxRequest bounds one line of the socket's protocol, in bytes.
const MaxRequest = 64 << 10

// Operations of a Request.
const (
	OpList   = "services" // describe all services, or Units
	OpAction = "service"  // do Action to Units
)

// Actions of a Request. Status and Logs change nothing.
const (
	Start   = "start"
	Stop    = "stop"
	Restart = "restart"
	Reload  = "reload"
	Enable  = "enable"
	Disable = "disable"
	Status  = "status"
	Logs    = "logs"
)

// Shutdown is the action that stops all services in order within Request's
// Seconds; only silod asks for it.
const Shutdown = "shutdown"

// Request asks for something. Units are names of units; without a suffix a
// service is meant.
type Request struct {
	Op      string   `json:"op"`
	Action  string   `json:"action,omitempty"`
	Units   []string `json:"units,omitempty"`
	Seconds int      `json:"seconds,omitempty"`
}

// Reply answers a Request: Error, or the services that were named (all, for
// OpList without Units).
type Reply struct {
	Error    string    `json:"error,omitempty"`
	Services []Service `json:"services"`
}

// What a service is doing.
const (
	Running  = "running"
	Stopped  = "stopped"
	Starting = "starting" // waiting for a restart too
	Stopping = "stopping"
	Failed   = "failed"
	Exited   = "exited" // done, and counted as up (RemainAfterExit=)
)

// Service describes one service.
type Service struct {
	Name        string    // unit name, with its suffix
	DisplayName string    // Description=
	Status      string    // running, stopped, starting, stopping, failed or exited
	Enabled     bool      // started with the container, by itself or by a socket or timer
	Type        string    // Type=
	MainPID     int       // number of its process on the host, 0 if it has none
	PIDs        []int     `json:",omitempty"` // all its processes, on the host
	Since       time.Time // when Status began
	Result      string    // why it ended last: success, exit-code, signal, timeout, …
	ExitCode    int       // of its main process; 128+n after signal n
	Restarts    int       // by Restart=, since it was last started by hand
	Memory      int64     `json:",omitempty"` // bytes resident, of all its processes
	Sockets     []string  `json:",omitempty"` // addresses that Silo listens on for it
	Next        time.Time `json:",omitzero"`  // when its timer elapses next
	Path        string    // of the unit file
	Notes       []string  `json:",omitempty"` // what of the unit was not understood or is not done
	Log         []string  `json:",omitempty"` // its last lines, for status and logs
}

// Log is output of a service on its way to the container's log.
type Log struct {
	Service string
	Stream  string // stdout or stderr
	Data    []byte // whole lines, or a part of one without a newline; at most MaxLog
}

// MaxLog bounds the bytes of one Log.
const MaxLog = 16 << 10

// Failure tells that a service has failed and will not be restarted.
type Failure struct {
	Service string
	Result  string
}

// Options say what an agent is to do with the services of its image.
type Options struct {
	Wait      bool // the container's command starts when enabled services are up
	OnFailure string
}

// What follows when a service has failed for good.
const (
	Ignore          = "ignore"  // it is shown as failed
	ExitOnFailure   = "exit"    // the container is stopped
	RestartOnFailed = "restart" // the container is restarted
)

package api

import "time"

// HostConfig.Annotations keys about services.
const (
	// Services says "true" or "false": whether the services of the image are
	// started. Without it the label of the same name decides, else they are
	// not.
	Services = "silo.services"
	// WaitServices says "true" if the command is to start only when the
	// enabled services are up.
	WaitServices = "silo.wait-services"
	// ServiceFailure says what follows when a service has failed for good:
	// ignore (the default), exit (the container is stopped) or restart.
	ServiceFailure = "silo.service-failure"
)

// Service is one service of a container, as GET /silo/services/{container}
// lists them.
type Service struct {
	Name        string    // unit name, with its suffix
	DisplayName string    // Description= of the unit
	Status      string    // running, stopped, starting, stopping, failed, or exited (done, and counted as up)
	Enabled     bool      // started with the container, by itself or by a socket or timer
	Type        string    // simple, exec, forking, oneshot, notify, notify-reload or idle
	MainPID     int       // number of its process on the host, 0 if it has none
	PIDs        []int     `json:",omitempty"` // all its processes, by their numbers on the host
	Since       time.Time // when Status began
	Result      string    // how it ended last: success, exit-code, signal, timeout, …
	ExitCode    int       // of its main process; 128+n after signal n
	Restarts    int       // by Restart=, since it was last started by hand
	Memory      int64     `json:",omitempty"` // bytes resident, of all its processes
	Sockets     []string  `json:",omitempty"` // addresses that Silo listens on for it
	Next        time.Time `json:",omitzero"`  // when its timer elapses next
	Path        string    // of the unit file in the container
	Notes       []string  `json:",omitempty"` // what of the unit was not understood or is not done
	Log         []string  `json:",omitempty"` // its last lines, for the action status
}

// ServiceRequest is the body of POST /silo/services/{container}. The answer
// comes when the action is done, and describes the services that were named.
type ServiceRequest struct {
	Action string   // start, stop, restart, reload, enable, disable or status
	Units  []string // unit names; without a suffix a service is meant
}

// Package api holds Silo's own wire types, served under /silo/…: what the
// Docker Engine API has no word for. Docker's own types come from
// github.com/moby/moby/api.
package api

import "time"

// HealthOnFailure is the HostConfig.Annotations key that says what happens to
// a container that turns unhealthy: none, kill, restart or stop.
const HealthOnFailure = "silo.health-on-failure"

// Headers of the answers to POST /silo/run and POST /silo/exec/{container}.
// Their streams carry Docker's frames whether or not there is a terminal, and
// end with a frame of stream EndStream: four bytes, the exit code, big-endian.
// The body of the one is that of Docker's POST /containers/create, with the
// query name and platform as there, stdin, stdout and stderr for the streams
// that the client joins, and detachKeys; the body of the other that of Docker's
// POST /containers/{id}/exec.
const (
	ContainerHeader = "Silo-Container" // the container's id
	ExecHeader      = "Silo-Exec"      // the exec's id
	WarningsHeader  = "Silo-Warnings"  // JSON array of texts, if there are any
	EndStream       = 4
)

// Session is one row of GET /silo/sessions: session 0 is the host's, every
// other one belongs to a container.
type Session struct {
	Number    uint32    // the kernel's audit session, see sessionid in proc(5)
	Container string    `json:",omitempty"` // id
	Name      string    `json:",omitempty"` // container name
	IDRange   IDRange   // the private user ids
	Processes int       // how many processes carry the number
	CPU       int64     // milliseconds of processor time so far
	Memory    int64     // bytes; of session 0 the resident memory of its processes, shared pages counted for each
	Since     time.Time // when the session began
}

// IDRange is a run of host user and group ids.
type IDRange struct{ First, Count uint32 }

// Disk is one row of GET /silo/disks: the sandbox disk of a container.
type Disk struct {
	Container string
	Name      string
	Path      string   // the sandbox.vhdx on the host
	Size      int64    // bytes, as seen inside
	Allocated int64    // bytes, as taken on the host
	Device    string   `json:",omitempty"` // /dev/loopN while attached
	Mounts    []string `json:",omitempty"` // where DiskMount shows it
}

// DiskMountRequest is the body of POST /silo/disks/{container}/mount.
type DiskMountRequest struct {
	Path     string // absolute host path of an existing folder
	Writable bool   // default is read-only
}

// Check is one line of GET /silo/doctor.
type Check struct {
	Name       string
	Answer     string // yes, no, unknown
	Detail     string `json:",omitempty"`
	Effect     string `json:",omitempty"` // what follows if the answer is no
	Suggestion string `json:",omitempty"` // can be pasted
}

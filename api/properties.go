package api

import "time"

// Answer is what comparing the two views of a property gave.
type Answer string

// The four answers. NotSupported is also the answer of a property that only
// one side can know.
const (
	Same         Answer = "same"
	Differs      Answer = "differs"
	NotSupported Answer = "not supported"
	CouldNotTell Answer = "could not tell"
)

// Properties is the answer to GET /silo/properties/{container}: what can be
// observed of a container, from inside and from the host. Where the two differ
// the host's view stands: what comes from inside is the word of the container.
// A client that accepts text/plain and no JSON gets the tables that
// "silo properties" prints, as it does for GET /containers/json (with the
// parameters quiet and notrunc beside Docker's).
type Properties struct {
	Container  string // id
	Name       string
	State      string
	Isolation  string // process, pid
	Session    uint32
	At         time.Time
	Inside     string `json:",omitempty"` // why nothing was read inside
	Truncated  bool   `json:",omitempty"` // there is more than is listed
	Usage      Usage
	Properties []Property
	Processes  []ProcessView
	Ports      []PortView
	Users      []UserView
	Layers     []Layer
	Disk       *Disk `json:",omitempty"`
}

// Usage is what a container uses, and what it may use at most; a limit of 0 is
// none. A container that does not run uses nothing.
type Usage struct {
	CPU            int64   // milliseconds of processor time so far
	CPULimit       float64 // processors
	Memory         int64   // bytes
	MemoryLimit    int64
	Processes      int
	ProcessLimit   int64
	HostMemory     int64 // bytes
	HostProcessors int
}

// Property is one observable fact, seen from inside and from the host.
type Property struct {
	Name    string
	Group   string // system, network, processes, services, ports, users, disk, limits, security
	Title   string
	Belongs string // container, host, both
	Want    Answer // what a container that is in order answers
	Answer  Answer
	Inside  string
	Outside string
	Detail  string   `json:",omitempty"` // why it differs, or could not be told
	Seed    []string `json:",omitempty"` // of the numbered properties that Silo keeps: S1 to S29
}

// ProcessView is one process from both sides. A number is 0, and a text
// empty, on the side that does not see it.
type ProcessView struct {
	PID, PIDInside       int
	Parent, ParentInside int
	Session              uint32 // as the host sees it
	SessionInside        uint32
	UID                  uint32 // on the host
	UIDInside            uint32
	User                 string // name of the host's account, "" for none
	UserInside           string // name of the container's account
	Name, NameInside     string
	Executable           string // as the kernel tells the host
	ExecutableInside     string
	Args                 []string
	State                string // one letter, see proc(5)
	Threads              int
	Memory               int64 // bytes, resident
	CPU                  int64 // milliseconds of processor time so far
	Terminal             bool
	Answer               Answer
	Detail               string `json:",omitempty"`
}

// PortView is a socket that waits for clients, from both sides.
type PortView struct {
	Protocol  string
	Address   string
	Port      uint16
	PID       int      // on the host; 0 if it was not found
	PIDInside int      // as the container sees it
	Process   string   // its name on the host
	Reach     []string // who can connect: itself, host, network, outside by ADDRESS:PORT
	Answer    Answer
	Detail    string `json:",omitempty"`
}

// UserView is an account of the container.
type UserView struct {
	Name      string
	UID       uint32 // inside
	Outside   int64  // the id on the host; -1 if it has none
	Account   string // the host's account of that id, "" for none
	Home      string
	Shell     string
	Processes int // how many run as it
	Answer    Answer
	Detail    string `json:",omitempty"`
}

// Layer is one step of the container's file system, nearest first.
type Layer struct {
	Path string // folder on the host
	Size int64  // bytes on the host
	Base bool   `json:",omitempty"` // all layers of the image as one
}

// SessionDetail is the answer to GET /silo/sessions/{number}.
type SessionDetail struct {
	Session
	List []ProcessView
}

// SessionRecord is one line of what is known of a session: from the host's
// audit log, or from silod's own log of events.
type SessionRecord struct {
	At     time.Time
	Source string // audit, silo
	Type   string // an audit record's type, or an event's
	Text   string
}

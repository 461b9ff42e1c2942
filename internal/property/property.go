// Package property declares what can be observed of a container: one table
// says of each property how it is read inside, how outside, to whom it belongs
// and what is expected. It compares two views that others have read (package
// facts inside, silod outside) and reads nothing itself.
//
// The two views are not equals. The outside is read from the kernel and from
// Silo's own records; the inside is the word of a container that may lie. So a
// difference is shown as one, with the outside as what is so.
package property

import (
	"fmt"
	"strings"

	"silo/api"
	"silo/internal/facts"
)

// Outside is a container as the host sees it.
type Outside struct {
	facts.Facts // of its namespaces, root folder and processes
	// Earlier is what Processes was before the inside was read: a container
	// does not stand still for it.
	Earlier     []facts.Process
	Since       int64        // ticks since the machine was started, before Earlier was read
	Ended       map[int]bool // processes that only the inside names and that are no more
	Running     bool
	Paused      bool
	PIDs        bool   // isolation pid: numbers inside are its own
	HostPIDs    bool   // the inside is shown all the host's processes
	Main        int    // process of its command on the host
	Agent       int    // process of its agent, which is none of the container's
	Session     uint32 // 0: the kernel has none
	Hostname    string // of the record
	Args        []string
	Terminal    bool
	User        string // of the record, as the image's accounts name it
	FirstID     uint32
	IDs         uint32
	Network     string // mode: nat, none, host, container:…
	IP, MAC     string // of the record
	Gateway     string // of the switch
	Subnet      string
	Published   []Published
	HostSession int // processes of session 0 on the host
	Chain       []api.Layer
	Disk        api.Disk
	Removed     bool // when it ends (--rm)
	Cgroup      string
	CPU         int64 // milliseconds so far
	Memory      int64 // bytes in use
	Limits      facts.Limits
	SetMemory   int64 // what was asked for; 0 is no limit
	SetCPUs     float64
	SetPids     int64
	AgentTasks  int64               // what the agent takes of the limit of processes
	Account     func(uint32) string // name of the host's account of an id, "" for none
	ServicesWhy string              // why Services could not be asked for
}

// Number is the number that a process of the host has inside.
func (o *Outside) Number(p *facts.Process) int {
	if o.PIDs {
		return p.Inner
	}
	return p.PID
}

// Owns tells whether a process of the host belongs to the container, by what no
// process can change of itself: its session, or else the range of its user.
func (o *Outside) Owns(p *facts.Process) bool {
	if o.Session != 0 {
		return p.Session == o.Session
	}
	return p.UID >= o.FirstID && p.UID-o.FirstID < o.IDs
}

// Live tells whether there are processes, frozen or not.
func (o *Outside) Live() bool { return o.Running || o.Paused }

// Published is a port that is open to the outside.
type Published struct {
	Protocol, HostIP        string
	HostPort, ContainerPort uint16
}

// view is both sides.
type view struct {
	in  *facts.Facts // nil if nothing was read
	why string       // then why
	out *Outside
	// matched gives each process of the host its process inside.
	matched []pair
}

// value is one side of a property: a text, or why there is none.
type value struct {
	text    string
	problem string
	none    bool // this side can never know it
}

// say is a value that was read; nothing at all means that the thing is not
// there.
func say(format string, args ...any) value { return value{text: fmt.Sprintf(format, args...)} }

// unknown is a value that could not be read.
func unknown(why string) value { return value{problem: why} }

// onlyOther is the side that cannot know a property.
var onlyOther = value{none: true}

// entry is one property.
type entry struct {
	name, group, title string
	belongs            string // container, host, both
	want               api.Answer
	wantPID            api.Answer // with isolation pid, if another
	inside, outside    string     // how each side is read, for people
	in, out            func(*view) value
	seed               []string
	record             func(*Outside) string // what is known of a container that does not run
	unsure             func(*view) string    // why a difference proves nothing; "" if it does
	note               func(*view) string    // said in any case
}

// Owners of a property.
const (
	ofContainer = "container"
	ofHost      = "host"
	ofBoth      = "both"
)

// Evaluate compares the two views. in is nil, and why says why, if nothing
// was read inside.
func Evaluate(in *facts.Facts, why string, out *Outside) api.Properties {
	v := &view{in: in, why: why, out: out}
	v.match()
	p := api.Properties{Inside: why, Session: out.Session, Truncated: out.Truncated || in != nil && in.Truncated}
	p.Usage = api.Usage{
		CPU: out.CPU, CPULimit: out.SetCPUs, Memory: out.Memory, MemoryLimit: out.SetMemory, Processes: len(out.Processes), ProcessLimit: out.SetPids,
		HostMemory: out.System.Memory, HostProcessors: out.System.Processors,
	}
	p.Processes = v.processes()
	p.Ports = v.ports()
	p.Users = v.users(p.Processes)
	p.Layers = out.Chain
	disk := out.Disk
	if disk.Path != "" {
		p.Disk = &disk
	}
	for i := range table {
		p.Properties = append(p.Properties, v.property(&table[i]))
	}
	return p
}

// property evaluates one line of the table.
func (v *view) property(e *entry) api.Property {
	a, b := v.side(e.in, true), v.side(e.out, false)
	p := api.Property{Name: e.name, Group: e.group, Title: e.title, Belongs: e.belongs, Want: e.want, Seed: e.seed, Inside: a.text, Outside: b.text}
	if v.out.PIDs && e.wantPID != "" {
		p.Want = e.wantPID
	}
	if e.record != nil && !v.out.Live() {
		p.Outside = e.record(v.out)
	}
	switch {
	case a.none || b.none:
		p.Answer = api.NotSupported
		p.Detail = "only the host can know it"
		if b.none {
			p.Detail = "only the container can know it"
		}
		if a.problem+b.problem != "" {
			p.Answer, p.Detail = api.CouldNotTell, a.problem+b.problem
		}
	case a.problem != "" || b.problem != "":
		p.Answer = api.CouldNotTell
		if v.in == nil { // said once for all
			a.problem = ""
		}
		if b.problem == v.why {
			b.problem = ""
		}
		p.Detail = strings.TrimSpace(join("inside: ", a.problem) + join("outside: ", b.problem))
	case a.text == "" && b.text == "":
		p.Answer, p.Detail = api.NotSupported, "not there on this host"
	case a.text == b.text:
		p.Answer = api.Same
	default:
		p.Answer = api.Differs
		if e.unsure != nil {
			if why := e.unsure(v); why != "" {
				p.Answer, p.Detail = api.CouldNotTell, why
			}
		}
	}
	if e.note != nil {
		if n := e.note(v); n != "" {
			p.Detail = n
		}
	}
	return p
}

func join(side, text string) string {
	if text == "" {
		return ""
	}
	return side + text + " "
}

// side reads one side; one that cannot be read at all has one reason for all.
func (v *view) side(read func(*view) value, inside bool) value {
	if read == nil {
		return onlyOther
	}
	if inside && v.in == nil {
		return unknown(v.why)
	}
	return read(v)
}

// Entry is a line of the table as documents show it.
type Entry struct {
	Name, Group, Title, Belongs string
	Want                        api.Answer
	Inside, Outside             string
	Seed                        []string
}

// Table lists every property in the order in which it is shown.
func Table() []Entry {
	out := make([]Entry, len(table))
	for i, e := range table {
		out[i] = Entry{e.name, e.group, e.title, e.belongs, e.want, e.inside, e.outside, e.seed}
	}
	return out
}

// Groups lists the groups in the order of the table.
func Groups() (out []string) {
	for i := range table {
		if i == 0 || table[i].group != table[i-1].group {
			out = append(out, table[i].group)
		}
	}
	return out
}

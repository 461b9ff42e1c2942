// Package facts reads what can be observed of a container: its names, its
// network, processes, listening ports, accounts, limits. The same code reads
// it from inside, as a program that the agent executes among the container's
// processes (see Main), and from outside, as silod looks at the container from
// the host. It compares nothing: that is package property's.
//
// What comes from inside is the word of a hostile process: Parse bounds it and
// takes nothing that is not of the expected form.
package facts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// Version is the form of Facts; another one is refused.
const Version = 1

// Bounds of what is read, and of what is accepted from inside.
const (
	MaxProcesses = 4096
	MaxPorts     = 4096
	MaxUsers     = 1024
	MaxServices  = 1024
	MaxText      = 4096     // bytes of one text
	MaxDocument  = 4 << 20  // bytes of all
	maxFile      = 1 << 20  // bytes of a text file of the image
	maxProcFile  = 64 << 10 // bytes of a file of one process
)

// Facts is everything that one look gives. What could not be read is missing
// and has an entry in Problems.
type Facts struct {
	Version   int
	Self      int // process number of the reader; 0 from outside
	System    System
	Network   Network
	Processes []Process
	Ports     []Port
	Users     []User
	Services  []Service
	Disk      Disk
	Limits    Limits
	Problems  map[string]string `json:",omitempty"` // part → why it could not be read
	Truncated bool              `json:",omitempty"` // there is more than the bounds allow
}

// System is what a program learns of the machine it runs on.
type System struct {
	Hostname     string // of the kernel: uname(2)
	HostnameFile string // what /etc/hostname says
	OS, Release  string // name and version of os-release(5)
	Language     string // LC_ALL or LANG
	TimeZone     string
	Kernel       string // release
	Machine      string // architecture
	Boot         int64  // seconds since 1970
	Processors   int
	Model        string // of the first processor
	Memory       int64  // bytes, physical
	Firmware     string // vendor, version and date of the BIOS, if the kernel tells
}

// Network is what a network namespace holds.
type Network struct {
	Links       []Link
	Gateway     string // of the default route over IPv4
	Nameservers []string
	Connections int // established TCP connections
}

// Link is one network interface.
type Link struct {
	Name, MAC string
	MTU       int
	Up        bool
	Addresses []string // with the prefix length
}

// Process is one process under the number that the reader sees. Texts are
// escaped, see Text.
type Process struct {
	PID, Parent int
	Inner       int    `json:",omitempty"` // number in its own PID namespace, from outside only
	Session     uint32 // audit session; 0 is none
	Name        string // the name the process goes by
	Args        []string
	Executable  string
	UID, GID    uint32
	State       string // one letter, see proc(5)
	Threads     int
	Memory      int64  // bytes, resident
	CPU         int64  // milliseconds of processor time
	Start       int64  // ticks since the machine was started
	Terminal    bool   // it has a controlling terminal
	CapBounding string // hexadecimal
	Seccomp     string // 0 none, 1 strict, 2 filter
	NoNewPrivs  string // 0 or 1
}

// Port is a socket that waits for clients.
type Port struct {
	Protocol string // tcp, tcp6, udp, udp6
	Address  string
	Port     uint16
	UID      uint32 // who opened it
	PID      int    `json:",omitempty"` // 0: not found
}

// User is one account of passwd(5).
type User struct {
	Name        string
	UID, GID    uint32
	Home, Shell string
}

// Service is one that the agent supervises.
type Service struct {
	Name   string
	Status string // running, stopped, starting, stopping, failed, exited
}

// Disk is the file system of the root folder.
type Disk struct {
	Size, Free int64 // bytes
	ReadOnly   bool
}

// Limits are what a program can learn of its own limits; 0 is none.
type Limits struct {
	Memory     int64   // bytes
	CPUs       float64 // of the quota
	CPUSet     string
	Usable     int // processors that the scheduler may use, 0 from outside
	Processes  int64
	OpenFiles  string // soft:hard
	UserIDs    string // uid_map of the reader: inside outside count
	Namespaces map[string]string
}

// Parse reads the document of a reader, which may lie in any way but this: it
// is bounded, of the known form, and without characters that would do
// something to a terminal.
func Parse(r io.Reader) (*Facts, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxDocument {
		return nil, fmt.Errorf("facts from inside: more than %d bytes", MaxDocument)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var f Facts
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("facts from inside: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("facts from inside: more than one document")
	}
	return &f, f.check()
}

// check refuses what a reader would never write.
func (f *Facts) check() error {
	switch {
	case f.Version != Version:
		return fmt.Errorf("facts from inside: version %d, want %d", f.Version, Version)
	case len(f.Processes) > MaxProcesses, len(f.Ports) > MaxPorts, len(f.Users) > MaxUsers, len(f.Services) > MaxServices, len(f.Problems) > 64,
		len(f.Network.Links) > 64, len(f.Network.Nameservers) > 16, len(f.Limits.Namespaces) > 16:
		return fmt.Errorf("facts from inside: a list is longer than it may be")
	case f.System.Memory < 0, f.Disk.Size < 0, f.Limits.Memory < 0:
		return fmt.Errorf("facts from inside: a size is negative")
	}
	seen := map[int]bool{}
	for _, p := range f.Processes {
		if p.PID < 1 || seen[p.PID] {
			return fmt.Errorf("facts from inside: process %d is there twice or is none", p.PID)
		}
		seen[p.PID] = true
	}
	return f.checkTexts()
}

// checkTexts looks at every text of the document.
func (f *Facts) checkTexts() error {
	s := &f.System
	list := []string{s.Hostname, s.HostnameFile, s.OS, s.Release, s.Language, s.TimeZone, s.Kernel, s.Machine, s.Model, s.Firmware, f.Network.Gateway, f.Limits.CPUSet, f.Limits.OpenFiles, f.Limits.UserIDs}
	list = append(list, f.Network.Nameservers...)
	for _, l := range f.Network.Links {
		list = append(append(list, l.Name, l.MAC), l.Addresses...)
	}
	for _, p := range f.Processes {
		list = append(append(list, p.Name, p.Executable, p.State, p.CapBounding, p.Seccomp, p.NoNewPrivs), p.Args...)
	}
	for _, p := range f.Ports {
		list = append(list, p.Protocol, p.Address)
	}
	for _, u := range f.Users {
		list = append(list, u.Name, u.Home, u.Shell)
	}
	for _, s := range f.Services {
		list = append(list, s.Name, s.Status)
	}
	for _, m := range []map[string]string{f.Problems, f.Limits.Namespaces} {
		for k, v := range m {
			list = append(list, k, v)
		}
	}
	for _, text := range list {
		if len(text) > 4*MaxText { // escapes make a text longer
			return fmt.Errorf("facts from inside: a text of %d bytes", len(text))
		}
		if Text(text) != text {
			return fmt.Errorf("facts from inside: %q has characters that are not for display", text[:min(len(text), 40)])
		}
	}
	return nil
}

const hexDigits = "0123456789abcdef"

// Text makes bytes from anywhere fit for a terminal and for JSON: what is no
// UTF-8, or would not be seen as itself, becomes \xNN or \u{N}. It is cut at
// MaxText bytes. Both sides write texts so, and so can be compared.
func Text(s string) string {
	s = s[:min(len(s), 4*MaxText)]
	clean := true
	for i, r := range s {
		if r == utf8.RuneError && !validAt(s, i) || !shown(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s) && len(out) < MaxText; {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, n == 1 && !shown(r):
			out = append(out, '\\', 'x', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		case !shown(r):
			out = fmt.Appendf(out, "\\u{%x}", r)
		default:
			out = append(out, s[i:i+n]...)
		}
		i += n
	}
	return string(out)
}

// validAt tells whether a replacement character stands in s itself.
func validAt(s string, i int) bool {
	_, n := utf8.DecodeRuneInString(s[i:])
	return n > 1
}

// shown tells whether a character is seen as itself and moves nothing.
func shown(r rune) bool { return r == ' ' || unicode.IsPrint(r) }

package property

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"silo/api"
	"silo/internal/facts"
)

// pair is one process from both sides; a side that does not see it is nil.
type pair struct {
	in, out *facts.Process
	earlier *facts.Process // as the host saw it before the inside was read
}

// match finds for each process of the host the one inside that has its
// number, or its inner number where numbers are the container's own.
func (v *view) match() {
	inside := map[int]*facts.Process{}
	if v.in != nil {
		for i := range v.in.Processes {
			inside[v.in.Processes[i].PID] = &v.in.Processes[i]
		}
	}
	number := v.out.Number
	earlier := map[int]*facts.Process{}
	for i := range v.out.Earlier {
		earlier[v.out.Earlier[i].PID] = &v.out.Earlier[i]
	}
	for i := range v.out.Processes {
		p := &v.out.Processes[i]
		v.matched = append(v.matched, pair{inside[number(p)], p, earlier[p.PID]})
		delete(inside, number(p))
		delete(earlier, p.PID)
	}
	for _, p := range earlier { // ended meanwhile
		delete(inside, number(p))
	}
	if !v.out.PIDs { // the reader may look at other users' processes, and so at the agent
		delete(inside, v.out.Agent)
	}
	var rest []*facts.Process
	for _, p := range inside {
		rest = append(rest, p)
	}
	sort.Slice(rest, func(i, j int) bool { return rest[i].PID < rest[j].PID })
	if v.out.HostPIDs { // they are the host's, as was asked for
		rest = nil
	}
	for _, p := range rest {
		v.matched = append(v.matched, pair{in: p})
	}
}

// unlike counts processes that the two sides do not see alike.
func (v *view) unlike() (n int) {
	for _, m := range v.matched {
		if a, _ := v.compare(m); a == api.Differs {
			n++
		}
	}
	return n
}

// compare answers for one process.
func (v *view) compare(m pair) (api.Answer, string) {
	switch {
	case m.out == nil && v.out.Ended[m.in.PID] && (m.in.Start >= v.out.Since || m.in.State == "Z"):
		return api.CouldNotTell, "it began and ended between the host's two looks"
	case m.out == nil:
		return api.Differs, "the host sees no such process in the container"
	case v.in == nil:
		return api.CouldNotTell, v.why
	case m.in == nil && m.earlier == nil:
		return api.CouldNotTell, "it began while the inside was read"
	case m.in == nil:
		return api.Differs, "it is not to be seen inside"
	}
	var list []string
	differs := func(what string, get func(*facts.Process) any) {
		in, out := get(m.in), get(m.out)
		if in != out && (m.earlier == nil || in != get(m.earlier)) {
			list = append(list, fmt.Sprintf("%s is %v inside, %v outside", what, in, out))
		}
	}
	differs("executable", func(p *facts.Process) any { return p.Executable })
	differs("name", func(p *facts.Process) any { return p.Name })
	differs("session", func(p *facts.Process) any { return p.Session })
	if !v.out.PIDs {
		differs("parent", func(p *facts.Process) any { return p.Parent })
	}
	if want := int64(m.out.UID) - int64(v.out.FirstID); want >= 0 && want < int64(v.out.IDs) {
		if int64(m.in.UID) != want {
			list = append(list, fmt.Sprintf("user id is %d inside, %d by its id map", m.in.UID, want))
		}
	} else {
		list = append(list, fmt.Sprintf("user %d of the host is none of the container's", m.out.UID))
	}
	if !named(m.out) {
		list = append(list, fmt.Sprintf("it calls itself %s, the kernel has it as %s", m.out.Name, m.out.Executable))
	}
	if len(list) > 0 {
		return api.Differs, strings.Join(list, "; ")
	}
	return api.Same, ""
}

// named tells whether a process goes by the name of its program, of what it
// was called as, or of the script it runs: the kernel names it so when it is
// executed, and only the process itself can change it.
func named(p *facts.Process) bool {
	const most = 15 // bytes that the kernel keeps of a name
	candidates := []string{strings.TrimSuffix(p.Executable, " (deleted)")}
	candidates = append(candidates, p.Args[:min(len(p.Args), 3)]...)
	if p.Executable == "" { // it has ended and waits for its parent
		return true
	}
	for _, c := range candidates {
		base := strings.TrimPrefix(path.Base(c), "-") // a login shell
		if base == p.Name || len(base) > most && base[:most] == p.Name {
			return true
		}
	}
	return false
}

func (v *view) processes() []api.ProcessView {
	out := make([]api.ProcessView, 0, len(v.matched))
	for _, m := range v.matched {
		var p api.ProcessView
		if o := m.out; o != nil {
			p = HostProcess(o, v.out.Account)
		}
		if i := m.in; i != nil {
			p.PIDInside, p.ParentInside, p.SessionInside, p.UIDInside = i.PID, i.Parent, i.Session, i.UID
			p.NameInside, p.ExecutableInside = i.Name, i.Executable
			p.UserInside = nameOf(v.in.Users, i.UID)
			if m.out == nil {
				p.Args, p.State = i.Args, i.State
			}
		}
		p.Answer, p.Detail = v.compare(m)
		out = append(out, p)
	}
	return out
}

// HostProcess is a process as only the host sees it.
func HostProcess(o *facts.Process, account func(uint32) string) api.ProcessView {
	return api.ProcessView{
		PID: o.PID, Parent: o.Parent, Session: o.Session, UID: o.UID, User: account(o.UID), Name: o.Name, Executable: o.Executable, Args: o.Args,
		State: o.State, Threads: o.Threads, Memory: o.Memory, CPU: o.CPU, Terminal: o.Terminal, PIDInside: o.Inner, Answer: api.NotSupported,
	}
}

func sortedPorts(list []facts.Port) []facts.Port {
	out := slices.Clone(list)
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Port != out[j].Port {
			return out[i].Port < out[j].Port
		}
		return out[i].Protocol+out[i].Address < out[j].Protocol+out[j].Address
	})
	return out
}

func portKey(p facts.Port) string { return fmt.Sprintf("%s %s %d", p.Protocol, p.Address, p.Port) }

func (v *view) ports() []api.PortView {
	inside := map[string]facts.Port{}
	if v.in != nil {
		for _, p := range v.in.Ports {
			inside[portKey(p)] = p
		}
	}
	names, inner := map[int]string{}, map[int]int{}
	for _, p := range v.out.Processes {
		names[p.PID], inner[p.PID] = p.Name, p.PID
		if v.out.PIDs {
			inner[p.PID] = p.Inner
		}
	}
	out := []api.PortView{}
	for _, p := range sortedPorts(v.out.Ports) {
		x := api.PortView{Protocol: p.Protocol, Address: p.Address, Port: p.Port, PID: p.PID, Process: names[p.PID], Reach: v.reach(p), Answer: api.Same}
		in, ok := inside[portKey(p)]
		delete(inside, portKey(p))
		x.PIDInside = in.PID
		switch {
		case v.in == nil:
			x.Answer, x.Detail = api.CouldNotTell, v.why
		case !ok:
			x.Answer, x.Detail = api.Differs, "it is not to be seen inside"
		case in.PID != 0 && p.PID != 0 && in.PID != inner[p.PID]:
			x.Answer, x.Detail = api.Differs, fmt.Sprintf("process %d inside, %d outside", in.PID, inner[p.PID])
		}
		out = append(out, x)
	}
	var rest []facts.Port
	for _, p := range inside {
		rest = append(rest, p)
	}
	for _, p := range sortedPorts(rest) {
		out = append(out, api.PortView{Protocol: p.Protocol, Address: p.Address, Port: p.Port, PIDInside: p.PID, Reach: []string{}, Answer: api.Differs, Detail: "the host sees nobody who listens there"})
	}
	return out
}

// reach tells who can connect to a port.
func (v *view) reach(p facts.Port) []string {
	o := v.out
	if strings.HasPrefix(p.Address, "127.") || p.Address == "::1" {
		if o.Network == "host" {
			return []string{"host"}
		}
		return []string{"itself"}
	}
	switch {
	case o.Network == "host":
		return []string{"host", "outside"}
	case o.Network == "none":
		return []string{"itself"}
	}
	out := []string{"host", "network"}
	for _, pub := range o.Published {
		if pub.ContainerPort == p.Port && pub.Protocol == strings.TrimSuffix(p.Protocol, "6") {
			out = append(out, fmt.Sprintf("outside by %s:%d", pub.HostIP, pub.HostPort))
		}
	}
	return out
}

func (v *view) users(processes []api.ProcessView) []api.UserView {
	count := map[uint32]int{}
	for _, p := range processes {
		if p.PID != 0 {
			count[p.UID]++
		}
	}
	list, other := v.out.Users, map[string]facts.User{}
	if v.in != nil {
		for _, u := range v.in.Users {
			other[u.Name] = u
		}
	}
	out := []api.UserView{}
	for _, u := range list {
		x := v.user(u, count)
		in, ok := other[u.Name]
		delete(other, u.Name)
		switch {
		case v.in == nil:
			x.Answer, x.Detail = api.CouldNotTell, v.why
		case !ok || in != u:
			x.Answer, x.Detail = api.Differs, "its entry inside is another"
		}
		out = append(out, x)
	}
	if v.in == nil {
		return out
	}
	for _, u := range v.in.Users {
		if _, left := other[u.Name]; left {
			delete(other, u.Name)
			x := v.user(u, count)
			x.Answer, x.Detail = api.Differs, "the host finds no such account in its root folder"
			out = append(out, x)
		}
	}
	return out
}

func (v *view) user(u facts.User, count map[uint32]int) api.UserView {
	x := api.UserView{Name: u.Name, UID: u.UID, Outside: -1, Home: u.Home, Shell: u.Shell, Answer: api.Same}
	if u.UID < v.out.IDs {
		id := v.out.FirstID + u.UID
		x.Outside, x.Account, x.Processes = int64(id), v.out.Account(id), count[id]
	}
	return x
}

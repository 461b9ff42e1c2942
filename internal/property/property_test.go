package property

import (
	"fmt"
	"slices"
	"testing"

	"silo/api"
	"silo/internal/facts"
)

// TestSeed: every numbered property of the seed is in the table, and every
// line of it says how it is read.
func TestSeed(t *testing.T) {
	have := map[string]bool{}
	names := map[string]bool{}
	for _, e := range Table() {
		for _, s := range e.Seed {
			have[s] = true
		}
		if names[e.Name] || e.Title == "" || e.Outside == "" || !slices.Contains([]string{ofContainer, ofHost, ofBoth}, e.Belongs) {
			t.Errorf("property %q is declared twice or not in full: %+v", e.Name, e)
		}
		if (e.Inside == "") != (e.Want == api.NotSupported) {
			t.Errorf("property %q is read inside by %q and wants %q", e.Name, e.Inside, e.Want)
		}
		names[e.Name] = true
	}
	for n := 1; n <= 29; n++ {
		if s := fmt.Sprintf("S%d", n); !have[s] {
			t.Errorf("no property shows %s", s)
		}
	}
	if want := []string{"system", "network", "processes", "services", "ports", "users", "disk", "limits", "security"}; !slices.Equal(Groups(), want) {
		t.Errorf("groups %v, want %v", Groups(), want)
	}
}

// scene is a container with two processes that tells the truth.
func scene() (*facts.Facts, *Outside) {
	process := func(pid, parent int, uid uint32) facts.Process {
		return facts.Process{
			PID: pid, Parent: parent, Session: 7, Name: "box", Args: []string{"box"}, Executable: "/bin/box", UID: uid,
			CapBounding: "ff", Seccomp: "2", NoNewPrivs: "0", State: "S", Threads: 1,
		}
	}
	f := func() facts.Facts {
		return facts.Facts{
			Version: facts.Version,
			System:  facts.System{Hostname: "web", HostnameFile: "web", OS: "Core", Kernel: "6.18", Machine: "x86_64", Processors: 2, Memory: 1 << 30, Boot: 1000, TimeZone: "UTC", Language: "C"},
			Network: facts.Network{Gateway: "10.0.0.1", Links: []facts.Link{{Name: "lo"}, {Name: "eth0", MAC: "02:00", MTU: 1500, Up: true, Addresses: []string{"10.0.0.2/20"}}}},
			Ports:   []facts.Port{{Protocol: "tcp", Address: "0.0.0.0", Port: 80, PID: 101}, {Protocol: "tcp", Address: "127.0.0.1", Port: 81}},
			Users:   []facts.User{{Name: "root"}, {Name: "app", UID: 1000}, {Name: "far", UID: 70000}},
			Disk:    facts.Disk{Size: 1 << 34},
			Limits:  facts.Limits{Memory: 1 << 28, UserIDs: "0 100000 65536", Namespaces: map[string]string{"net": "net:[1]"}},
		}
	}
	in := f()
	in.Processes = []facts.Process{process(100, 99, 0), process(101, 100, 1000)}
	out := &Outside{
		Facts: f(), Running: true, Main: 100, Agent: 99, Session: 7, Hostname: "web", FirstID: 100000, IDs: 65536, Network: "nat", IP: "10.0.0.2", MAC: "02:00", Gateway: "10.0.0.1",
		Published: []Published{{"tcp", "0.0.0.0", 8080, 80}}, HostSession: 120, Chain: []api.Layer{{Path: "/layers/a"}}, Disk: api.Disk{Path: "/d/sandbox.vhdx", Size: 1 << 34},
		Limits: facts.Limits{Memory: 1 << 28, Namespaces: map[string]string{"net": "net:[1]"}}, Account: func(uid uint32) string { return map[uint32]string{0: "root"}[uid] },
	}
	out.Processes = []facts.Process{process(100, 99, 100000), process(101, 100, 101000)}
	out.Earlier = slices.Clone(out.Processes)
	return &in, out
}

func find(t *testing.T, p api.Properties, name string) api.Property {
	t.Helper()
	for _, x := range p.Properties {
		if x.Name == name {
			return x
		}
	}
	t.Fatalf("no property %q", name)
	return api.Property{}
}

func TestTruth(t *testing.T) {
	in, out := scene()
	p := Evaluate(in, "", out)
	for _, x := range p.Properties {
		if x.Answer != x.Want && x.Name != "firmware" && x.Name != "services" && x.Name != "connections" && x.Name != "dns" && x.Name != "cpuset" {
			t.Errorf("%s: %s (%q inside, %q outside, %s), want %s", x.Name, x.Answer, x.Inside, x.Outside, x.Detail, x.Want)
		}
	}
	for _, x := range p.Processes {
		if x.Answer != api.Same || x.PIDInside != x.PID {
			t.Errorf("process %d: %s %s", x.PID, x.Answer, x.Detail)
		}
	}
	if got := p.Ports[0].Reach; !slices.Equal(got, []string{"host", "network", "outside by 0.0.0.0:8080"}) {
		t.Errorf("port 80 can be reached by %v", got)
	}
	if got := p.Ports[1].Reach; !slices.Equal(got, []string{"itself"}) {
		t.Errorf("a port of the loopback can be reached by %v", got)
	}
	if u := p.Users[1]; u.Outside != 101000 || u.Processes != 1 || u.Account != "" {
		t.Errorf("user app: %+v, want id 101000 outside, one process, no account", u)
	}
	if u := p.Users[2]; u.Outside != -1 {
		t.Errorf("user far: %+v, want no id outside", u)
	}
}

// TestLies: each is shown as a difference, and the host's view stands.
func TestLies(t *testing.T) {
	differs := func(name string) func(api.Properties) string {
		return func(p api.Properties) string {
			if x := find(t, p, name); x.Answer != api.Differs {
				return fmt.Sprintf("%s: %s", name, x.Answer)
			}
			return ""
		}
	}
	process := func(pid int) func(api.Properties) string {
		return func(p api.Properties) string {
			for _, x := range p.Processes {
				if (x.PID == pid || x.PIDInside == pid) && x.Answer == api.Differs && x.Detail != "" {
					return ""
				}
			}
			return fmt.Sprintf("process %d is not shown as different: %+v", pid, p.Processes)
		}
	}
	for name, c := range map[string]struct {
		lie  func(*facts.Facts, *Outside)
		want func(api.Properties) string
	}{
		"host name":      {func(f *facts.Facts, _ *Outside) { f.System.Hostname = "bank" }, differs("hostname")},
		"/etc/hostname":  {func(f *facts.Facts, _ *Outside) { f.System.HostnameFile = "bank" }, differs("hostname-file")},
		"kernel":         {func(f *facts.Facts, _ *Outside) { f.System.Kernel = "7.0" }, differs("kernel")},
		"memory":         {func(f *facts.Facts, _ *Outside) { f.System.Memory = 1 }, differs("memory")},
		"accounts":       {func(f *facts.Facts, _ *Outside) { f.Users = f.Users[:1] }, differs("accounts")},
		"limit":          {func(f *facts.Facts, _ *Outside) { f.Limits.Memory = 0 }, differs("memory-limit")},
		"hidden process": {func(f *facts.Facts, _ *Outside) { f.Processes = f.Processes[:1] }, process(101)},
		"count of them":  {func(f *facts.Facts, _ *Outside) { f.Processes = f.Processes[:1] }, differs("processes")},
		"invented process": {func(f *facts.Facts, _ *Outside) {
			f.Processes = append(f.Processes, facts.Process{PID: 500, Name: "x"})
		}, process(500)},
		"executable":        {func(f *facts.Facts, _ *Outside) { f.Processes[1].Executable = "/sbin/init" }, process(101)},
		"name":              {func(f *facts.Facts, _ *Outside) { f.Processes[1].Name = "init" }, process(101)},
		"user":              {func(f *facts.Facts, _ *Outside) { f.Processes[1].UID = 0 }, process(101)},
		"session":           {func(f *facts.Facts, _ *Outside) { f.Processes[1].Session = 9 }, process(101)},
		"renamed by itself": {func(f *facts.Facts, o *Outside) { f.Processes[1].Name, o.Processes[1].Name = "kworker/0", "kworker/0" }, process(101)},
		"an id of the host": {func(_ *facts.Facts, o *Outside) { o.Processes[1].UID = 0 }, process(101)},
		"hidden port":       {func(f *facts.Facts, _ *Outside) { f.Ports = nil }, differs("listening")},
		"the agent as theirs": {func(f *facts.Facts, _ *Outside) { f.Processes = append(f.Processes, facts.Process{PID: 99, Name: "x"}) }, func(p api.Properties) string {
			if len(p.Processes) != 2 {
				return fmt.Sprintf("%d processes, want 2: the agent is none of the container's", len(p.Processes))
			}
			return ""
		}},
	} {
		in, out := scene()
		c.lie(in, out)
		if wrong := c.want(Evaluate(in, "", out)); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

// TestMeanwhile: a container does not stand still while it is read.
func TestMeanwhile(t *testing.T) {
	in, out := scene()
	in.Processes = append(in.Processes, facts.Process{PID: 200, Name: "gone"})
	out.Earlier = append(out.Earlier, facts.Process{PID: 200, Name: "gone"})
	out.Processes = append(out.Processes, facts.Process{PID: 300, Name: "new", UID: 100000})
	out.Processes[1].Executable = "/bin/other" // executed another program, then
	out.Processes[1].Name = "other"
	out.Processes[1].Args = []string{"other"}
	p := Evaluate(in, "", out)
	if x := find(t, p, "processes"); x.Answer != api.CouldNotTell || x.Detail == "" {
		t.Errorf("how many there are: %s, %s", x.Answer, x.Detail)
	}
	if n := len(p.Processes); n != 3 {
		t.Fatalf("%d processes, want 3: %+v", n, p.Processes)
	}
	if p.Processes[1].Answer != api.Same || p.Processes[2].Answer != api.CouldNotTell {
		t.Errorf("answers %q and %q", p.Processes[1].Answer, p.Processes[2].Answer)
	}
}

// TestIsolationPID matches by the number that the kernel tells.
func TestIsolationPID(t *testing.T) {
	in, out := scene()
	out.PIDs = true
	in.Processes[0].PID, in.Processes[1].PID = 1, 2
	in.Processes[0].Parent, in.Processes[1].Parent = 0, 1
	out.Processes[0].Inner, out.Processes[1].Inner = 1, 2
	out.Earlier = slices.Clone(out.Processes)
	in.Ports[0].PID = 2
	p := Evaluate(in, "", out)
	if x := find(t, p, "number"); x.Answer != api.Differs || x.Want != api.Differs {
		t.Errorf("number: %+v", x)
	}
	for _, x := range p.Processes {
		if x.Answer != api.Same {
			t.Errorf("process %d: %s %s", x.PID, x.Answer, x.Detail)
		}
	}
	if p.Ports[0].Answer != api.Same {
		t.Errorf("port: %+v", p.Ports[0])
	}
}

// TestStopped: nothing is made up for a container that does not run.
func TestStopped(t *testing.T) {
	_, out := scene()
	out.Running, out.Main, out.Processes, out.Ports, out.Earlier = false, 0, nil, nil, nil
	out.Limits = facts.Limits{}
	p := Evaluate(nil, "the container is not running", out)
	for _, x := range p.Properties {
		if x.Answer == api.Same || x.Answer == api.Differs {
			t.Errorf("%s: %s", x.Name, x.Answer)
		}
		if x.Inside != "" {
			t.Errorf("%s: %q inside", x.Name, x.Inside)
		}
	}
	if x := find(t, p, "layers"); x.Outside == "" {
		t.Error("the layers are known, and not shown")
	}
	for name, want := range map[string]string{"hostname": "web", "mac": "02:00", "address": "10.0.0.2", "command": "box -d", "user": "app", "size": "17179869184 bytes of disk"} {
		out.Args, out.User = []string{"box", "-d"}, "app"
		if x := find(t, Evaluate(nil, "the container is not running", out), name); x.Outside != want || x.Answer != api.CouldNotTell {
			t.Errorf("%s: %q, %s; want %q", name, x.Outside, x.Answer, want)
		}
	}
}

package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/term"

	"silo/api"
)

// lookedAt is a container that hides a process and has a port.
func lookedAt() api.Properties {
	return api.Properties{
		Container: fullID, Name: "web", State: "running", Isolation: "process", Session: 17, At: time.Unix(1700000000, 0),
		Usage: api.Usage{CPU: 1500, Memory: 30 << 20, MemoryLimit: 100 << 20, Processes: 2, ProcessLimit: 50, HostMemory: 1 << 34, HostProcessors: 2},
		Properties: []api.Property{
			{Name: "hostname", Group: "system", Title: "Host name", Belongs: "container", Want: api.Same, Answer: api.Same, Inside: "web", Outside: "web"},
			{Name: "kernel", Group: "system", Title: "Kernel", Belongs: "host", Want: api.Same, Answer: api.Differs, Inside: "7.0", Outside: "6.18"},
			{Name: "user", Group: "users", Title: "User of the command", Belongs: "container", Want: api.Differs, Answer: api.Differs, Inside: "root (0)", Outside: "100000"},
			{Name: "layers", Group: "disk", Title: "Layers", Belongs: "host", Want: api.NotSupported, Answer: api.NotSupported, Outside: "1", Detail: "only the host can know it"},
		},
		Processes: []api.ProcessView{
			{PID: 4711, PIDInside: 4711, Parent: 4700, ParentInside: 4700, Session: 17, SessionInside: 17, UID: 100000, UserInside: "root", Name: "httpd", NameInside: "httpd", Executable: "/bin/httpd", ExecutableInside: "/bin/httpd", State: "S", Memory: 3 << 20, CPU: 1400, Answer: api.Same},
			{PID: 4712, Parent: 4711, Session: 17, UID: 100000, Name: "ghost", Executable: "/tmp/ghost", State: "R", Answer: api.Differs, Detail: "it is not to be seen inside"},
		},
		Ports:  []api.PortView{{Protocol: "tcp", Address: "0.0.0.0", Port: 80, PID: 4711, PIDInside: 4711, Process: "httpd", Reach: []string{"host", "network", "outside by 0.0.0.0:8080"}, Answer: api.Same}},
		Users:  []api.UserView{{Name: "root", Outside: 100000, Home: "/root", Processes: 2, Answer: api.Same}, {Name: "far", UID: 70000, Outside: -1, Answer: api.Same}},
		Layers: []api.Layer{{Path: "/var/lib/silo/layers/a", Size: 303}, {Path: "/var/lib/silo/bases/b/base.erofs", Size: 21 << 20, Base: true}},
		Disk:   &api.Disk{Path: "/var/lib/silo/containers/4c/sandbox.vhdx", Size: 20 << 30, Allocated: 1 << 20, Device: "/dev/loop3", Mounts: []string{"/mnt"}},
	}
}

func lookRoutes() map[string]any {
	stopped := api.Properties{
		Container: fullID, Name: "old", State: "exited", Isolation: "process", Inside: "the container is not running",
		Properties: []api.Property{{Name: "hostname", Group: "system", Title: "Host name", Belongs: "container", Want: api.Same, Answer: api.CouldNotTell}},
	}
	p := lookedAt()
	return map[string]any{
		"GET /silo/properties/web":       p,
		"GET /silo/properties/" + fullID: p,
		"GET /silo/properties/old":       stopped,
		"GET /silo/properties/gone":      failing(404, "No such container: gone"),
		"GET /silo/sessions/17":          api.SessionDetail{Session: api.Session{Number: 17, Container: fullID, Name: "web", IDRange: api.IDRange{First: 100000, Count: 65536}, Processes: 2, CPU: 61500, Memory: 30 << 20}, List: p.Processes},
		"GET /silo/sessions/3":           api.SessionDetail{Session: api.Session{Number: 3, Processes: 1, CPU: 20}, List: []api.ProcessView{{PID: 9, Parent: 1, User: "root", Name: "bash", Executable: "/bin/bash", State: "S"}}},
		"GET /silo/sessions/99":          failing(404, "no session 99: see silo session ls"),
		"GET /silo/sessions/17/log": []api.SessionRecord{
			{At: time.Unix(1700000000, 0), Source: "silo", Type: "start", Text: "container 4cf3fe2a0b81 name=web"},
			{At: time.Unix(1700000001, 500e6), Source: "audit", Type: "USER_AUTH", Text: "pid=1 ses=17"},
		},
		"GET /containers/json": `[{"Id":"` + fullID + `","Names":["/web"]}]`,
	}
}

func TestLook(t *testing.T) {
	f := newFake(t, lookRoutes())
	var all strings.Builder
	for _, line := range []string{
		"properties web", "properties --group ports --group disk web", "properties --diff web", "properties -g network web", "properties -g system --json web",
		"properties old", "properties --diff old", "properties gone", "properties -g nope web", "session show 17", "session show 3", "session show 99", "session show x",
		"session log 17", "session log --format {{.Source}}={{.Type}} 17", "monitor web", "monitor", "monitor gone",
	} {
		r := f.silo("", strings.Split(line, " ")...)
		all.WriteString("$ silo " + line + "\n" + r.out + r.err)
		if r.code != 0 {
			fmt.Fprintf(&all, "exit code %d\n", r.code)
		}
	}
	golden(t, "bothsides", all.String())
}

func TestMonitorNeedsAName(t *testing.T) {
	f := newFake(t, map[string]any{"GET /containers/json": `[{"Id":"a","Names":["/web"]},{"Id":"b","Names":["/job"]}]`})
	if r := f.silo("", "monitor"); r.code != 125 || !strings.Contains(r.err, "name one of web, job") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
	f.on("GET /containers/json", `[]`)
	if r := f.silo("", "monitor"); r.code != 1 || !strings.Contains(r.err, "no container runs") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
}

// TestTools: what is asked of the daemon, and the code that comes back.
func TestTools(t *testing.T) {
	f := newFake(t, map[string]any{
		"POST /silo/tools/web": `{"Id":"e1"}`,
		"POST /silo/tools/old": failing(409, "container old is not running"),
		"POST /exec/e1/start":  hijacked(false, func(c net.Conn, _ io.Reader) { io.WriteString(c, frame(1, "Host Name: web\n")+frame(2, "note\n")) }),
		"GET /exec/e1/json":    `{"ID":"e1","Running":false,"ExitCode":3}`,
	})
	r := f.silo("", "tools", "web", "get-process", "--sort", "session")
	if r.code != 3 || r.out != "Host Name: web\n" || r.err != "note\n" {
		t.Errorf("got %+v", r)
	}
	if got := string(f.body("/silo/tools/web")); !strings.Contains(got, `"Cmd":["get-process","--sort","session"]`) || !strings.Contains(got, `"User":"0:0"`) {
		t.Errorf("asked with %s", got)
	}
	if r := f.silo("", "tools", "old", "whoami"); r.code != 1 || !strings.Contains(r.err, "is not running") {
		t.Errorf("got %+v", r)
	}
}

// TestTerminalMonitor: keys end it, and every end gives the terminal back.
func TestTerminalMonitor(t *testing.T) {
	for name, end := range map[string]func(p *pty, before *term.State){
		"q":      func(p *pty, before *term.State) { p.typeRaw(t, before, "?xtq") },
		"ctrl-c": func(p *pty, before *term.State) { p.typeRaw(t, before, "\x03") },
		"a size": func(p *pty, before *term.State) { p.typeRaw(t, before, "/q\rq") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPTY(t, 24, 80)
			before := p.state(t)
			f := newFake(t, lookRoutes())
			done := make(chan int, 1)
			go func() { done <- p.silo(f, "monitor", "web") }()
			end(p, before)
			if code := <-done; code != 0 {
				t.Errorf("exit code %d", code)
			}
			sameState(t, before, p.state(t))
		})
	}
}

func TestTerminalMonitorIsRestoredBySignals(t *testing.T) {
	p := newPTY(t, 24, 80)
	before := p.state(t)
	asked := make(chan struct{}, 100)
	routes := lookRoutes()
	f := newFake(t, routes)
	f.on("GET /silo/properties/"+fullID, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		fail(w, 500, "no more")
	})
	cmd := program(f, "monitor", "web")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked // it draws, and looks again
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v, want SIGTERM", cmd.ProcessState)
	}
	sameState(t, before, p.state(t))
	p.slave.WriteString("\nEND\n")
	var screen strings.Builder
	for line := range p.lines {
		if screen.WriteString(line + "\n"); strings.Contains(line, "END") {
			break
		}
	}
	if !strings.Contains(screen.String(), leaveScreen) {
		t.Errorf("the screen was not given back: %q", screen.String())
	}
}

// TestPropertiesToClosedPipe: a reader that goes away is no error to talk about.
func TestPropertiesToClosedPipe(t *testing.T) {
	cmd := program(newFake(t, lookRoutes()), "properties", "web")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = w, &said
	err = cmd.Run()
	w.Close()
	if err == nil || said.String() != "" {
		t.Errorf("ended with %v, said %q", err, said.String())
	}
}

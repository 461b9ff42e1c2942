package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// send asks on a connection of its own, which it gives back with the answer's
// head read.
func (d *daemon) send(request string) io.ReadWriteCloser {
	d.t.Helper()
	conn := d.dial()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		d.t.Fatal(err)
	}
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one[0]) {
		if _, err := conn.Read(one); err != nil {
			d.t.Fatalf("%q: %v", head, err)
		}
	}
	return conn
}

// execStart starts an exec on a connection of its own.
func (d *daemon) execStart(id, body string) io.ReadWriteCloser {
	d.t.Helper()
	conn := d.send(fmt.Sprintf("POST /v1.48/exec/%s/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body))
	return conn
}

// A client's words about the attachment are not the container's input, and one
// that asks for no stream gets none.
func TestAttachAsked(t *testing.T) {
	d := useDaemon(t)
	id := d.make(`{"Image":"core","Cmd":["cat"],"OpenStdin":true,"StdinOnce":true}`)
	body := `{"stream":true,"stdin":true}`
	conn := d.send(fmt.Sprintf("POST /v1.48/containers/%s/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n"+
		"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%sinput\n", id, len(body), body))
	d.silo("start", id)
	got := make([]byte, 14)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "\x01\x00\x00\x00\x00\x00\x00\x06input\n" {
		t.Errorf("got %q, %v", got, err)
	}
	conn.Close()
	for _, query := range []string{"stream=0&logs=0", "stdout=1"} {
		conn := d.send("POST /v1.48/containers/" + id + "/attach?" + query + " HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
		if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q, %v", query, rest, err)
		}
		conn.Close()
	}
}

// What an exec writes is framed as its start asks for, whatever it runs on.
func TestExecFraming(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	for tty, want := range map[string]string{"true": "out\n", "false": "\x01\x00\x00\x00\x00\x00\x00\x04out\n"} {
		var made struct{ ID string }
		d.ask("POST", "/v1.48/containers/"+id+"/exec", `{"AttachStdout":true,"Cmd":["echo","out"]}`, &made)
		conn := d.execStart(made.ID, `{"Tty":`+tty+`}`)
		if got, err := io.ReadAll(conn); err != nil || string(got) != want {
			t.Errorf("Tty %s: %q, %v, want %q", tty, got, err, want)
		}
		conn.Close()
	}
}

// A resize waits for the start of its exec.
func TestExecResizeWaits(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	var made struct{ ID string }
	d.ask("POST", "/v1.48/containers/"+id+"/exec", `{"Tty":true,"AttachStdout":true,"Cmd":["sh","-c","while [ \"$(stty size)\" != '33 44' ]; do sleep 0.01; done"]}`, &made)
	code := make(chan int)
	go func() { code <- d.ask("POST", "/v1.48/exec/"+made.ID+"/resize?h=33&w=44", "", nil) }()
	conn := d.execStart(made.ID, `{"Tty":true}`)
	defer conn.Close()
	if got := <-code; got != http.StatusOK {
		t.Errorf("resize: %d", got)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the command has not seen its size: %v", err)
	}
}

// What a client has asked for is done though it leaves, and rm -f takes what is
// started meanwhile.
func TestClientLeaves(t *testing.T) {
	d := useDaemon(t)
	leave := func(method, path string) {
		conn := d.dial()
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n", method, path)
		time.Sleep(4 * time.Millisecond) // it is being done
		conn.Close()
	}
	for range 5 {
		id := d.sleeper()
		leave("DELETE", "/v1.48/containers/"+id+"?force=1")
		until(t, "the container is removed", func() bool { return d.try("inspect", id).code != 0 })
	}
	id := d.detached("--stop-timeout", "1", "core", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
	before := d.field(id, "{{.State.StartedAt}}")
	leave("POST", "/v1.48/containers/"+id+"/restart")
	until(t, "the container is restarted", func() bool {
		return d.field(id, "{{.State.Running}}") == "true" && d.field(id, "{{.State.StartedAt}}") != before
	})
	for range 10 {
		id := d.make(`{"Image":"core","Cmd":["sleep","1000"]}`)
		done := make(chan int)
		go func() { done <- d.ask("POST", "/v1.48/containers/"+id+"/start", "", nil) }()
		if code := d.ask("DELETE", "/v1.48/containers/"+id+"?force=1", "", nil); code != 204 {
			t.Errorf("rm -f beside a start: %d", code)
		}
		if code := <-done; code != 204 && code != 404 && code != 409 {
			t.Errorf("a start beside rm -f: %d", code)
		}
		if code := d.ask("GET", "/v1.48/containers/"+id+"/json", "", nil); code != 404 {
			t.Errorf("after rm -f: %d", code)
		}
	}
}

// Small habits of Docker that its users rely on.
func TestHabits(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("--ulimit", "core=100:200", "core", "sleep", "1000")
	if got := d.silo("exec", id, "sh", "-c", "ulimit -c; ulimit -Hc"); got != d.silo("run", "--rm", "--ulimit", "core=100:200", "core", "sh", "-c", "ulimit -c; ulimit -Hc") {
		t.Errorf("an exec has the limits %q", got)
	}
	for user, want := range map[string]string{"0": "0", "1000:33": "33"} {
		if got := strings.Fields(d.silo("exec", "-u", user, id, "grep", "Groups:", "/proc/self/status")); len(got) < 2 || got[1] != want {
			t.Errorf("user %s has the groups %v, want %s first", user, got, want)
		}
	}
	if got := d.silo("run", "--rm", "--read-only", "-w", "/srv/new/x", "core", "pwd"); got != "/srv/new/x" {
		t.Errorf("a new working directory below a read-only root: %q", got)
	}
	if got := d.silo("run", "--rm", "--tmpfs", "/t:rw,nosuid,relatime,size=64k", "core", "grep", " /t ", "/proc/mounts"); !strings.Contains(got, "size=64k") {
		t.Errorf("a tmpfs is %q", got)
	}
	folder := t.TempDir()
	for _, tt := range []struct{ source, target string }{{folder, "/etc/passwd"}, {filepath.Join(folder, "file"), "/tmp"}} {
		if err := os.WriteFile(filepath.Join(folder, "file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		r := d.try("run", "--rm", "-v", tt.source+":"+tt.target, "core", "true")
		if r.code != 125 || !strings.Contains(r.err, "mount a directory onto a file") {
			t.Errorf("%v: %d %s", tt, r.code, r.err)
		}
	}
	if r := d.try("run", "--rm", "--network", "host", "-p", "80:80", "core", "echo", "on"); r.out != "on\n" || !strings.Contains(r.err, "discarded") {
		t.Errorf("ports on the host's network: %+v", r)
	}
	bare := d.make(`{"Image":"core","Cmd":["env"],"Env":["LOST","KEPT=1"],"HostConfig":{"Binds":["/new"]}}`)
	if got := d.field(bare, "{{json .Config.Env}} {{json .HostConfig.LogConfig}} {{len .Mounts}}"); !strings.Contains(got, `"LOST","KEPT=1"`) || !strings.Contains(got, `"Config":{}`) || !strings.HasSuffix(got, " 1") {
		t.Errorf("inspect shows %s", got)
	}
	if got := d.silo("start", "-a", bare); !strings.Contains(got, "KEPT=1") || strings.Contains(got, "LOST") {
		t.Errorf("the command has %s", got)
	}
	for _, tt := range []struct{ config, host string }{{`"Hostname":"x",`, ""}, {"", `,"Dns":["1.1.1.1"]`}, {"", `,"ExtraHosts":["a:1.1.1.1"]`}} {
		body := `{"Image":"core","Cmd":["true"],` + tt.config + `"HostConfig":{"NetworkMode":"container:` + id + `"` + tt.host + `}}`
		var answer struct{ Message string }
		if code := d.ask("POST", "/v1.48/containers/create", body, &answer); code != 400 || !strings.Contains(answer.Message, "conflicting options") {
			t.Errorf("%s: %d %s", body, code, answer.Message)
		}
	}
	var nets []struct{ Name string }
	if d.ask("GET", `/v1.48/networks?filters={"name":["bridge"]}`, "", &nets); len(nets) != 1 || nets[0].Name != "nat" {
		t.Errorf("the network bridge is %v", nets)
	}
	var answer struct{ Message string }
	if code := d.ask("POST", "/v1.48/images/create?fromImage=localhost:1/x&tag=t", "", &answer); code != 500 || !strings.Contains(answer.Message, "cannot be reached") {
		t.Errorf("a pull of a registry that is away: %d %s", code, answer.Message)
	}
}

// Events that follow from looking at a container, from resizing it and from
// leaving an exec.
func TestEventsOfLooks(t *testing.T) {
	d := useDaemon(t)
	since := time.Now()
	id := d.detached("-t", "--expose", "81", "core", "sleep", "1000")
	if got := d.field(id, "{{json .NetworkSettings.Ports}}"); got != `{"81/tcp":null}` {
		t.Errorf("ports while it runs: %s", got)
	}
	d.silo("top", id)
	if code := d.ask("POST", "/v1.48/containers/"+id+"/resize?h=30&w=90", "", nil); code != 200 {
		t.Errorf("resize: %d", code)
	}
	var made struct{ ID string }
	d.ask("POST", "/v1.48/containers/"+id+"/exec", `{"Tty":true,"AttachStdin":true,"AttachStdout":true,"Cmd":["cat"]}`, &made)
	conn := d.execStart(made.ID, `{"Tty":true}`)
	defer conn.Close()
	if _, err := io.WriteString(conn, "\x10\x11"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	until(t, "the events", func() bool {
		got := d.silo("events", "--since", fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()), "--until", "0s", "--filter", "container="+id, "--format", "{{.Action}} {{.Actor.Attributes.height}} {{.Actor.Attributes.execID}}")
		return strings.Contains(got, "top ") && strings.Contains(got, "resize 30 ") && strings.Contains(got, "exec_detach <no value> "+made.ID)
	})
	d.silo("stop", "-t", "0", id)
	if got := d.field(id, "{{json .NetworkSettings.Ports}}") + d.silo("ps", "-a", "--filter", "id="+id, "--format", "{{.Ports}}"); got != "{}" {
		t.Errorf("ports of a stopped container: %s", got)
	}
}

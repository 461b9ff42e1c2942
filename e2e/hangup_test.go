package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// request is the text of an HTTP request with a JSON body.
func request(method, path, header, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: silo\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", method, path, header, len(body), body)
}

// dial connects to the daemon as a client that is not Silo's.
func (d *daemon) dial() net.Conn {
	d.t.Helper()
	c, err := net.Dial("unix", strings.TrimPrefix(d.host, "unix://"))
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// hangUp says something to the daemon and hangs up, at once or after the first
// byte of an answer.
func hangUp(d *daemon, text string, answered bool) {
	d.t.Helper()
	c := d.dial()
	defer c.Close()
	_, err := io.WriteString(c, text)
	if err == nil && answered {
		_, err = c.Read(make([]byte, 1))
	}
	if err != nil {
		d.t.Errorf("%.60q: %v", text, err)
	}
}

// Clients that hang up in the middle of what they ask, of their body or of the
// answer, leave nothing behind in silod: no container, no descriptor.
func TestClientsHangUp(t *testing.T) {
	d := ownDaemon(t, 0)
	id := d.sleeper()
	made := d.silo("create", "core", "true")
	t.Cleanup(func() { d.try("rm", "-f", made) })
	exec := func() string {
		c := d.dial()
		defer c.Close()
		io.WriteString(c, request("POST", "/v1.44/containers/"+id+"/exec", "", `{"Cmd":["sleep","1"],"AttachStdout":true}`))
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 201 {
			t.Fatalf("%d %s, %v", r.StatusCode, text, err)
		}
		return strings.Split(string(text), `"`)[3]
	}
	const upgrade = "Upgrade: tcp\r\nConnection: Upgrade\r\n"
	open := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	d.silo("ps") // what is opened once is open
	before := open()
	create := request("POST", "/v1.44/containers/create", "", `{"Image":"core","Cmd":["true"]}`)
	for _, text := range []string{ // none is whole
		"", "POST", "POST /v1.44/containers/create HTTP/1.1\r\nHos",
		create[:len(create)-5],
		"POST /v1.44/images/create?fromSrc=-&repo=half HTTP/1.1\r\nHost: silo\r\nContent-Length: 100000\r\n\r\nhalf a tar",
		request("POST", "/v1.44/containers/"+id+"/wait", "", ""), // whole, but not answered yet
	} {
		hangUp(d, text, false)
	}
	for _, text := range []string{
		request("POST", "/v1.44/containers/"+made+"/attach?stream=1&stdout=1&stdin=1", upgrade, ""),
		request("POST", "/v1.44/containers/"+id+"/attach?stream=1&stdout=1", upgrade, ""),
		request("POST", "/v1.44/exec/"+exec()+"/start", upgrade, `{"Detach":false}`),
		request("GET", "/v1.44/containers/"+id+"/logs?follow=1&stdout=1", "", ""),
		request("GET", "/v1.44/containers/"+id+"/stats", "", ""),
		request("GET", "/v1.44/events", "", ""),
		request("GET", "/v1.44/images/core/get", "", ""),
	} {
		hangUp(d, text, false)
		hangUp(d, text, true)
	}
	until(t, "silod has closed what the clients had opened", func() bool { return open() <= before+1 }) // the last client of one that was not started waits for the next
	if got := d.silo("ps", "-aq", "--no-trunc"); strings.Count(got, "\n") != 1 || !strings.Contains(got, id) || !strings.Contains(got, made) {
		t.Errorf("containers: %q, want two", got)
	}
	if got := d.silo("images", "-q", "half"); got != "" {
		t.Errorf("half an import made the image %s", got)
	}
	d.silo("start", made)
	if got := d.silo("exec", id, "echo", "works"); got != "works" {
		t.Errorf("exec prints %q", got)
	}
}

// A body that is larger than any request needs is refused in one sentence.
func TestBodyTooLarge(t *testing.T) {
	d := useDaemon(t)
	c := d.dial()
	defer c.Close()
	go io.WriteString(c, request("POST", "/v1.44/containers/create", "", `{"Image":"`+strings.Repeat("x", 20<<20)+`"}`)) // silod hangs up in the middle
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "the request body is larger than ") {
		t.Errorf("%d %s, %v", r.StatusCode, text, err)
	}
}

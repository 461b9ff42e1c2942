package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	"silo/internal/errs"
)

// TestText: who asks for text/plain gets what silo prints.
func TestText(t *testing.T) {
	id := strings.Repeat("4c", 32)
	d := start(t, &stub{
		list: []container.Summary{{
			ID: id, Names: []string{"/web"}, Image: "docker.io/library/core:1", Command: "httpd --foreground --port 80", Created: time.Now().Unix() - 7200, Status: "Up 2 hours",
			Ports: []container.PortSummary{{IP: netip.IPv4Unspecified(), PrivatePort: 80, PublicPort: 8080, Type: "tcp"}}, SizeRw: 1000, SizeRootFs: 2000,
		}},
		views: api.Properties{Name: "web", Container: id, State: "running", Isolation: "process", Session: 7, Properties: []api.Property{
			{Group: "system", Title: "Host name", Inside: "web", Outside: "web", Answer: api.Same, Want: api.Same, Belongs: "container"},
		}},
	})
	const columns = "CONTAINER ID   IMAGE     COMMAND                  CREATED       STATUS       PORTS                  NAMES"
	const row = `4c4c4c4c4c4c   core:1    "httpd --foreground …"   2 hours ago   Up 2 hours   0.0.0.0:8080->80/tcp   web`
	for path, want := range map[string]string{
		"/containers/json":                   columns + "\n" + row + "\n",
		"/containers/json?size=1":            columns + "     SIZE\n" + row + "       1kB (virtual 2kB)\n",
		"/containers/json?quiet=1":           "4c4c4c4c4c4c\n",
		"/containers/json?quiet=1&notrunc=1": id + "\n",
		"/silo/properties/web":               "web  4c4c4c4c4c4c  running, isolation process, session 7\n\nSYSTEM\nHost name   web   web   same   container\n",
	} {
		resp, got := d.do(t, "GET", path, "", "Accept: text/plain")
		if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/plain; charset=utf-8" || got != want || resp.ContentLength != int64(len(want)) {
			t.Errorf("%s: %s, %s, %d bytes\n%s\nwant\n%s", path, resp.Status, ct, resp.ContentLength, got, want)
		}
	}
}

// TestAccept: JSON is for all who do not want text and nothing else.
func TestAccept(t *testing.T) {
	d := start(t, &stub{})
	for accept, text := range map[string]bool{
		"text/plain": true, "Text/Plain;q=0.5": true, "text/html, text/plain;charset=utf-8": true,
		"": false, "*/*": false, "application/json": false, "text/html": false, "text/plain, */*": false, "application/json;q=0.1, text/plain": false,
		"text/plain, application/*": false, ",": false, "text/plain/x": false,
	} {
		resp, _ := d.do(t, "GET", "/containers/json", "", "Accept: "+accept)
		if got := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain"); got != text || resp.StatusCode != 200 {
			t.Errorf("Accept: %s: %s, %s", accept, resp.Status, resp.Header.Get("Content-Type"))
		}
	}
	d.err = errs.New(errs.NotFound, "no such container: web")
	if resp, got := d.do(t, "GET", "/silo/properties/web", "", "Accept: text/plain"); resp.StatusCode != 404 || got != `{"message":"no such container: web"}`+"\n" {
		t.Errorf("an error: %s %s", resp.Status, got)
	}
}

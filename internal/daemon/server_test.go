package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"

	"silo/api"
	"silo/internal/engine"
	"silo/internal/errs"
	"silo/internal/filter"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// daemon is a Server on a socket, with a client.
type daemon struct {
	*stub
	srv    *Server
	socket string
	client *http.Client
	log    *lockedBuffer
}

func start(t *testing.T, b *stub) *daemon {
	t.Helper()
	// t.TempDir is too long for a socket's name in some tests.
	dir, err := os.MkdirTemp("", "silo")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{stub: b, socket: filepath.Join(dir, "s"), log: &lockedBuffer{}}
	d.srv = NewServer(b, slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Build{Version: "0.1"})
	l, err := Listen("unix://" + d.socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.srv.Serve(l) }()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.socket)
	}}
	d.client = &http.Client{Transport: tr}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := d.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return d
}

// do makes a request and reads the whole answer. headers are "Key: value".
func (d *daemon) do(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://silo"+path, r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

func intp(n int) *int { return &n }

// TestRequests has one request a line, and what the backend must see of it.
func TestRequests(t *testing.T) {
	emptyCreate := engine.CreateOptions{
		Config: &container.Config{Image: "core"}, HostConfig: &container.HostConfig{},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{}},
	}
	named := emptyCreate
	named.Name, named.Platform = "web", "linux/arm64"
	tests := []struct {
		method, path, body string
		status             int
		want               call
	}{
		{"GET", "/info", "", 200, call{"Info", nil}},
		{"GET", "/v1.44/info", "", 200, call{"Info", nil}},
		{"GET", "/system/df", "", 200, call{"DiskUsage", nil}},
		{"GET", "/events?since=10&until=12.5", "", 200, call{"Events", []any{time.Unix(10, 0), time.Unix(12, 500_000_000), filter.Args(nil)}}},
		{"GET", "/containers/json", "", 200, call{"Containers", []any{engine.ListOptions{}}}},
		{
			"GET", `/containers/json?all=1&size=true&limit=3&filters={"status":["exited"]}&before=x`, "", 200,
			call{"Containers", []any{engine.ListOptions{All: true, Size: true, Limit: 3, Filters: filter.Args{"status": {"exited"}, "before": {"x"}}}}},
		},
		{"GET", "/containers/json?all=False&limit=-1", "", 200, call{"Containers", []any{engine.ListOptions{}}}},
		{"POST", "/containers/create", `{"Image":"core","Unknown":1}`, 201, call{"ContainerCreate", []any{emptyCreate}}},
		{"POST", "/containers/create?name=web&platform=linux/arm64", `{"Image":"core","HostConfig":null}`, 201, call{"ContainerCreate", []any{named}}},
		{"GET", "/containers/web/json?size=1", "", 200, call{"ContainerInspect", []any{"web", true}}},
		{"GET", "/containers//web/json", "", 200, call{"ContainerInspect", []any{"web", false}}},
		{"POST", "/containers/web/start", "", 204, call{"ContainerStart", []any{"web"}}},
		{"POST", "/containers/web/stop", "", 204, call{"ContainerStop", []any{"web", engine.StopOptions{}}}},
		{"POST", "/containers/web/stop?t=-1&signal=INT", "", 204, call{"ContainerStop", []any{"web", engine.StopOptions{Signal: "INT", Timeout: intp(-1)}}}},
		{"POST", "/v1.41/containers/web/stop?t=0&signal=INT", "", 204, call{"ContainerStop", []any{"web", engine.StopOptions{Timeout: intp(0)}}}},
		{"POST", "/containers/web/restart?t=5", "", 204, call{"ContainerRestart", []any{"web", engine.StopOptions{Timeout: intp(5)}}}},
		{"POST", "/containers/web/kill?signal=9", "", 204, call{"ContainerKill", []any{"web", "9"}}},
		{"POST", "/containers/web/pause", "", 204, call{"ContainerPause", []any{"web"}}},
		{"POST", "/containers/web/unpause", "", 204, call{"ContainerUnpause", []any{"web"}}},
		{"POST", "/containers/web/wait", "", 200, call{"ContainerWait", []any{"web", container.WaitConditionNotRunning}}},
		{"POST", "/containers/web/wait?condition=removed", "", 200, call{"ContainerWait", []any{"web", container.WaitConditionRemoved}}},
		{"POST", "/containers/web/resize?h=24&w=80", "", 200, call{"ContainerResize", []any{"web", uint16(24), uint16(80)}}},
		{"POST", "/containers/web/resize?h=0&w=0", "", 200, call{"ContainerResize", []any{"web", uint16(0), uint16(0)}}},
		{"POST", "/containers/web/rename?name=db", "", 204, call{"ContainerRename", []any{"web", "db"}}},
		{"DELETE", "/containers/web?force=1&v=1", "", 204, call{"ContainerRemove", []any{"web", engine.RemoveOptions{Force: true, Volumes: true}}}},
		{"GET", "/containers/web/top?ps_args=aux", "", 200, call{"ContainerTop", []any{"web", "aux"}}},
		{"GET", "/containers/web/stats?stream=0&one-shot=1", "", 200, call{"ContainerStats", []any{"web", false, true}}},
		{"POST", "/containers/web/update", `{"Memory":1000}`, 200, call{"ContainerUpdate", []any{"web", container.UpdateConfig{Resources: container.Resources{Memory: 1000}}}}},
		{"POST", `/containers/prune?filters={"until":{"1h":true}}`, "", 200, call{"ContainersPrune", []any{filter.Args{"until": {"1h"}}}}},
		{"POST", "/containers/web/attach?stream=1&stdout=1&detachKeys=ctrl-a", "", 200, call{"ContainerAttach", []any{"web", engine.AttachOptions{Stdout: true, Stream: true, DetachKeys: "ctrl-a"}}}},
		{
			"POST", "/containers/web/exec", `{"Cmd":["ls"],"Tty":true,"ConsoleSize":[24,80]}`, 201,
			call{"ExecCreate", []any{"web", container.ExecCreateRequest{Cmd: []string{"ls"}, Tty: true, ConsoleSize: &[2]uint{24, 80}}}},
		},
		{"POST", "/containers/web/exec", `{"Cmd":"ls"}`, 201, call{"ExecCreate", []any{"web", container.ExecCreateRequest{Cmd: []string{"ls"}}}}},
		{"POST", "/v1.40/containers/web/exec", `{"Cmd":["ls"],"ConsoleSize":[24,80]}`, 201, call{"ExecCreate", []any{"web", container.ExecCreateRequest{Cmd: []string{"ls"}}}}},
		{"POST", "/exec/e1/start", `{"Detach":true}`, 200, call{"ExecStart", []any{"e1", engine.ExecStartOptions{Detach: true}}}},
		{"POST", "/exec/e1/start", `{"Tty":true,"ConsoleSize":[24,80]}`, 200, call{"ExecStart", []any{"e1", engine.ExecStartOptions{TTY: true, ConsoleSize: &[2]uint{24, 80}}}}},
		{"POST", "/exec/e1/start", "", 200, call{"ExecStart", []any{"e1", engine.ExecStartOptions{}}}},
		{"POST", "/exec/e1/resize?h=1&w=2", "", 200, call{"ExecResize", []any{"e1", uint16(1), uint16(2)}}},
		{"GET", "/exec/e1/json", "", 200, call{"ExecInspect", []any{"e1"}}},
		{"GET", "/images/json?all=1", "", 200, call{"Images", []any{true, filter.Args(nil)}}},
		{"GET", "/images/reg:5000/a/b:1/json", "", 200, call{"ImageInspect", []any{"reg:5000/a/b:1"}}},
		{"GET", "/images/reg%2Fa/json", "", 200, call{"ImageInspect", []any{"reg/a"}}},
		{"GET", "/images/a/b/history", "", 200, call{"ImageHistory", []any{"a/b"}}},
		{"GET", "/images/a/b/get", "", 200, call{"ImageSave", []any{[]string{"a/b"}}}},
		{"GET", "/images/get?names=a&names=b", "", 200, call{"ImageSave", []any{[]string{"a", "b"}}}},
		{"POST", "/images/a/b/tag?repo=c/d&tag=2", "", 201, call{"ImageTag", []any{"a/b", "c/d:2"}}},
		{"DELETE", "/images/a/b:1?force=1", "", 200, call{"ImageRemove", []any{"a/b:1", true, false}}},
		{"POST", "/images/create?fromImage=a/b&tag=1&platform=linux/amd64", "", 200, call{"ImagePull", []any{"a/b:1", "linux/amd64", nilAuth}}},
		{"POST", "/images/create?fromImage=a&tag=sha256:" + strings.Repeat("0", 64), "", 200, call{"ImagePull", []any{"a@sha256:" + strings.Repeat("0", 64), "", nilAuth}}},
		{
			"POST", "/images/create?fromSrc=-&repo=r&tag=t&changes=CMD+sh&changes=ENV+a=b", "tarball", 200,
			call{"ImageImport", []any{"r:t", "Imported from -", "", []string{"CMD sh", "ENV a=b"}, "tarball"}},
		},
		{"POST", "/images/load?quiet=0", "tarball", 200, call{"ImageLoad", []any{false}}},
		{"POST", `/images/a/push?tag=1&platform={"os":"linux","architecture":"arm","variant":"v7"}`, "", 200, call{"ImagePush", []any{"a:1", "linux/arm/v7", nilAuth}}},
		{"GET", "/networks", "", 200, call{"Networks", []any{filter.Args(nil)}}},
		{"GET", "/networks/nat", "", 200, call{"NetworkInspect", []any{"nat"}}},
		{"GET", "/volumes", "", 200, call{"Volumes", []any{filter.Args(nil)}}},
		{"POST", "/volumes/create", `{"Name":"v"}`, 201, call{"VolumeCreate", []any{volume.CreateRequest{Name: "v"}}}},
		{"POST", "/volumes/create", "", 201, call{"VolumeCreate", []any{volume.CreateRequest{}}}},
		{"GET", "/volumes/v", "", 200, call{"VolumeInspect", []any{"v"}}},
		{"DELETE", "/volumes/v?force=true", "", 204, call{"VolumeRemove", []any{"v", true}}},
		{"POST", "/images/prune?filters={\"dangling\":[\"false\"]}", "", 200, call{"ImagesPrune", []any{filter.Args{"dangling": {"false"}}}}},
		{"POST", "/volumes/prune", "", 200, call{"VolumesPrune", []any{filter.Args(nil)}}},
		{"POST", "/v1.41/volumes/prune", "", 200, call{"VolumesPrune", []any{filter.Args{"all": {"true"}}}}},
		{"GET", "/silo/sessions", "", 200, call{"Sessions", nil}},
		{"GET", "/silo/services/web", "", 200, call{"Services", []any{"web"}}},
		{"POST", "/silo/services/web", `{"Action":"stop","Units":["a"]}`, 200, call{"ServiceAction", []any{"web", api.ServiceRequest{Action: "stop", Units: []string{"a"}}}}},
		{"GET", "/silo/sessions/7", "", 200, call{"Session", []any{uint32(7)}}},
		{"GET", "/silo/sessions/7/log", "", 200, call{"SessionLog", []any{uint32(7)}}},
		{"GET", "/silo/properties/web", "", 200, call{"Properties", []any{"web"}}},
		{"POST", "/silo/tools/web", `{"Cmd":["systeminfo"]}`, 201, call{"ToolCreate", []any{"web", container.ExecCreateRequest{Cmd: []string{"systeminfo"}}}}},
		{"GET", "/silo/disks", "", 200, call{"Disks", nil}},
		{"POST", "/silo/disks/web/mount", `{"Path":"/mnt"}`, 204, call{"DiskMount", []any{"web", api.DiskMountRequest{Path: "/mnt"}}}},
		{"POST", "/silo/disks/unmount?path=/mnt", "", 204, call{"DiskUnmount", []any{"/mnt"}}},
		{"GET", "/silo/doctor", "", 200, call{"Doctor", nil}},
	}
	d := start(t, &stub{})
	for _, tt := range tests {
		d.calls = nil
		resp, body := d.do(t, tt.method, strings.NewReplacer("{\"", "%7B%22", "\"", "%22").Replace(tt.path), tt.body)
		if resp.StatusCode != tt.status {
			t.Errorf("%s %s: status %d, want %d: %s", tt.method, tt.path, resp.StatusCode, tt.status, body)
			continue
		}
		if d := cmp.Diff([]any{tt.want}, d.calls); d != "" {
			t.Errorf("%s %s: %s", tt.method, tt.path, d)
		}
		if strings.Contains(body, "null\n") {
			t.Errorf("%s %s: the answer is null", tt.method, tt.path)
		}
	}
}

// TestErrorsOfTheBackend: every route passes an error on, with its kind.
func TestErrorsOfTheBackend(t *testing.T) {
	d := start(t, &stub{err: errs.NotFoundf("no such thing: web")})
	d.pull = func(context.Context, Progress) error { return d.stub.err }
	for _, r := range routes {
		path := strings.NewReplacer("{name}", "web", "{id}", "web", "{container}", "web", "{number}", "7").Replace(r.path)
		body := `{"Image":"core","Cmd":["x"],"Path":"/mnt"}`
		switch r.path {
		case "/_ping", "/version", "/networks/prune", "/build/prune": // ask nobody
			continue
		case "/images/get":
			path += "?names=web"
		case "/images/create":
			path += "?fromImage=web"
		case "/containers/{name}/resize", "/exec/{id}/resize":
			path += "?h=1&w=1"
		case "/containers/{name}/rename":
			path += "?name=x"
		case "/images/{name}/tag":
			path += "?repo=x"
		case "/containers/{name}/logs":
			path += "?stdout=1"
		case "/silo/disks/unmount":
			path += "?path=/mnt"
		case "/containers/{name}/start":
			body = ""
		}
		if r.method == get {
			body = ""
		}
		resp, got := d.do(t, r.method, path, body)
		if resp.StatusCode != 404 || got != `{"message":"no such thing: web"}`+"\n" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s", r.method, path, resp.StatusCode, got)
		}
	}
}

func TestStatusOfKinds(t *testing.T) {
	tests := []struct {
		err    error
		status int
		text   string
	}{
		{errors.New("x"), 500, "x"},
		{errs.NotFoundf("x"), 404, "x"},
		{fmt.Errorf("outer: %w", errs.Conflictf("x")), 409, "outer: x"},
		{errs.Invalidf("x"), 400, "x"},
		{errs.New(errs.Unauthorized, "x"), 401, "x"},
		{errs.New(errs.Forbidden, "x"), 403, "x"},
		{errs.New(errs.Unavailable, "x"), 503, "x"},
		{errs.New(errs.NotSupported, "x"), 501, "x"},
		{errs.New(errs.NotModified, "x"), 304, ""},
		{errs.New(errs.NoCommand, "exec foo"), 400, "exec foo: executable file not found"},
		{errs.New(errs.NoCommand, "stat foo: no such file or directory"), 400, "stat foo: no such file or directory"},
		{errs.New(errs.NotRunnable, "exec /etc"), 400, "exec /etc: permission denied"},
		{errs.New(errs.NotRunnable, "exec /etc: is a directory"), 400, "exec /etc: is a directory"},
	}
	d := start(t, &stub{})
	for _, tt := range tests {
		d.stub.err = tt.err
		resp, body := d.do(t, "POST", "/containers/web/start", "")
		want := ""
		if tt.text != "" {
			want = `{"message":"` + tt.text + "\"}\n"
		}
		if resp.StatusCode != tt.status || body != want {
			t.Errorf("%v: %d %q, want %d %q", tt.err, resp.StatusCode, body, tt.status, want)
		}
	}
	for k := errs.Internal; k <= errs.NoCommand; k++ {
		if statusOf[k] == 0 {
			t.Errorf("kind %d has no status", k)
		}
	}
}

// TestBadRequests: each gets 400 (or what is given) and one line that says why.
func TestBadRequests(t *testing.T) {
	big := `{"Image":"` + strings.Repeat("x", maxBody) + `"}`
	tests := []struct {
		method, path, body, contentType string
		status                          int
		want                            string
	}{
		{"GET", "/nothing", "", "", 404, "page not found"},
		{"GET", "/v1.44", "", "", 404, "page not found"},
		{"GET", "/v1.44/nothing", "", "", 404, "page not found"},
		{"GET", "/volumesx", "", "", 404, "page not found"},
		{"PUT", "/info", "", "", 404, "page not found"},
		{"DELETE", "/info", "", "", 404, "page not found"},
		{"GET", "/containers/create", "", "", 404, "page not found"},
		{"GET", "/containers//json", "", "", 404, "page not found"},
		{"GET", "/v1.39/info", "", "", 400, "client version 1.39 is too old. Minimum supported API version is 1.40, please upgrade your client to a newer version"},
		{"GET", "/v0.1/info", "", "", 400, "client version 0.1 is too old. Minimum supported API version is 1.40, please upgrade your client to a newer version"},
		{"GET", "/v1.57/info", "", "", 400, "client version 1.57 is too new. Maximum supported API version is 1.56"},
		{"GET", "/v2.0/info", "", "", 400, "client version 2.0 is too new. Maximum supported API version is 1.56"},
		{"GET", "/v1../info", "", "", 400, "invalid API version \"1..\": give one from 1.40 to 1.56"},
		{"GET", "/info?a=%zz", "", "", 400, `invalid query: invalid URL escape "%zz"`},
		{"GET", "/containers/json?limit=x", "", "", 400, "parameter limit=x: give a whole number"},
		{"GET", "/containers/json?filters=x", "", "", 400, `invalid filters: give a JSON object such as {"label":["a=b"]}`},
		{"POST", "/containers/create", "hello", "text/plain", 400, "unsupported Content-Type header (text/plain): must be 'application/json'"},
		{"POST", "/containers/create", "hello", "", 400, "malformed Content-Type header (): mime: no media type"},
		{"POST", "/containers/create", "hello", "application/json", 400, "invalid JSON: invalid character 'h' looking for beginning of value"},
		{"POST", "/containers/create", "", "application/json", 400, "invalid JSON: got EOF while reading request body"},
		{"POST", "/containers/create", `{"Image":"x"`, "application/json", 400, "invalid JSON: it ends too early"},
		{"POST", "/containers/create", `{"Image":"x"} {}`, "application/json", 400, "unexpected content after JSON"},
		{"POST", "/containers/create", `{"Image":"x"} ]`, "application/json", 400, "unexpected content after JSON"},
		{"POST", "/containers/create", `{"Image":5}`, "application/json", 400, "invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Config.Image of type string"},
		{"POST", "/containers/create", `null`, "application/json", 400, "config cannot be empty in order to create a container"},
		{"POST", "/containers/create", big, "application/json", 400, "the request body is larger than 4194304 bytes"},
		{"POST", "/containers/create", `{"Image":"x","MacAddress":"02:00:00:00:00:01"}`, "application/json", 400, "container-wide MAC address no longer supported; use endpoint-specific MAC address instead"},
		{"POST", "/v1.43/containers/create", `{"Image":"x","NetworkingConfig":{"EndpointsConfig":{"a":{},"b":null}}}`, "application/json", 400, "Container cannot be created with multiple network endpoints"},
		{"POST", "/containers/create", `{"Image":"x","HostConfig":{"Mounts":[{"Type":"bind","VolumeOptions":{}}]}}`, "application/json", 400, `VolumeOptions must not be specified on mount type "bind"`},
		{"POST", "/containers/web/start", `{"Binds":["x"]}`, "application/json", 400, "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"},
		{"POST", "/containers/web/start?checkpoint=x", "", "", 501, "parameter checkpoint is not supported"},
		{"POST", "/containers/web/stop?t=x", "", "", 400, "parameter t=x: give a whole number"},
		{"POST", "/containers/web/wait?condition=x", "", "", 400, `invalid condition: "x"`},
		{"POST", "/containers/web/resize?h=x&w=1", "", "", 400, `invalid resize height "x": give a number from 0 to 65535`},
		{"POST", "/containers/web/resize?h=1", "", "", 400, `invalid resize width "": give a number from 0 to 65535`},
		{"POST", "/containers/web/resize?h=1&w=65536", "", "", 400, `invalid resize width "65536": give a number from 0 to 65535`},
		{"POST", "/containers/web/rename", "", "", 400, "rename container web: no new name: give the parameter name"},
		{"DELETE", "/containers/web?link=1", "", "", 501, "remove container web: links are not supported"},
		{"GET", "/containers/web/logs", "", "", 400, "Bad parameters: you must choose at least one stream"},
		{"PUT", "/containers/web/archive?path=/", "", "", 501, "copying files into and out of containers is not supported"},
		{"POST", "/networks/create", "{}", "application/json", 501, "making networks besides nat, none and host is not supported"},
		{"GET", "/containers/web/logs?stdout=1&since=x", "", "", 400, "parameter since=x: give seconds since 1970, such as 1136073600.000000001"},
		{"GET", "/containers/web/stats?one-shot=1", "", "", 400, "cannot have stream=true and one-shot=true"},
		{"POST", "/containers/web/exec", `{}`, "application/json", 400, "No exec command specified"},
		{"GET", "/events?since=5&until=4", "", "", 400, "`since` time (5) cannot be after `until` time (4)"},
		{"GET", "/system/df?type=x", "", "", 400, "unknown object type: x"},
		{"POST", "/images/create", "", "", 400, "create image: nothing to make it from: give fromImage (a name) or fromSrc=- and a tar archive as the body"},
		{"POST", "/images/create?fromSrc=ftp://x/y", "", "", 400, `import from "ftp://x/y": want - and an archive as the body, or an address of http or https`},
		{"GET", "/images/get", "", "", 400, "save images: no names: give the parameter names, once for each"},
		{"POST", "/images/a/tag", "", "", 400, "tag image a: no new name: give the parameter repo"},
		{"POST", "/images/a/push?platform=x", "", "", 400, `parameter platform=x: give an object such as {"os":"linux","architecture":"amd64"}`},
		{"POST", "/silo/disks/unmount?path=mnt", "", "", 400, `path "mnt": give an absolute path on the host`},
		{"POST", "/silo/disks/web/mount", `{}`, "application/json", 400, `path "": give an absolute path on the host`},
	}
	d := start(t, &stub{})
	for _, tt := range tests {
		resp, body := d.do(t, tt.method, tt.path, tt.body, "Content-Type: "+tt.contentType)
		want, _ := marshalLine(map[string]string{"message": tt.want})
		if resp.StatusCode != tt.status || body != want {
			t.Errorf("%s %s: %d %s want %d %s", tt.method, tt.path, resp.StatusCode, body, tt.status, want)
		}
	}
	if len(d.calls) != 0 {
		t.Errorf("the backend was asked: %v", d.calls)
	}
}

func TestPingAndVersion(t *testing.T) {
	d := start(t, &stub{})
	for _, method := range []string{"GET", "HEAD"} {
		resp, body := d.do(t, method, "/_ping", "", "X-Request-Id: my-1")
		want := map[string]string{
			"Api-Version": MaxAPIVersion, "Docker-Experimental": "false", "Ostype": "linux", "Server": "Silo/0.1 (linux)",
			"Builder-Version": "1", "Swarm": "inactive", "Cache-Control": "no-cache, no-store, must-revalidate", "X-Request-Id": "my-1",
		}
		for k, v := range want {
			if got := resp.Header.Get(k); got != v {
				t.Errorf("%s %s: %q, want %q", method, k, got, v)
			}
		}
		if resp.StatusCode != 200 || method == "GET" && body != "OK" {
			t.Errorf("%s: %d %q", method, resp.StatusCode, body)
		}
	}
	resp, body := d.do(t, "GET", "/v1.50/version", "", "X-Request-Id: bad id")
	for _, want := range []string{`"ApiVersion":"1.56"`, `"MinAPIVersion":"1.40"`, `"Version":"0.1"`, `"KernelVersion":"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if id := resp.Header.Get("X-Request-Id"); len(id) != 16 {
		t.Errorf("request id %q", id)
	}
}

func TestPanicIsAnError(t *testing.T) {
	d := start(t, &stub{})
	d.inspect = func(context.Context) (container.InspectResponse, error) { panic("ouch") }
	resp, body := d.do(t, "GET", "/containers/web/json", "", "X-Request-Id: r1")
	if resp.StatusCode != 500 || !strings.Contains(body, "request r1") || strings.Contains(body, "ouch") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := d.do(t, "GET", "/_ping", ""); resp.StatusCode != 200 {
		t.Error("the daemon did not live on")
	}
	if log := d.log.String(); !strings.Contains(log, "ouch") || !strings.Contains(log, "request=r1") {
		t.Errorf("log: %s", log)
	}
}

func TestRegistryAuth(t *testing.T) {
	d := start(t, &stub{})
	for header, want := range map[string]string{
		"eyJ1c2VybmFtZSI6ImEiLCJwYXNzd29yZCI6ImIifQ==": "a", // {"username":"a","password":"b"}
		"e30=":     "",
		"nonsense": "",
	} {
		d.calls = nil
		d.do(t, "POST", "/images/create?fromImage=x&tag=1", "", "X-Registry-Auth: "+header)
		a := d.calls[0].(call).Args[2].(authPointer)
		if (a == nil) != (want == "") || a != nil && a.Username != want {
			t.Errorf("%s: %+v", header, a)
		}
	}
}

func TestProgress(t *testing.T) {
	d := start(t, &stub{})
	d.pull = func(_ context.Context, p Progress) error {
		p(jsonstream.Message{Status: "one", ID: "a"})
		p(jsonstream.Message{Progress: &jsonstream.Progress{Current: 1, Total: 2}})
		return errs.NotFoundf("no <such> layer")
	}
	resp, body := d.do(t, "POST", "/images/create?fromImage=x&tag=1", "")
	want := `{"status":"one","id":"a"}
{"progressDetail":{"current":1,"total":2}}
{"errorDetail":{"message":"no <such> layer"},"error":"no <such> layer"}
`
	if resp.StatusCode != 200 || body != want {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestLoadAnswersWhileReading: the progress of a load comes while the body is
// still on its way.
func TestLoadAnswersWhileReading(t *testing.T) {
	d := start(t, &stub{})
	var total int64
	d.load = func(r io.Reader, p Progress) error {
		p(jsonstream.Message{Status: "begun"})
		n, err := io.Copy(io.Discard, r)
		total = n
		return err
	}
	resp, body := d.do(t, "POST", "/images/load", strings.Repeat("x", 20<<20))
	if resp.StatusCode != 200 || total != 20<<20 || body != "{\"status\":\"begun\"}\n" {
		t.Errorf("%d, %d bytes, %s", resp.StatusCode, total, body)
	}
}

// TestRefusedLoad: the reason arrives although most of the body is not read.
func TestRefusedLoad(t *testing.T) {
	d := start(t, &stub{err: errs.Invalidf("not an archive")})
	for range 3 {
		resp, body := d.do(t, "POST", "/images/load", strings.Repeat("x", 10<<20))
		if resp.StatusCode != 400 || !strings.Contains(body, "not an archive") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
}

// TestCutSave: a half archive does not look like a whole one.
func TestCutSave(t *testing.T) {
	d := start(t, &stub{})
	d.save = func(w io.Writer) error {
		io.WriteString(w, "half")
		return errors.New("the disk broke")
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://silo/images/a/get", nil)
	resp, err := d.client.Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the answer looks complete")
	}
}

func TestEventForms(t *testing.T) {
	d := start(t, &stub{})
	d.events = func(context.Context) <-chan events.Message {
		c := make(chan events.Message, 1)
		c <- events.Message{Type: "container", Action: "start", Actor: events.Actor{ID: "c1", Attributes: map[string]string{"image": "core"}}, Scope: "local", Time: 1, TimeNano: 1e9}
		close(c)
		return c
	}
	const now = `{"Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"image":"core"}},"scope":"local","time":1,"timeNano":1000000000}` + "\n"
	for _, tt := range []struct{ path, accept, contentType, want string }{
		{"/events", "", "application/json", now},
		{"/events", "application/jsonl", "application/jsonl", now},
		{"/events", "text/html, application/json-seq", "application/json-seq", "\x1e" + now},
		{"/v1.51/events", "", "application/json", `{"status":"start","id":"c1","from":"core",` + now[1:]},
	} {
		resp, body := d.do(t, "GET", tt.path, "", "Accept: "+tt.accept)
		if body != tt.want || resp.Header.Get("Content-Type") != tt.contentType {
			t.Errorf("%s %s: %s %s", tt.path, tt.accept, resp.Header.Get("Content-Type"), body)
		}
	}
}

package daemon

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/common"

	"silo/api"
	"silo/internal/engine"
	"silo/internal/errs"
)

const (
	runRequest = "POST /silo/run?name=web&stdin=1&stdout=1 HTTP/1.1\r\nHost: silo\r\nContent-Type: application/json\r\nContent-Length: 16\r\n" +
		"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + `{"Image":"core"}`
	execRequest = "POST /silo/exec/web HTTP/1.1\r\nHost: silo\r\nContent-Type: application/json\r\nContent-Length: 14\r\n" +
		"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + `{"Cmd":["sh"]}`
)

// TestTakeover: the engine answers a success itself, with the head that it was
// given, and gets what was sent early.
func TestTakeover(t *testing.T) {
	for _, request := range []string{runRequest, execRequest} {
		d := start(t, &stub{})
		serve := func(take engine.Takeover) error {
			conn, head, buffered, err := take(map[string]string{api.ContainerHeader: "c1"})
			if err != nil {
				return err
			}
			_, err = conn.Write(append(head, strings.ToUpper(string(buffered))...))
			return err
		}
		d.run = func(o engine.RunOptions) error {
			if o.Name != "web" || o.Config.Image != "core" || !o.Stdin || !o.Stdout || o.Stderr {
				return fmt.Errorf("options: %+v", o)
			}
			return serve(o.Takeover)
		}
		d.execRun = serve
		r := bufio.NewReader(d.raw(t, request+"early"))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 101 || resp.Header.Get(api.ContainerHeader) != "c1" || resp.Header.Get("Api-Version") != MaxAPIVersion {
			t.Errorf("head: %s %v", resp.Status, resp.Header)
		}
		got, err := io.ReadAll(r) // the server closes its copy: nobody has another here
		if err != nil || string(got) != "EARLY" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// TestTakeoverRefused: an error is an ordinary answer, before the connection
// was taken over and after it.
func TestTakeoverRefused(t *testing.T) {
	for _, taken := range []bool{false, true} {
		for _, request := range []string{runRequest, execRequest} {
			d := start(t, &stub{})
			refuse := func(take engine.Takeover) error {
				if taken {
					if _, _, _, err := take(nil); err != nil {
						return err
					}
				}
				return errs.New(errs.NoCommand, "exec: %q: executable file not found in $PATH", "sh")
			}
			d.run = func(o engine.RunOptions) error { return refuse(o.Takeover) }
			d.execRun = refuse
			resp, err := http.ReadResponse(bufio.NewReader(d.raw(t, request)), nil)
			if err != nil {
				t.Fatal(err)
			}
			var e common.ErrorResponse
			if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 400 || !strings.Contains(e.Message, "executable file not found") {
				t.Errorf("taken %v: %s %q", taken, resp.Status, e.Message)
			}
		}
	}
}

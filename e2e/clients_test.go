package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// ask sends one request as a client that is not Silo's, and reads the answer.
func (d *daemon) ask(method, path, body string, into any) int {
	d.t.Helper()
	c := d.dial()
	defer c.Close()
	if _, err := io.WriteString(c, request(method, path, "Connection: close\r\n", body)); err != nil {
		d.t.Error(err)
		return 0
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		d.t.Errorf("%s %s: %v", method, path, err)
		return 0
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		d.t.Errorf("%s %s: %s: %v", method, path, text, err)
	}
	return r.StatusCode
}

// Clients written for a slower engine read the head of an upgraded answer with
// all that has come by then, and drop the rest of it; and they ask for the exit
// code as soon as the stream ends.
func TestExecOfSlowReaders(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			code := i + 1
			var made struct{ ID string }
			d.ask("POST", "/v1.44/containers/"+id+"/exec", fmt.Sprintf(`{"Cmd":["sh","-c","printf out; exit %d"],"AttachStdout":true}`, code), &made)
			c := d.dial()
			defer c.Close()
			io.WriteString(c, request("POST", "/v1.44/exec/"+made.ID+"/start", "Upgrade: tcp\r\nConnection: Upgrade\r\n", `{"Detach":false}`))
			time.Sleep(50 * time.Millisecond) // busy elsewhere
			head := make([]byte, 8<<10)
			n, err := c.Read(head)
			if err != nil || !bytes.HasSuffix(head[:n], []byte("\r\n\r\n")) {
				t.Errorf("the head came with more: %q, %v", head[:n], err)
				return
			}
			if out, err := io.ReadAll(c); err != nil || string(out) != "\x01\x00\x00\x00\x00\x00\x00\x03out" {
				t.Errorf("output %q, %v", out, err)
			}
			var exec struct {
				Running  bool
				ExitCode *int
			}
			d.ask("GET", "/v1.44/exec/"+made.ID+"/json", "", &exec)
			if exec.Running || exec.ExitCode == nil || *exec.ExitCode != code {
				t.Errorf("after its end, of code %d: %+v", code, exec)
			}
		})
	}
	all.Wait()
}

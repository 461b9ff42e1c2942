package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Two daemons share a host: neither sees the other's containers, on the host
// or on the wire. The second one keeps no standbys, so that its containers
// are made the long way.
func TestTwoDaemons(t *testing.T) {
	first := useDaemon(t)
	second := ownDaemon(t, 0)
	a, b := first.web("shared"), second.web("shared")
	want(t, "page of the first", first.silo("run", "--rm", "core", "wget", "-q", "-O", "-", "http://shared:8080/"), "page of shared")
	want(t, "page of the second", second.silo("run", "--rm", "core", "wget", "-q", "-O", "-", "http://shared:8080/"), "page of shared")
	if list := second.silo("ps", "-aq", "--no-trunc"); list != b {
		t.Errorf("the second daemon lists %q, has %s", list, b)
	}
	if list := first.silo("ps", "-aq", "--no-trunc"); !strings.Contains(list, a) || strings.Contains(list, b) {
		t.Errorf("the first daemon lists %q", list)
	}
	if ids := second.field(b, "{{.GraphDriver.Data.session}}"); ids == first.field(a, "{{.GraphDriver.Data.session}}") {
		t.Errorf("both containers have session %s", ids)
	}
	if r := second.try("exec", b, "ping", "-c", "1", "-w", "2", first.address(a)); r.code == 0 {
		t.Errorf("a container reaches one of another network:\n%s", r.out)
	}
}

// Many runs at once: none fails, and the switch has no more links than before.
func TestManyAtOnce(t *testing.T) {
	d := useDaemon(t)
	before := len(strings.Fields(d.silo("ps", "-aq")))
	var all sync.WaitGroup
	for i := range 50 {
		all.Add(1)
		go func() {
			defer all.Done()
			c, cancel := d.command("run", "--rm", "core", "echo", fmt.Sprint("run ", i))
			defer cancel()
			if out, err := c.CombinedOutput(); err != nil || string(out) != fmt.Sprintf("run %d\n", i) {
				t.Errorf("run %d: %v: %s", i, err, out)
			}
		}()
	}
	all.Wait()
	until(t, "all are removed", func() bool { return len(strings.Fields(d.silo("ps", "-aq"))) == before })
}

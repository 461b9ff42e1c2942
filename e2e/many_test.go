package e2e

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
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

// Two daemons hand out user ids from one pool, of four ranges: no range is two
// containers', one that a container has given back is free for the other
// daemon, and a stopped container keeps its own over a restart of its daemon.
func TestSharedIDPool(t *testing.T) {
	const pool = "1862270976:262144"
	a, b := ownDaemon(t, 0, "--id-pool", pool), ownDaemon(t, 0, "--id-pool", pool)
	owner := map[string]string{}
	take := func(d *daemon, name string) string {
		d.silo("create", "--name", name, "nano", "true")
		ids := d.field(name, "{{.GraphDriver.Data.ids}}")
		if owner[ids] != "" {
			t.Errorf("%s has the ids %s of %s", name, ids, owner[ids])
		}
		owner[ids] = name
		return ids
	}
	kept, given := take(a, "a1"), take(a, "a2")
	take(b, "b1")
	take(b, "b2")
	for _, d := range []*daemon{a, b} {
		r := d.try("create", "nano", "true")
		want(t, "a fifth container", r.err, "no free range of user ids: all 4 are taken: remove containers or start silod with a larger --id-pool")
		if r.code != 125 || strings.Count(r.err, "\n") != 1 {
			t.Errorf("a fifth container: exit %d, %q", r.code, r.err)
		}
	}
	a.silo("rm", "a2")
	delete(owner, given)
	a.silo("ps") // the rest of the removal is in the background:
	until(t, "its ids are free", func() bool { return b.try("create", "--name", "b3", "nano", "true").code == 0 })
	if ids := b.field("b3", "{{.GraphDriver.Data.ids}}"); ids != given {
		t.Errorf("b3 has the ids %s, want %s", ids, given)
	}
	// Claims need no daemon.
	if err := b.stop(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := a.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.start(), b.start()); err != nil {
		t.Fatal(err)
	}
	if ids := a.field("a1", "{{.GraphDriver.Data.ids}}"); ids != kept {
		t.Errorf("after a restart a1 has the ids %s, had %s", ids, kept)
	}
	if r := a.try("start", "-a", "a1"); r.code != 0 {
		t.Errorf("start of a1: exit %d, %s", r.code, r.err)
	}
	if r := a.try("create", "nano", "true"); r.code == 0 {
		t.Errorf("a range of %s was given out while its daemon was away", "b")
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

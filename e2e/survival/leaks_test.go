package survival

import (
	"strconv"
	"sync"
	"testing"
)

// TestNothingAddsUp runs many containers, one after the other and at once,
// and compares the host, silod and the keeper with what they were before.
func TestNothingAddsUp(t *testing.T) {
	d := startDaemon(t, "--standby", "0")
	run := func(i int) {
		want := "run " + strconv.Itoa(i)
		if out, errs, code := d.try("run", "--rm", "nano", "echo", want); code != 0 || out != want+"\n" {
			t.Errorf("%s: exit code %d, output %q, errors %q", want, code, out, errs)
		}
	}
	atOnce := func(n int) {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { run(i) })
		}
		all.Wait()
	}
	atOnce(8) // connections, buffers and threads that stay
	d.clean(nil)
	silod, keeper := descriptors(d.cmd.Process.Pid), descriptors(d.keeperPID())
	for i := range 200 {
		run(i)
	}
	atOnce(50)
	d.clean(nil)
	d.until("silod's descriptors are closed", func() bool { return descriptors(d.cmd.Process.Pid) <= silod+4 })
	d.until("the keeper's descriptors are closed", func() bool { return descriptors(d.keeperPID()) <= keeper+4 })
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"silo/client/container"
)

// compared is a series beside the floor's that took turns with it.
type compared struct {
	own, floor series
	// calm are those of own during which the machine had its processors: none
	// of their time is counted as stolen, by what else runs on the same host.
	calm series
}

// turns makes n measurements, each followed by a run of the floor, and both
// after prepare: a processor that has just worked is faster than one that wakes,
// so what is compared must find it in the same state.
func (b *bench) turns(n int, prepare func() error, measure func() (time.Duration, error)) (c compared, err error) {
	for range n {
		if err := prepare(); err != nil {
			return c, err
		}
		before := stolen()
		d, err := measure()
		if err != nil {
			return c, err
		}
		if stolen() == before {
			c.calm = append(c.calm, d)
		}
		if err := prepare(); err != nil {
			return c, err
		}
		f, err := b.floor.run(1)
		if err != nil {
			return c, err
		}
		c.own, c.floor = append(c.own, d), append(c.floor, f...)
		if b.ctx.Err() != nil {
			return c, b.ctx.Err()
		}
	}
	return c, nil
}

// starts measures runs of `true` over the API and by the command line.
func (b *bench) starts() error {
	b.report.note("warm: before each run it waits until %d standbys stand, each with its disk, and %v more; that is not counted", b.standby, pause)
	settled := func() error { return b.d.settled(b.ctx, 0, 0) }
	var err error
	if b.bare, err = dialBare(strings.TrimPrefix(b.d.host, "unix://")); err != nil {
		return err
	}
	defer b.bare.conn.Close()
	last := "" // the container of the run before
	tidy := func() error {
		if last != "" {
			if err := b.d.c.ContainerRemove(b.ctx, last, true, true); err != nil {
				return err
			}
			last = ""
		}
		return settled()
	}
	c, err := b.turns(b.runs, tidy, func() (took time.Duration, err error) {
		last, took, err = b.createStart()
		return took, err
	})
	if err != nil {
		return err
	}
	b.report.against("create+start to exit, API", c, 1, 4)
	if err := b.sharedFloor(settled); err != nil {
		return err
	}
	c, err = b.turns(b.runs, settled, func() (time.Duration, error) {
		return b.whole("run", "--rm", "core", "true")
	})
	if err != nil {
		return err
	}
	b.report.against("silo run --rm core true", c, 2, 0)
	return nil
}

// sharedFloor measures the floor without the copy of memory that a fork makes,
// after the same pauses: what a container could take at best.
func (b *bench) sharedFloor(prepare func() error) error {
	var all series
	for range b.runs {
		if err := prepare(); err != nil {
			return err
		}
		s, err := b.floor.run(1, "shared")
		if err != nil {
			return err
		}
		all = append(all, s...)
	}
	b.report.times("the floor, its child sharing memory", all)
	return nil
}

// createStart measures from the request that creates a container to the
// answer that it has ended, on a connection that is kept open.
func (b *bench) createStart() (id string, took time.Duration, err error) {
	begin := time.Now()
	body, err := b.bare.post("/containers/create", `{"Image":"core","Cmd":["true"]}`)
	if err != nil {
		return "", 0, err
	}
	_, rest, _ := bytes.Cut(body, []byte(`"Id":"`))
	if len(rest) < 64 {
		return "", 0, fmt.Errorf("no id in %s", body)
	}
	id = string(rest[:64])
	if _, err := b.bare.post("/containers/"+id+"/start", ""); err != nil {
		return id, 0, err
	}
	body, err = b.bare.post("/containers/"+id+"/wait", "")
	took = time.Since(begin)
	if err == nil && !bytes.Contains(body, []byte(`"StatusCode":0`)) {
		err = fmt.Errorf("true ended as %s", body)
	}
	return id, took, err
}

// whole measures a command line of silo as a whole process. The floor's program
// runs it: what a large program takes to start another is not silo's.
func (b *bench) whole(args ...string) (time.Duration, error) {
	s, err := b.floor.run(1, append([]string{filepath.Join(b.bin, "silo")}, args...)...)
	if err != nil {
		return 0, err
	}
	return s[0], nil
}

// timed runs a command and measures its whole life.
func timed(cmd *exec.Cmd) (time.Duration, error) {
	var said output
	f, err := said.file()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	cmd.Stderr = f
	begin := time.Now()
	err = cmd.Run()
	took := time.Since(begin)
	if err != nil {
		return 0, fmt.Errorf("%v: %w: %s", cmd.Args, err, said.text(f))
	}
	return took, nil
}

// execs measures `silo exec` of true in a running container.
func (b *bench) execs() error {
	id, err := b.idle()
	if err != nil {
		return err
	}
	if err := b.d.settled(b.ctx, 1, 1); err != nil {
		return err
	}
	rest := func() error { time.Sleep(pause); return nil }
	c, err := b.turns(b.runs, rest, func() (time.Duration, error) {
		return b.whole("exec", id, "true")
	})
	if err != nil {
		return err
	}
	b.report.against("silo exec C true", c, 1, 0)
	return b.d.removeAll(b.ctx)
}

// idle starts a container that does nothing, and gives its id: one of nano,
// which has no services.
func (b *bench) idle() (string, error) {
	r := &container.CreateRequest{Config: &container.Config{Image: "nano", Cmd: []string{"sleep", "1000000"}}, HostConfig: &container.HostConfig{}}
	made, err := b.d.c.ContainerCreate(b.ctx, "", "", r)
	if err != nil {
		return "", err
	}
	return made.ID, b.d.c.ContainerStart(b.ctx, made.ID)
}

// idles brings the number of idle containers up to n.
func (b *bench) idles(n int) error {
	list, err := b.d.list(b.ctx)
	if err != nil {
		return err
	}
	for range n - len(list) {
		if _, err := b.idle(); err != nil {
			return err
		}
	}
	return b.d.settled(b.ctx, max(n, len(list)), max(n, len(list)))
}

// listing measures `silo ps` of many running containers.
func (b *bench) listing() error {
	if err := b.idles(b.containers); err != nil {
		return err
	}
	var s series
	for range max(b.runs/4, 5) {
		time.Sleep(pause)
		d, err := b.whole("ps")
		if err != nil {
			return err
		}
		s = append(s, d)
	}
	b.report.below(fmt.Sprintf("silo ps, %d running", b.containers), s, 20*time.Millisecond)
	return nil
}

// ready measures silod's start with many stopped containers on record.
func (b *bench) ready() error {
	if err := b.idles(b.containers); err != nil {
		return err
	}
	list, err := b.d.list(b.ctx)
	if err != nil {
		return err
	}
	err = parallel(8, len(list), func(i int) error { return b.d.c.ContainerKill(b.ctx, list[i], "KILL") })
	if err != nil {
		return err
	}
	if err := b.d.settled(b.ctx, b.containers, 0); err != nil {
		return err
	}
	var s series
	for range 5 {
		if err := b.d.stop(); err != nil {
			return err
		}
		if err := b.d.start(b.ctx); err != nil {
			return err
		}
		s = append(s, b.d.took)
		if err := b.d.settled(b.ctx, b.containers, 0); err != nil {
			return err
		}
	}
	b.report.below(fmt.Sprintf("silod ready, %d stopped", b.containers), s, 300*time.Millisecond)
	return b.d.removeAll(b.ctx)
}

// parallel calls f for 0 to n-1, workers at once, and joins the errors.
func parallel(workers, n int, f func(i int) error) error {
	jobs := make(chan int)
	problems := make([]error, n)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range jobs {
				problems[i] = f(i)
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	return errors.Join(problems...)
}

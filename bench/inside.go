package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"silo/api"
	"silo/client/container"
)

// servicesPoll lies between two questions whether the services are up: each
// takes processor time from them, and the figure may be too large by as much.
const servicesPoll = 5 * time.Millisecond

// servicesReady bounds the wait for core's services.
const servicesReady = 10 * time.Second

// manyServices is how many run in the container whose agent is measured.
const manyServices = 10

// services measures what core's services cost a start, when they are up, and
// what their supervisor takes.
func (b *bench) services() error {
	if err := b.beside(); err != nil {
		return err
	}
	var s series
	running := 0
	for range max(b.runs/10, 3) {
		up, err := b.serviceStart()
		if err != nil {
			return err
		}
		s, running = append(s, up.took), up.running
	}
	b.report.below("core's services up after start", s, 100*time.Millisecond)
	units, err := b.units(manyServices - running)
	if err != nil {
		return err
	}
	pssOfAgent, n := 0, max(b.runs/40, 3)
	for range n {
		up, err := b.serviceStart(units + ":/run/systemd/system:ro")
		if err != nil {
			return err
		}
		if up.running != manyServices {
			return fmt.Errorf("%d services run, want %d", up.running, manyServices)
		}
		pssOfAgent = max(pssOfAgent, up.pss)
	}
	mb := float64(pssOfAgent) / 1024
	b.report.value(fmt.Sprintf("agent with %d services, MB", manyServices), n, fmt.Sprintf("%.2f", mb), "6", mb <= 6)
	return nil
}

// units makes a folder of n services that are enabled and only run.
func (b *bench) units(n int) (dir string, err error) {
	dir = filepath.Join(b.d.dir, "units")
	wants := filepath.Join(dir, "default.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return "", err
	}
	for i := range n {
		name := fmt.Sprintf("extra%d.service", i)
		text := fmt.Sprintf("[Unit]\nDescription=Extra %d\n[Service]\nExecStart=/bin/sleep 1000000\nRestart=on-failure\n", i)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
		if err := os.Symlink("../"+name, filepath.Join(wants, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// beside compares runs of core, whose services start beside the command, with
// runs of nano, which has none.
func (b *bench) beside() error {
	run := func(image string) (s series, err error) {
		for range b.runs {
			if err := b.d.settled(b.ctx, 0, 0); err != nil {
				return nil, err
			}
			d, err := b.whole("run", "--rm", image, "true")
			if err != nil {
				return nil, err
			}
			s = append(s, d)
		}
		return s, nil
	}
	nano, err := run("nano")
	if err != nil {
		return err
	}
	core, err := run("core")
	if err != nil {
		return err
	}
	b.report.times("silo run --rm nano true", nano)
	b.report.times("silo run --rm core true (again)", core)
	ratio := float64(core.at(.5)) / float64(nano.at(.5))
	b.report.value("core's run to nano's", len(core), fmt.Sprintf("%.2fx", ratio), "1.5x", ratio <= 1.5)
	return nil
}

// servicesUp is a container of core whose services are up.
type servicesUp struct {
	took    time.Duration // since its start
	running int
	pss     int // of its agent, in KiB
}

// serviceStart starts a container of core, with folders of the host if there
// are any, measures until all enabled services are up, and removes it.
func (b *bench) serviceStart(binds ...string) (out servicesUp, err error) {
	if err := b.d.settled(b.ctx, 0, 0); err != nil {
		return out, err
	}
	r := &container.CreateRequest{Config: &container.Config{Image: "core", Cmd: []string{"sleep", "1000000"}}, HostConfig: &container.HostConfig{Binds: binds}}
	made, err := b.d.c.ContainerCreate(b.ctx, "", "", r)
	if err != nil {
		return out, err
	}
	begin := time.Now()
	if err := b.d.c.ContainerStart(b.ctx, made.ID); err != nil {
		return out, err
	}
	for {
		list, err := b.d.c.Services(b.ctx, made.ID)
		if err != nil {
			return out, err
		}
		if up(list) {
			out.took = time.Since(begin)
			for _, s := range list {
				if s.Status == "running" {
					out.running++
				}
			}
			break
		}
		if time.Since(begin) > servicesReady {
			return out, fmt.Errorf("services are not up after %s: %+v", servicesReady, list)
		}
		time.Sleep(servicesPoll)
	}
	for _, pid := range agents(b.d.keeper()) {
		out.pss = max(out.pss, pss(pid))
	}
	return out, b.d.removeAll(b.ctx)
}

// up tells whether every enabled service that is no timer's or socket's runs,
// or has done what it was to do.
func up(list []api.Service) bool {
	n := 0
	for _, s := range list {
		if !s.Enabled {
			continue
		}
		switch s.Status {
		case "running", "exited":
			n++
		case "starting", "failed":
			return false
		}
	}
	return n > 0
}

// propertyProcesses is how many processes the container has whose properties
// are read.
const propertyProcesses = 50

// properties measures `silo properties` of a container with many processes.
func (b *bench) properties() error {
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 1000000 & i=$((i+1)); done; wait", propertyProcesses-1)
	r := &container.CreateRequest{Config: &container.Config{Image: "core", Cmd: []string{"sh", "-c", script}}, HostConfig: &container.HostConfig{}}
	made, err := b.d.c.ContainerCreate(b.ctx, "", "", r)
	if err != nil {
		return err
	}
	if err := b.d.c.ContainerStart(b.ctx, made.ID); err != nil {
		return err
	}
	if err := b.d.settled(b.ctx, 1, 1); err != nil {
		return err
	}
	time.Sleep(time.Second) // the shell starts its processes meanwhile
	var s series
	for range max(b.runs/4, 5) {
		time.Sleep(pause)
		d, err := b.whole("properties", made.ID)
		if err != nil {
			return err
		}
		s = append(s, d)
	}
	b.report.below(fmt.Sprintf("silo properties, %d processes", propertyProcesses), s, 50*time.Millisecond)
	return b.d.removeAll(b.ctx)
}

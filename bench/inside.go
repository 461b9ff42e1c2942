package main

import (
	"fmt"
	"time"

	"silo/api"
	"silo/client/container"
)

// servicesPoll lies between two questions whether the services are up: each
// takes processor time from them, and the figure may be too large by as much.
const servicesPoll = 5 * time.Millisecond

// servicesReady bounds the wait for core's services.
const servicesReady = 10 * time.Second

// services measures what core's services cost a start, when they are up, and
// what their supervisor takes.
func (b *bench) services() error {
	if err := b.beside(); err != nil {
		return err
	}
	var s series
	pssOfAgent := 0
	for range max(b.runs/10, 3) {
		if err := b.d.settled(b.ctx, 0, 0); err != nil {
			return err
		}
		took, pss, err := b.serviceStart()
		if err != nil {
			return err
		}
		s, pssOfAgent = append(s, took), max(pssOfAgent, pss)
	}
	b.report.below("core's services up after start", s, 100*time.Millisecond)
	mb := float64(pssOfAgent) / 1024
	b.report.value("agent with core's services, MB", len(s), fmt.Sprintf("%.2f", mb), "6", mb <= 6)
	return nil
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

// serviceStart starts a container of core and measures until all enabled
// services are up; pss is what its agent takes then, in KiB.
func (b *bench) serviceStart() (took time.Duration, pssOfAgent int, err error) {
	r := &container.CreateRequest{Config: &container.Config{Image: "core", Cmd: []string{"sleep", "1000000"}}, HostConfig: &container.HostConfig{}}
	made, err := b.d.c.ContainerCreate(b.ctx, "", "", r)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := b.d.c.ContainerStart(b.ctx, made.ID); err != nil {
		return 0, 0, err
	}
	for {
		list, err := b.d.c.Services(b.ctx, made.ID)
		if err != nil {
			return 0, 0, err
		}
		if up(list) {
			took = time.Since(begin)
			break
		}
		if time.Since(begin) > servicesReady {
			return 0, 0, fmt.Errorf("services are not up after %s: %+v", servicesReady, list)
		}
		time.Sleep(servicesPoll)
	}
	for _, pid := range agents(b.d.keeper()) {
		pssOfAgent = max(pssOfAgent, pss(pid))
	}
	return took, pssOfAgent, b.d.removeAll(b.ctx)
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

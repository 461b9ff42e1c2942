// Command bench measures Silo against what the kernel itself needs, and
// against Docker where it is installed. All figures of one output come from one
// run on one machine: runs of the floor (see bench/floor) and of Silo take turns,
// so that both see the same load.
//
// It runs a silod of its own, with roots, bridge and addresses of its own,
// beside whatever else runs on the host, and takes away all of it at the end.
// It asserts nothing: a figure over its limit is marked, and the exit code is
// still 0. Times depend on the machine; ratios much less.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// settings are the flags.
type settings struct {
	bin, floor, root string
	bridge, pool     string
	out              string
	runs             int
	containers       int
	standby          int
	short, docker    bool
	only             string
}

func parse() (s settings) {
	self, err := os.Executable()
	if err != nil {
		self = "bin/bench/bench"
	}
	here := filepath.Dir(self)
	flag.StringVar(&s.bin, "bin", filepath.Dir(here), "folder of silo, silod, silo-keeper and silo-agent")
	flag.StringVar(&s.floor, "floor", filepath.Join(here, "floor"), "the program floor")
	flag.StringVar(&s.root, "root", "/var/tmp", "where the data of the measured silod goes, for the time of the run")
	flag.StringVar(&s.bridge, "bridge", fmt.Sprintf("sb%d", os.Getpid()%10000000), "name of its virtual switch, at most 9 letters")
	flag.StringVar(&s.pool, "address-pool", "172.30.0.0/16", "addresses for its network")
	flag.StringVar(&s.out, "o", "", "write every single figure to this file, as tab-separated name and value")
	flag.IntVar(&s.runs, "n", 0, "runs for each time (default 200, with -short 20)")
	flag.IntVar(&s.containers, "containers", 0, "containers for ps, restart and bursts (default 200, with -short 10)")
	flag.IntVar(&s.standby, "standby", 2, "standbys of the measured silod")
	flag.BoolVar(&s.short, "short", false, "few runs: shows that everything works, says little of speed")
	flag.BoolVar(&s.docker, "docker", true, "compare with Docker where dockerd and containerd are installed")
	flag.StringVar(&s.only, "only", "", "measure only this: start, exec, services, properties, memory, ps, ready, burst, rate or docker")
	flag.Parse()
	full, few := 200, 200
	if s.short {
		full, few = 20, 10
	}
	if s.runs == 0 {
		s.runs = full
	}
	if s.containers == 0 {
		s.containers = few
	}
	return s
}

func main() {
	s := parse()
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the whole program.
type bench struct {
	settings
	ctx    context.Context
	d      *daemon
	floor  *floor
	bare   *bareClient
	report *report
}

func run(s settings) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp(s.root, "silo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{settings: s, ctx: ctx, report: newReport()}
	b.report.heading()
	if b.d, err = startDaemon(ctx, s, dir); err != nil {
		return err
	}
	defer func() {
		if e := b.d.end(); err == nil {
			err = e
		}
		if e := b.report.write(s.out); err == nil {
			err = e
		}
	}()
	base, err := b.d.base(ctx)
	if err != nil {
		return err
	}
	if b.floor, err = startFloor(s.floor, base, b.d.host); err != nil {
		return err
	}
	defer b.floor.end()
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"start", b.starts},
		{"exec", b.execs},
		{"services", b.services},
		{"properties", b.properties},
		{"memory", b.memory},
		{"ps", b.listing},
		{"ready", b.ready},
		{"burst", b.burst},
		{"rate", b.rate},
		{"docker", b.compareDocker},
	} {
		if s.only != "" && s.only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func machine() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%d processors, kernel %.40s, load %.14s", runtime.NumCPU(), trim(release), trim(load))
}

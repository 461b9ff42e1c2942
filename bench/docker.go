package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// dockerRuns is enough to tell a factor of 25.
const dockerRuns = 20

// docker is a Docker of its own, beside any other, with roots and sockets of
// its own. It runs in network and mount namespaces of its own: what it does to
// packet filters, forwarding and mounts goes with it.
type docker struct {
	dir    string
	parent string      // of its cgroups
	cmds   []*exec.Cmd // in the order of their start
}

// compareDocker runs the same file system with Docker and with Silo, in turns.
func (b *bench) compareDocker() (err error) {
	if !b.docker {
		return nil
	}
	for _, program := range []string{"dockerd", "containerd", "docker", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			b.report.note("no comparison with Docker: %s is not installed (apt-get install --no-install-recommends docker.io)", program)
			return nil
		}
	}
	d, err := startDocker(b.ctx, b.d.dir)
	defer func() { err = errors.Join(err, d.end()) }()
	if err != nil {
		return err
	}
	if err := d.importCore(b.d); err != nil {
		return err
	}
	var ours, theirs series
	n := dockerRuns
	if b.short {
		n = 3
	}
	for range n {
		if err := b.d.settled(b.ctx, 0, 0); err != nil {
			return err
		}
		t, err := timed(b.d.silo("run", "--rm", "core", "true"))
		if err != nil {
			return err
		}
		ours = append(ours, t)
		if t, err = timed(d.client("run", "--rm", "core", "/bin/true")); err != nil {
			return err
		}
		theirs = append(theirs, t)
	}
	b.report.times("docker run --rm core true", theirs)
	b.report.times("silo run --rm core true, in turns", ours)
	times := float64(theirs.at(.5)) / float64(ours.at(.5))
	b.report.value("docker's time to ours", n, fmt.Sprintf("%.1fx", times), "≥ 25", times >= 25)
	theirRate, count, err := sustained(b.ctx, b.rateTime(), func() error {
		_, err := timed(d.client("run", "--rm", "core", "/bin/true"))
		return err
	})
	if err != nil {
		return err
	}
	b.report.value("docker run --rm by 4 clients, per s", count, fmt.Sprintf("%.1f", theirRate), "", true)
	ourRate, err := b.siloRate()
	if err != nil {
		return err
	}
	b.report.value("our rate to docker's", count, fmt.Sprintf("%.1fx", ourRate/theirRate), "≥ 5", ourRate/theirRate >= 5)
	return nil
}

// startDocker runs containerd and dockerd and waits until they answer.
func startDocker(ctx context.Context, dir string) (*docker, error) {
	d := &docker{dir: filepath.Join(dir, "docker"), parent: fmt.Sprintf("silo-bench-docker%d", os.Getpid())}
	if err := os.MkdirAll(d.dir, 0o711); err != nil {
		return d, err
	}
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		d.dir+"/containerd", d.dir+"/containerd-state", d.dir+"/containerd.sock")
	if err := os.WriteFile(d.dir+"/containerd.toml", []byte(config), 0o644); err != nil {
		return d, err
	}
	if err := os.WriteFile(d.dir+"/daemon.json", []byte("{}"), 0o644); err != nil {
		return d, err
	}
	err := d.daemon(ctx, d.dir+"/containerd.sock", "containerd", "--config", d.dir+"/containerd.toml")
	if err != nil {
		return d, err
	}
	in := strconv.Itoa(d.cmds[0].Process.Pid)
	if err := say("nsenter", "--target", in, "--net", "ip", "link", "set", "lo", "up"); err != nil {
		return d, err
	}
	err = d.daemon(ctx, d.dir+"/docker.sock", "nsenter", "--target", in, "--mount", "--net",
		"dockerd", "--config-file", d.dir+"/daemon.json", "--data-root", d.dir+"/data", "--exec-root", d.dir+"/exec", "--pidfile", d.dir+"/docker.pid",
		"--containerd", d.dir+"/containerd.sock", "-H", "unix://"+d.dir+"/docker.sock", "--cgroup-parent", "/"+d.parent)
	return d, err
}

// daemon runs a program until its socket is there and answers.
func (d *docker) daemon(ctx context.Context, socket string, args ...string) error {
	log, err := os.OpenFile(d.dir+"/"+args[0]+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if len(d.cmds) == 0 {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cmds = append(d.cmds, cmd)
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(socket)
		if err == nil && len(d.cmds) > 1 {
			err = d.client("version").Run()
		}
		if err == nil {
			return nil
		}
		if time.Since(begin) > daemonTimeout || ctx.Err() != nil {
			return fmt.Errorf("%s does not answer: %w: %s", args[0], err, tail(log.Name()))
		}
	}
}

func (d *docker) client(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+d.dir+"/docker.sock", "DOCKER_CONTEXT=default")
	return cmd
}

// importCore gives Docker the image core as Silo has it.
func (d *docker) importCore(from *daemon) error {
	file := d.dir + "/core.tar"
	if err := said(from.silo("save", "-o", file, "core")); err != nil {
		return err
	}
	return said(d.client("load", "-i", file))
}

func said(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", cmd.Args, err, trim(out))
	}
	return nil
}

// end takes Docker away, last started first, and puts back what it changed.
func (d *docker) end() error {
	var problems []error
	for i := len(d.cmds) - 1; i >= 0; i-- {
		cmd := d.cmds[i]
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(daemonTimeout/2, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // its exit code after a signal says nothing
		kill.Stop()
	}
	for _, dir := range cgroupsOf(d.parent) {
		problems = append(problems, os.Remove(dir))
	}
	return errors.Join(append(problems, os.RemoveAll(d.dir))...)
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"silo/client"
)

// daemon is the silod that is measured.
type daemon struct {
	settings
	dir  string
	host string
	cmd  *exec.Cmd
	c    *client.Client
	took time.Duration // from exec until it answered
}

// daemonTimeout bounds each wait for silod; nothing measured comes near it.
const daemonTimeout = 60 * time.Second

func startDaemon(ctx context.Context, s settings, dir string) (*daemon, error) {
	d := &daemon{settings: s, dir: dir, host: "unix://" + dir + "/run/silo.sock"}
	if err := os.MkdirAll(dir+"/run", 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.config(), []byte("{}"), 0o644); err != nil { // not the host's
		return nil, err
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.end())
	}
	return d, nil
}

func (d *daemon) config() string { return d.dir + "/silod.json" }

// start runs silod and waits until it answers.
func (d *daemon) start(ctx context.Context) (err error) {
	log, err := os.OpenFile(d.dir+"/silod.log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.Command(filepath.Join(d.bin, "silod"), "--data-root", d.dir+"/data", "--exec-root", d.dir+"/run", "-H", d.host,
		"--bridge", d.bridge, "--address-pool", d.pool, "--standby", strconv.Itoa(d.standby), "--config", d.config())
	d.cmd.Stderr = log
	d.cmd.Dir = "/"
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for bench, which ends it in order
	begin := time.Now()
	if err := d.cmd.Start(); err != nil {
		return err
	}
	if d.c, err = client.New(d.host); err != nil {
		return err
	}
	for {
		_, err := d.c.Version(ctx)
		if err == nil {
			d.took = time.Since(begin)
			return nil
		}
		if time.Since(begin) > daemonTimeout || ctx.Err() != nil {
			return fmt.Errorf("silod does not answer: %w: %s", err, tail(d.dir+"/silod.log"))
		}
		time.Sleep(time.Millisecond)
	}
}

func tail(path string) string {
	data, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(len(lines)-3, 0):], "; ")
}

// stop ends silod and leaves the keeper and the containers.
func (d *daemon) stop() error {
	if d.cmd == nil || d.cmd.Process == nil {
		return nil
	}
	if d.c != nil {
		d.c.Close()
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(daemonTimeout, func() { _ = d.cmd.Process.Kill() })
	err := d.cmd.Wait()
	kill.Stop()
	d.cmd = nil
	if err != nil {
		return fmt.Errorf("end silod: %w", err)
	}
	return nil
}

// end removes all containers, and ends silod and its keeper.
func (d *daemon) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), daemonTimeout)
	defer cancel()
	var problems []error
	if d.cmd != nil && d.c != nil {
		problems = append(problems, d.removeAll(ctx))
	}
	keeper := d.keeper()
	problems = append(problems, d.stop())
	if keeper != 0 {
		problems = append(problems, endKeeper(keeper))
	}
	return errors.Join(append(problems, d.clean())...)
}

// keeper finds the keeper of the measured silod, 0 if there is none.
func (d *daemon) keeper() int {
	return processWith(filepath.Join(d.dir, "run", "keeper.sock"))
}

// processWith finds a process that has text as an argument.
func processWith(text string) int {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		args, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		for _, a := range strings.Split(string(args), "\x00") {
			if a == text {
				return pid
			}
		}
	}
	return 0
}

func endKeeper(pid int) error {
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil {
			return nil
		}
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	return fmt.Errorf("keeper %d does not end", pid)
}

// clean removes what silod keeps on the host for its next start.
func (d *daemon) clean() error {
	var problems []error
	if _, err := os.Stat("/sys/class/net/" + d.bridge); err == nil {
		problems = append(problems, say("ip", "link", "delete", d.bridge))
	}
	table := "silo-" + d.bridge
	if say("nft", "list", "table", "inet", table) == nil {
		problems = append(problems, say("nft", "delete", "table", "inet", table))
	}
	for _, dir := range d.cgroups() {
		problems = append(problems, os.Remove(dir))
	}
	return errors.Join(problems...)
}

// say runs a command; its error tells what the command said.
func say(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, trim(out))
	}
	return nil
}

// settled waits until as many standbys are ready as wanted, and nothing else
// is being made or undone: the containers folder has an entry for each standby
// and each known container, and each of them that should has its disk attached.
// Then it leaves the machine alone for a moment.
func (d *daemon) settled(ctx context.Context, containers, running int) error {
	begin := time.Now()
	for {
		folders, disks := d.folders(), d.loops()
		if folders == d.standby+containers && disks == d.standby+running {
			time.Sleep(pause)
			return nil
		}
		if time.Since(begin) > daemonTimeout || ctx.Err() != nil {
			return fmt.Errorf("after %v there are %d container folders and %d disks, not %d and %d: %s", time.Since(begin).Round(time.Second),
				folders, disks, d.standby+containers, d.standby+running, tail(d.dir+"/silod.log"))
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// pause lies between the last sign of a standby being made and a measurement.
const pause = 20 * time.Millisecond

func (d *daemon) folders() int {
	entries, _ := os.ReadDir(d.dir + "/data/containers")
	return len(entries)
}

// loops counts loop devices over disks of the measured silod.
func (d *daemon) loops() (n int) {
	entries, _ := os.ReadDir("/sys/block")
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "loop") {
			continue
		}
		file, err := os.ReadFile("/sys/block/" + e.Name() + "/loop/backing_file")
		if err == nil && strings.HasPrefix(string(file), d.dir+"/") {
			n++
		}
	}
	return n
}

// base is the EROFS file of the image core.
func (d *daemon) base(ctx context.Context) (string, error) {
	img, err := d.c.ImageInspect(ctx, "core")
	if err != nil {
		return "", err
	}
	_, id, _ := strings.Cut(img.Value.ID, ":")
	file := filepath.Join(d.dir, "data", "bases", id, "base.erofs")
	_, err = os.Stat(file)
	return file, err
}

// silo makes a command of the measured command line.
func (d *daemon) silo(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(d.bin, "silo"), args...)
	cmd.Env = append(os.Environ(), "SILO_HOST="+d.host)
	cmd.WaitDelay = daemonTimeout
	return cmd
}

// floor is the running program of bench/floor.
type floor struct {
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Scanner
}

func startFloor(program, base, host string) (*floor, error) {
	f := &floor{cmd: exec.Command(program, base, "/bin/true")}
	f.cmd.Env = append(os.Environ(), "SILO_HOST="+host)
	// Its mounts go with it.
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	f.cmd.Stderr = os.Stderr
	theirs, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	f.in, f.cmd.Stdin = in, theirs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewScanner(out)
	f.out.Buffer(nil, 1<<20)
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the floor: %w", err)
	}
	return f, nil
}

// run makes n runs of the floor, or of a program of the host with its
// arguments.
func (f *floor) run(n int, program ...string) (series, error) {
	fmt.Fprintln(f.in, strings.Join(append([]string{strconv.Itoa(n)}, program...), "\t"))
	if !f.out.Scan() {
		return nil, errors.New("the floor has ended")
	}
	var s series
	for _, v := range strings.Fields(f.out.Text()) {
		ns, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, err
		}
		s = append(s, time.Duration(ns))
	}
	return s, nil
}

func (f *floor) end() {
	f.in.Close()
	_ = f.cmd.Wait()
}

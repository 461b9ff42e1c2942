// Command timeout runs a command and ends it after a time: timeout 5 sleep 10.
// It exits 124 when the time was up, or 137 if it took the signal KILL; else
// as the command did. 125 to 127 tell that the command could not be run.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"coretools.silo/getopt"
	"coretools.silo/signals"
)

const mistake = 125 // exit code of timeout's own errors

func main() {
	opt := getopt.ParseOr(mistake, "+s:k:fpv", "timeout [-fpv] [-s signal] [-k time] time command [argument ...]", map[string]string{
		"signal": "s", "kill-after": "k", "foreground": "f", "preserve-status": "p", "verbose": "v",
	})
	if len(opt.Operands) < 2 {
		opt.Usage("needs a time and a command")
	}
	limit, err := getopt.Duration(opt.Operands[0])
	if err != nil {
		opt.Usage("%v", err)
	}
	sig, err := signals.Parse(opt.Value('s', "TERM"))
	if err != nil {
		opt.Usage("%v", err)
	}
	after, err := getopt.Duration(opt.Value('k', "0"))
	if err != nil {
		opt.Usage("-k: %v", err)
	}
	r := &runner{signal: sig, after: after, foreground: opt.Has('f'), verbose: opt.Has('v')}
	os.Exit(r.run(opt.Operands, limit, opt.Has('p')))
}

// runner runs one command.
type runner struct {
	signal     syscall.Signal
	after      time.Duration // from the signal to KILL; 0 is never
	foreground bool          // stays in the group that it was started in, and signals the command alone
	verbose    bool
	cmd        *exec.Cmd
	sent       map[syscall.Signal]bool // to the group, so that they come back
	timedOut   bool
}

// run runs the command that follows the time in words, and gives its exit code.
func (r *runner) run(words []string, limit time.Duration, preserve bool) int {
	r.sent = map[syscall.Signal]bool{}
	r.cmd = exec.Command(words[1], words[2:]...)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if !r.foreground {
		// A session's leader cannot, and leads its group anyway.
		_ = syscall.Setpgid(0, 0)
	}
	// Caught before the start, so that none is lost; the command gets the usual
	// ones back.
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, r.catch()...)
	if err := r.cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "timeout: %v\n", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return 127
		}
		return 126
	}
	done := make(chan error, 1)
	go func() { done <- r.cmd.Wait() }()
	err := r.await(caught, done, limit)
	if preserve {
		return code(err, false)
	}
	return code(err, r.timedOut)
}

// catch lists what is handed on. What was ignored from the start, as nohup does
// it, stays so. In a group of the background the kernel sends TTIN and TTOU to
// all when the command uses the terminal: the clock must not stop then. URG and
// CHLD come from Go and from the command's end, and end nobody.
func (r *runner) catch() (all []os.Signal) {
	usual := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTTIN, syscall.SIGTTOU}
	for _, s := range append(usual, r.signal) {
		if s != 0 && s != syscall.SIGURG && s != syscall.SIGCHLD && !signals.Ignored(s) {
			all = append(all, s)
		}
	}
	return all
}

// await waits for the command's end, and signals it when the time is up, or as
// timeout is signaled itself.
func (r *runner) await(caught <-chan os.Signal, done <-chan error, limit time.Duration) error {
	var up, kill <-chan time.Time
	if limit > 0 {
		up = time.After(limit)
	}
	for {
		select {
		case <-up:
			r.timedOut = true
			r.send(r.signal)
			kill = r.later()
		case s := <-caught:
			sig, ok := s.(syscall.Signal)
			if !ok || r.sent[sig] || sig == syscall.SIGTTIN || sig == syscall.SIGTTOU {
				continue
			}
			r.send(sig)
			kill = r.later()
		case <-kill:
			r.send(syscall.SIGKILL)
		case err := <-done:
			return err
		}
	}
}

func (r *runner) later() <-chan time.Time {
	if r.after <= 0 {
		return nil
	}
	return time.After(r.after)
}

// send signals the command and, unless it stays in the foreground, all in its
// group. That is timeout's own too: KILL ends both.
func (r *runner) send(sig syscall.Signal) {
	if r.verbose {
		fmt.Fprintf(os.Stderr, "timeout: sending signal %s to '%s'\n", name(sig), r.cmd.Path)
	}
	group, err := syscall.Getpgid(r.cmd.Process.Pid)
	if r.foreground || err != nil || group != syscall.Getpgrp() {
		r.one(sig) // it may have gone to a group of its own
	}
	if r.foreground {
		return
	}
	r.sent[sig] = true
	_ = syscall.Kill(0, sig)
	if sig != syscall.SIGKILL && sig != syscall.SIGCONT { // what is stopped would not see it
		_ = syscall.Kill(0, syscall.SIGCONT)
	}
}

func (r *runner) one(sig syscall.Signal) {
	_ = r.cmd.Process.Signal(sig)
	if sig != syscall.SIGKILL && sig != syscall.SIGCONT {
		_ = r.cmd.Process.Signal(syscall.SIGCONT)
	}
}

func name(sig syscall.Signal) string {
	if n := int(sig) - 1; n >= 0 && n < len(signals.Names) {
		return signals.Names[n]
	}
	return fmt.Sprint(int(sig))
}

func code(err error, timedOut bool) int {
	var ee *exec.ExitError
	var ws syscall.WaitStatus
	if errors.As(err, &ee) {
		ws, _ = ee.Sys().(syscall.WaitStatus)
	}
	switch {
	case timedOut && !(ws.Signaled() && ws.Signal() == syscall.SIGKILL):
		return 124
	case ws.Signaled():
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

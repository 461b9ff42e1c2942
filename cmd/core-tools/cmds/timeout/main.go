// Command timeout runs a command and ends it after a time: timeout 5 sleep 10.
// It exits 124 when the time was up, or 137 if it took the signal KILL; else
// as the command did.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"coretools.silo/getopt"
	"coretools.silo/signals"
)

func main() {
	opt := getopt.Parse("+s:k:", "timeout [-s signal] [-k time] time command [argument ...]", map[string]string{"signal": "s", "kill-after": "k"})
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
	cmd := exec.Command(opt.Operands[1], opt.Operands[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "timeout: %v\n", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			os.Exit(127)
		}
		os.Exit(126)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var up, kill <-chan time.Time
	if limit > 0 {
		up = time.After(limit)
	}
	timedOut := false
	for {
		select {
		case <-up:
			timedOut = true
			_ = cmd.Process.Signal(sig)
			if after > 0 {
				kill = time.After(after)
			}
		case <-kill:
			_ = cmd.Process.Kill()
		case err := <-done:
			os.Exit(code(err, timedOut))
		}
	}
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

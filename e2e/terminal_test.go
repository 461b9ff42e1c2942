package e2e

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"silo/internal/linux"
)

// terminal is a person at a terminal on which silo runs.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	done   chan struct{} // closed when silo has ended
	mu     sync.Mutex
	screen strings.Builder
}

// terminal runs silo on a terminal of its own, 100 columns wide.
func (d *daemon) terminal(args ...string) *terminal {
	d.t.Helper()
	m, s, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		d.t.Fatal(err)
	}
	if err := linux.SetWinsize(s.Int(), 30, 100); err != nil {
		d.t.Fatal(err)
	}
	p := &terminal{t: d.t, master: m.File(), done: make(chan struct{})}
	slave := s.File()
	defer slave.Close()
	cmd, cancel := d.command(args...)
	p.cmd = cmd
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := p.master.Read(buf)
			p.mu.Lock()
			p.screen.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		_ = cmd.Wait() // the exit code tells
		close(p.done)
	}()
	d.t.Cleanup(func() { cancel(); <-p.done; p.master.Close(); <-read })
	return p
}

func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// sees waits until a text is on the screen.
func (p *terminal) sees(text string) {
	p.t.Helper()
	until(p.t, "text "+text+" on the terminal", func() bool {
		if strings.Contains(p.text(), text) {
			return true
		}
		select {
		case <-p.done:
			if !strings.Contains(p.text(), text) {
				p.t.Fatalf("silo ended before %q was seen:\n%s", text, p.text())
			}
			return true
		default:
			return false
		}
	})
}

func (p *terminal) types(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// code waits for the end and gives the exit code.
func (p *terminal) code() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

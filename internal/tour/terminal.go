package tour

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"silo/internal/linux"
)

// terminal runs a shell on a terminal of the tour's own, as a person would.
func (t *tour) terminal() {
	screen, code, err := t.onTerminal("echo sum $((40+2)); tty\nexit 3\n", "run", "--rm", "-it", "--name", shell, "core", "sh")
	t.show("silo run --rm -it --name "+shell+" core sh", printable(screen))
	if err != nil {
		t.fail("%v", err)
		return
	}
	t.want(screen, "sum 42")
	t.want(screen, "/dev/")
	if code != 3 {
		t.fail("exit code %d, want that of the shell, 3", code)
	}
	if out, err := t.output("inspect", "--format", "{{.Name}}", shell); err == nil {
		t.fail("%s is still there after its end", out)
	}
}

// onTerminal types text at a silo command on a terminal and gives all that was
// on it, and the exit code.
func (t *tour) onTerminal(text string, args ...string) (screen string, code int, err error) {
	m, s, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		return "", 0, err
	}
	master, slave := m.File(), s.File()
	defer master.Close()
	if err := linux.SetWinsize(linux.RawFD(slave), 30, 100); err != nil {
		slave.Close()
		return "", 0, err
	}
	ctx, cancel := context.WithTimeout(t.ctx, commandLimit)
	defer cancel()
	c := exec.CommandContext(ctx, t.o.Silo, args...)
	c.Env = append(os.Environ(), "SILO_HOST="+t.o.Host, "TERM=xterm")
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = c.Start()
	slave.Close()
	if err != nil {
		return "", 0, err
	}
	read := make(chan string, 1)
	ready := make(chan struct{})
	go func() { read <- readScreen(master, ready) }()
	select {
	case <-ready: // the prompt is there: what is typed before a terminal is raw may be lost
	case <-ctx.Done():
	}
	_, _ = master.WriteString(text) // a terminal that is gone is noticed by the exit code
	_ = c.Wait()                    // the exit code tells
	return <-read, c.ProcessState.ExitCode(), nil
}

// readScreen reads until the terminal's end; ready is closed with the first
// output.
func readScreen(f *os.File, ready chan struct{}) string {
	var out strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		if n > 0 && out.Len() == 0 {
			close(ready)
		}
		out.Write(buf[:n])
		if err != nil {
			return out.String()
		}
	}
}

// printable takes what moves the cursor out of a screen.
func printable(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == 0x1b && i+1 < len(s) && s[i+1] == '[':
			for i += 2; i < len(s) && (s[i] < 0x40 || s[i] > 0x7e); i++ {
			}
		case c == '\n' || c >= ' ':
			out.WriteByte(c)
		}
	}
	return strings.TrimRight(out.String(), "\n")
}

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// terminal opens a pseudo terminal: the side of a person and that of programs.
func terminal(t *testing.T) (person, programs *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	var unlock, number uint32
	for _, call := range []struct {
		request uintptr
		value   *uint32
	}{{syscall.TIOCSPTLCK, &unlock}, {syscall.TIOCGPTN, &number}} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), call.request, uintptr(unsafe.Pointer(call.value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	programs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return person, programs
}

// session is a shell that a person talks to.
type session struct {
	t      *testing.T
	person *os.File
	output chan string
}

func startSession(t *testing.T) (*session, *exec.Cmd) {
	person, programs := terminal(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = "sh"
	cmd.Env = append(os.Environ(), "SH_UNDER_TEST=1", `PS1=[\w]% `, "HOME=/nowhere")
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = programs, programs, programs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	programs.Close()
	s := &session{t: t, person: person, output: make(chan string, 64)}
	go func() {
		defer close(s.output)
		buf := make([]byte, 4096)
		for {
			n, err := person.Read(buf)
			if n > 0 {
				s.output <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return s, cmd
}

// expect types and then reads until want appears.
func (s *session) expect(typed, want string) {
	s.t.Helper()
	if _, err := io.WriteString(s.person, typed); err != nil {
		s.t.Fatal(err)
	}
	var got strings.Builder
	limit := time.After(20 * time.Second)
	for !strings.Contains(got.String(), want) {
		select {
		case text, ok := <-s.output:
			if !ok {
				s.t.Fatalf("after %q the shell ended; it wrote %q, want %q", typed, got.String(), want)
			}
			got.WriteString(text)
		case <-limit:
			s.t.Fatalf("after %q the shell wrote %q, want %q", typed, got.String(), want)
		}
	}
}

func TestTerminal(t *testing.T) {
	s, cmd := startSession(t)
	const prompt = "[/]% "
	s.expect("", prompt)
	s.expect("echo hi\r", "\r\nhi\r\n"+prompt)
	s.expect("for i in 1 2\r", "> ")
	s.expect("do echo $i; done\r", "1\r\n2\r\n"+prompt)
	// Ctrl-C ends the command, not the shell; 130 is 128 + SIGINT.
	s.expect("sleep 60\r", "\n")
	time.Sleep(300 * time.Millisecond) // the command must run, or the line is cleared
	s.expect("\x03", prompt)
	s.expect("echo $?\r", "\r\n130\r\n"+prompt)
	// It ends a loop of builtins too.
	s.expect("while :; do :; done\r", "\n")
	time.Sleep(300 * time.Millisecond)
	s.expect("\x03", prompt)
	// On a half-written line it only clears the line.
	s.expect("echo no", "echo no")
	s.expect("\x03", prompt)
	s.expect("echo (\r", "must be followed by")
	s.expect("\r", prompt)
	// A job survives Ctrl-C and is reported when it ends.
	s.expect("sleep 0.4 &\r", "[1] ")
	s.expect("sleep 60\r", "\n")
	time.Sleep(200 * time.Millisecond)
	s.expect("\x03", prompt)
	s.expect("wait; echo waited\r", "[1]  Done  sleep 0.4")
	// Completion of a path, history, directory in the prompt.
	s.expect("cd /et\t\r", "[/etc]% ")
	s.expect("echo again\r", "again\r\n[/etc]% ")
	s.expect("\x1b[A\r", "again\r\n[/etc]% ")
	s.expect("exit 5\r", "")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("the shell ended with %v, want 5", err)
	}
}

func TestTerminalEnd(t *testing.T) {
	s, cmd := startSession(t)
	s.expect("", "[/]% ")
	s.expect("\x04", "\n") // Ctrl-D
	if err := cmd.Wait(); err != nil {
		t.Errorf("the shell ended with %v at the end of input, want 0", err)
	}
}

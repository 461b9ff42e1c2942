package survival

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// session is a client that is attached to a command.
type session struct {
	d    *daemon
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	errs strings.Builder
}

// attached starts a client with pipes.
func (d *daemon) attached(args ...string) *session {
	d.t.Helper()
	s := &session{d: d, cmd: d.command(args...)}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		d.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	s.cmd.Stderr = &s.errs
	if err := s.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	return s
}

// say sends a line and expects an answer that ends with want.
func (s *session) say(line, want string) {
	s.d.t.Helper()
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		s.d.t.Fatalf("send %q: %v", line, err)
	}
	s.expect(want)
}

// expect reads lines until one is want.
func (s *session) expect(want string) {
	s.d.t.Helper()
	var seen []string
	for {
		line, err := s.out.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		seen = append(seen, line)
		if line == want {
			return
		}
		if err != nil {
			s.d.t.Fatalf("expected %q, read %q, then %v\n%s", want, seen, err, s.errs.String())
		}
	}
}

// exits waits for the client's end and checks its code.
func (s *session) exits(code int) {
	s.d.t.Helper()
	_, _ = io.Copy(io.Discard, s.out)
	_ = s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.d.t.Errorf("%v: exit code %d, want %d\n%s", s.cmd.Args[1:], got, code, s.errs.String())
	}
}

// counting prints numbered lines until /ctl/stop is there, then how many.
const counting = `i=0; while [ ! -e /ctl/stop ]; do echo line $i; i=$((i+1)); done; echo end $i; exit 7`

// checkCount checks the log of a counting container: every line, in order.
func (d *daemon) checkCount(name string) {
	d.t.Helper()
	lines := strings.Split(d.silo("logs", name), "\n")
	for i, l := range lines {
		want := "line " + strconv.Itoa(i)
		if i == len(lines)-1 {
			want = "end " + strconv.Itoa(i)
		}
		if l != want {
			d.t.Fatalf("log of %s: line %d of %d is %q, want %q", name, i, len(lines), l, want)
		}
	}
}

// answering repeats what it reads, and exits with 5.
const answering = `while read l; do echo got $l; done; exit 5`

// control makes a folder for a container's /ctl.
func (d *daemon) control() (dir, mount string) {
	dir, err := os.MkdirTemp(d.dir, "ctl")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return dir, dir + ":/ctl"
}

func (d *daemon) touch(dir, name string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// freePort finds a port that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestContainersOutliveSilod(t *testing.T) {
	d := startDaemon(t)
	ctl, mount := d.control()
	port := freePort(t)
	d.silo("run", "-d", "--name", "counter", "--log-opt", "max-size=-1", "-p", fmt.Sprintf("%d:80", port), "-v", mount, "nano", "sh", "-c", counting)
	d.silo("run", "-d", "--name", "ends", "-v", mount, "nano", "sh", "-c", "while [ ! -e /ctl/end ]; do sleep 0.05; done; exit 3")
	d.silo("run", "-d", "--rm", "--name", "vanishes", "-v", mount, "nano", "sh", "-c", "while [ ! -e /ctl/end ]; do sleep 0.05; done; exit 4")
	talk := d.attached("run", "-i", "--name", "talk", "nano", "sh", "-c", answering)
	talk.say("one", "got one")
	exec := d.attached("exec", "-i", "counter", "sh", "-c", "while read l; do echo got $l; done; exit 6")
	exec.say("one", "got one")
	pids := d.silo("ps", "-q", "--no-trunc") + d.silo("inspect", "-f", "{{.State.Pid}}", "counter", "talk")

	d.kill()
	talk.say("two", "got two") // while nobody but the keeper is there
	exec.say("two", "got two")
	d.touch(ctl, "end")
	d.start()

	talk.say("three", "got three")
	exec.say("three", "got three")
	d.until("an end during the absence is noted", func() bool { return d.status("ends") == "exited 3" })
	d.until("a container of --rm is removed", func() bool { _, _, code := d.try("inspect", "vanishes"); return code != 0 })
	if got := d.silo("inspect", "-f", "{{.State.Pid}}", "counter", "talk"); !strings.HasSuffix(pids, got) {
		t.Errorf("processes are %s, were %s", got, pids)
	}
	if got := d.silo("port", "counter"); !strings.Contains(got, strconv.Itoa(port)) {
		t.Errorf("published ports after the kill: %q", got)
	}
	if got := d.silo("ps", "--format", "{{.Names}} {{.Ports}}"); !strings.Contains(got, "counter") || !strings.Contains(got, strconv.Itoa(port)) {
		t.Errorf("ps shows:\n%s", got)
	}
	if got := d.silo("stats", "--no-stream", "--format", "{{.Name}}"); !strings.Contains(got, "counter") {
		t.Errorf("stats shows %q", got)
	}
	if got := d.silo("run", "--rm", "core", "nslookup", "counter"); got == "" {
		t.Error("the name of a container that was taken over is not known")
	}
	talk.in.Close()
	talk.exits(5)
	exec.in.Close()
	exec.exits(6)
	d.touch(ctl, "stop")
	d.until("the counter has ended", func() bool { return d.status("counter") == "exited 7" })
	d.checkCount("counter")
	d.silo("rm", "counter", "ends", "talk")
	if got := d.silo("ps", "-aq"); got != "" {
		t.Errorf("containers are left: %s", got)
	}
}

func TestSilodEndsInOrder(t *testing.T) {
	d := startDaemon(t, "--standby", "2")
	d.until("standbys are there", func() bool { return len(d.traces()) > 0 })
	d.silo("run", "-d", "--name", "stays", "nano", "sleep", "1000")
	pid := d.silo("inspect", "-f", "{{.State.Pid}} {{.Id}}", "stays")
	d.stop()
	_, id, _ := strings.Cut(pid, " ")
	var folders []string
	for _, s := range d.traces() {
		if strings.HasPrefix(s, "folder ") {
			folders = append(folders, s)
		}
	}
	if len(folders) != 1 || folders[0] != "folder "+id {
		t.Errorf("folders after silod has ended: %q, want that of %s", folders, id)
	}
	d.start("--standby", "0")
	if got := d.silo("inspect", "-f", "{{.State.Pid}} {{.Id}}", "stays"); got != pid {
		t.Errorf("the container was %s and is %s", pid, got)
	}
	if got := d.silo("run", "--rm", "nano", "echo", "without standby"); got != "without standby" {
		t.Errorf("run without standbys prints %q", got)
	}
	d.silo("rm", "-f", "stays")
	d.clean(nil)
}

// A restart policy's count holds across silod's end, in the middle of it or
// after it has given up.
func TestRestartCountSurvives(t *testing.T) {
	d := startDaemon(t)
	const policy = "{{.State.Status}} {{.RestartCount}}"
	field := func(name string) string { return d.silo("inspect", "--format", policy, name) }
	d.silo("run", "-d", "--name", "over", "--restart", "on-failure:2", "core", "sh", "-c", "echo run; exit 1")
	d.until("it has given up", func() bool { return field("over") == "exited 2" })
	d.silo("run", "-d", "--name", "series", "--restart", "on-failure:4", "core", "sh", "-c", "echo run; exit 1")
	d.until("it is restarted", func() bool { return strings.HasSuffix(field("series"), " 2") })
	d.kill()
	d.start()
	d.until("the other has given up too", func() bool { return strings.HasPrefix(field("series"), "exited ") })
	if got := field("over"); got != "exited 2" {
		t.Errorf("after silod's restart: %s", got)
	}
	runs := strings.Count(d.silo("logs", "series"), "run")
	if runs < 5 || runs > 6 { // one that is not noted yet when silod is killed is not counted
		t.Errorf("it ran %d times, want its first run and four more", runs)
	}
	d.silo("rm", "over", "series")
}

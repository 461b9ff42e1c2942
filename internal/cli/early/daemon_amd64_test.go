package early_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// patience bounds each run of a program; one that takes longer is killed, and
// its exit code then tells.
const patience = time.Minute

const id = "4cf3fe2a0b81a4e1c7e14e5a9fd4e1b2e7a14c8f0b7d6c5a4b3c2d1e0f9a8b7c"

// Heads of answers to run and exec.
const (
	upgraded = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n" +
		"Silo-Container: " + id + "\r\nSilo-Exec: e1\r\n"
	head = upgraded + "Upgrade: tcp\r\n\r\n"
)

// frame is output in Docker's framing.
func frame(stream byte, text string) string {
	n := len(text)
	return string([]byte{stream, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + text
}

// end tells an exit code.
func end(code int) string { return frame(4, string([]byte{0, 0, byte(code >> 8), byte(code)})) }

// answer answers one request.
type answer func(*exchange)

// answers are by the path of the request.
type answers map[string]answer

// daemon is the other side of one run of silo.
type daemon struct {
	t       *testing.T
	socket  string
	l       net.Listener
	answers answers
	wg      sync.WaitGroup

	started chan struct{} // pid is set
	pid     int
	ended   chan struct{} // silo has ended
	read    chan struct{} // closed by an answer: now silo's output is read
	killed  chan int      // signals of kill requests
	killing sync.Mutex

	mu    sync.Mutex
	calls []string
	times map[string]int // how often a path was asked for
}

// exchange is one request and its connection.
type exchange struct {
	*daemon
	conn   *net.UnixConn
	query  url.Values
	header http.Header
	nth    int // of its path, from 1
	over   bool
}

func newDaemon(t *testing.T, a answers) *daemon {
	t.Helper()
	d := &daemon{ // messages have the name of the socket: it is always the same
		t: t, socket: filepath.Join(folder, "s"), answers: a, times: map[string]int{}, killed: make(chan int, 100),
		started: make(chan struct{}), ended: make(chan struct{}), read: make(chan struct{}),
	}
	var err error
	if d.l, err = net.Listen("unix", d.socket); err != nil {
		t.Fatal(err)
	}
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		for {
			conn, err := d.l.Accept()
			if err != nil {
				return
			}
			d.wg.Add(1)
			go func() {
				defer d.wg.Done()
				defer conn.Close()
				d.serve(conn.(*net.UnixConn))
			}()
		}
	}()
	return d
}

// stop ends the daemon after silo has ended.
func (d *daemon) stop() []string {
	close(d.ended)
	d.l.Close()
	d.wg.Wait()
	return d.calls
}

func (d *daemon) serve(conn *net.UnixConn) {
	for r := bufio.NewReader(conn); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		x := &exchange{daemon: d, conn: conn, query: req.URL.Query(), header: req.Header}
		d.mu.Lock()
		d.calls = append(d.calls, fmt.Sprintf("%s %s %v %s", req.Method, req.RequestURI, req.Header, body))
		d.times[req.URL.Path]++
		x.nth = d.times[req.URL.Path]
		a := d.answers[req.URL.Path]
		d.mu.Unlock()
		n, kill := strconv.Atoi(req.URL.Query().Get("signal"))
		if kill == nil { // one is answered and told of before the next
			d.killing.Lock()
		}
		switch {
		case a != nil:
			a(x)
		case kill == nil:
			x.reply(204, "")
		default:
			x.reply(404, `{"message":"no such thing: `+req.URL.Path+`"}`)
		}
		if kill == nil {
			d.killed <- n
			d.killing.Unlock()
		}
		if x.over {
			return
		}
	}
}

// send writes to silo; one that has ended does not mind.
func (x *exchange) send(text string) { io.WriteString(x.conn, text) }

// reply is an ordinary answer.
func (x *exchange) reply(status int, body string) {
	length := ""
	if status != 204 {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	x.send(fmt.Sprintf("HTTP/1.1 %d %s\r\n%s\r\n%s", status, http.StatusText(status), length, body))
}

// until waits for something that silo does.
func (d *daemon) until(what string, done func() bool) {
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Microsecond) {
		select {
		case <-d.ended:
			d.t.Errorf("silo ended before %s", what)
			return
		default:
		}
		if time.Now().After(deadline) {
			d.t.Errorf("there was never %s", what)
			return
		}
	}
}

// signal sends silo a signal and waits until it has taken it.
func (d *daemon) signal(n syscall.Signal) {
	d.signalOnly(n)
	d.until(n.String()+" taken", func() bool {
		pending, err := strconv.ParseUint(d.status("ShdPnd"), 16, 64)
		return err == nil && pending&(1<<(n-1)) == 0
	})
}

func (d *daemon) signalOnly(n syscall.Signal) {
	<-d.started
	if err := syscall.Kill(d.pid, n); err != nil {
		d.t.Errorf("signal %v: %v", n, err)
	}
}

// status gives a field of what the kernel tells of silo.
func (d *daemon) status(field string) string {
	<-d.started
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid))
	_, text, _ := strings.Cut(string(data), "\n"+field+":")
	text, _, _ = strings.Cut(text, "\n")
	return strings.TrimSpace(text)
}

// awaitKill waits until silo has asked for a signal to be sent.
func (d *daemon) awaitKill(n syscall.Signal) {
	select {
	case got := <-d.killed:
		if got != int(n) {
			d.t.Errorf("silo sends signal %d, want %d", got, n)
		}
	case <-d.ended:
		d.t.Errorf("silo ended before it sent signal %d", n)
	}
}

// sendSlowly sends each byte when silo has read the one before.
func (x *exchange) sendSlowly(text string) {
	for i := range len(text) {
		x.send(text[i : i+1])
		x.untilRead()
	}
}

// untilRead waits until silo has read what was sent.
func (x *exchange) untilRead() {
	x.until("what was sent read", func() bool {
		var left int32
		rc, err := x.conn.SyscallConn()
		if err != nil {
			return true
		}
		rc.Control(func(fd uintptr) {
			syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left)))
		})
		return left == 0
	})
}

// untilFull waits until silo's standard output, a pipe, takes no more.
func (x *exchange) untilFull() {
	<-x.started
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", x.pid), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		x.t.Error(err)
		return
	}
	defer f.Close()
	const pollOut = 4
	x.until("a full pipe", func() bool {
		p := struct {
			fd              int32
			events, revents int16
		}{int32(f.Fd()), pollOut, 0}
		n, _, errno := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, 0)
		return n == 0 && errno == 0
	})
}

// Answers.

func sends(text string) answer {
	return func(x *exchange) { x.send(text); x.over = true }
}

func slowly(text string) answer {
	return func(x *exchange) { x.sendSlowly(text); x.over = true }
}

func replies(status int, body string) answer {
	return func(x *exchange) { x.reply(status, body) }
}

// inTurn answers each request with the next.
func inTurn(list ...answer) answer {
	return func(x *exchange) { list[min(x.nth, len(list))-1](x) }
}

package keeper

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	agent "silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	"silo/internal/logfile"
)

// How long output is awaited after the end of a command: all processes of a
// container are dead by then, and only a descriptor that has left it can keep
// a pipe open; what an exec leaves in the background may keep its.
const (
	mainDrain = 3 * time.Second
	execDrain = 50 * time.Millisecond
)

// process is a command with its standard streams.
type process struct {
	keeper *Keeper
	id     string   // container
	exec   string   // "" is the container's own command
	args   []string // of an exec
	user   string
	stdio  wire.Stdio
	pid    int
	pidfd  *linux.FD
	log    *logfile.Writer

	child []*linux.FD // the command's ends, until it has begun
	tty   *os.File    // or these three:
	stdin *os.File
	outs  []*output
	ready chan struct{} // closed when the pumps run, or never will

	mu      sync.Mutex
	clients []*client
	open    int           // outputs that have not ended
	ended   chan struct{} // closed when open is 0
	over    bool          // the command has ended
	cutoff  bool          // stop at the first pause
	closed  bool
}

// newProcess makes the streams of a command to be. It takes ownership of the
// clients' connections.
func (k *Keeper) newProcess(c *container, exec string, s wire.Stdio, conns []*linux.FD, attach []wire.Attach) (*process, error) {
	p := &process{keeper: k, id: c.id, exec: exec, stdio: s, ready: make(chan struct{}), ended: make(chan struct{})}
	ok := false
	defer func() {
		if !ok {
			for _, conn := range conns {
				conn.Close()
			}
			p.abandon()
		}
	}()
	var err error
	if p.log, err = openLog(s.Log); err != nil {
		return nil, err
	}
	var ahead *outputs
	if exec == "" {
		ahead = c.takeOutputs()
	}
	if s.TTY {
		ahead.close()
	} else if err := p.makePipes(int(c.first), ahead); err != nil {
		return nil, err
	}
	for i, conn := range conns {
		conns[i] = nil
		cl, err := newClient(p, conn, attach[i])
		if err != nil {
			return nil, err
		}
		p.clients = append(p.clients, cl)
	}
	ok = true
	return p, nil
}

// number is the command's process.
func (p *process) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// status tells what an exec is.
func (p *process) status() wire.ExecStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return wire.ExecStatus{ID: p.exec, PID: p.pid, Args: p.args, User: p.user, Stdio: p.stdio}
}

func (p *process) childFDs() (out []int) {
	for _, fd := range p.child {
		out = append(out, fd.Int())
	}
	return out
}

// began takes in the agent's answer: the process number and, with a
// terminal, its master.
func (p *process) began(a answer) error {
	pid, err := startedPID(a)
	if err == nil && p.stdio.TTY {
		if len(a.fds) != 1 {
			err = errors.New("the agent sent no terminal")
		} else {
			p.tty = linux.NewFD(a.fds[0], "terminal of "+p.id).PollFile()
			p.outs = []*output{{name: "stdout", code: 1, f: p.tty}}
			a.fds = nil
		}
	}
	linux.CloseAll(a.fds)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.pid = pid
	p.mu.Unlock()
	// A process that has ended already stays a zombie's number until its
	// agent reaps it; if it is gone, signals have nothing to reach.
	p.pidfd, err = linux.PidfdOpen(pid)
	if err != nil && !linux.IsErrno(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// pump starts moving bytes.
func (p *process) pump() {
	for _, fd := range p.child {
		fd.Close()
	}
	p.child = nil
	p.startPumps()
}

func (p *process) startPumps() {
	k := p.keeper
	p.mu.Lock()
	p.open = len(p.outs)
	if p.open == 0 {
		close(p.ended)
	}
	for _, c := range p.clients {
		c.greet()
	}
	for _, o := range p.outs {
		k.pumps.Add(1)
		go p.read(o)
	}
	for _, c := range p.clients {
		c.start()
	}
	p.mu.Unlock()
	close(p.ready)
}

// abandon closes everything of a command that did not begin. Its clients'
// connections are not ended: silod has copies on which it tells why.
func (p *process) abandon() {
	for _, fd := range p.child {
		fd.Close()
	}
	p.child = nil
	select {
	case <-p.ready:
	default:
		close(p.ready)
	}
	p.mu.Lock()
	clients := p.clients
	p.clients = nil
	p.mu.Unlock()
	for _, c := range clients {
		c.drop()
	}
	p.close()
}

// drain waits until all output is read and passed on; after patience it takes
// what is there and cuts off the rest.
func (p *process) drain(patience time.Duration) {
	<-p.ready
	p.mu.Lock()
	started := p.open > 0
	p.over = true
	p.mu.Unlock()
	if !started {
		return
	}
	if p.tty != nil { // see pauses
		p.wakePumps()
	}
	select {
	case <-p.ended:
		return
	case <-time.After(patience):
	}
	p.mu.Lock()
	p.cutoff = true
	clients := p.clients
	p.mu.Unlock()
	for _, c := range clients { // one that does not read holds up no end
		_ = c.conn.SetWriteDeadline(time.Now())
	}
	p.wakePumps()
	<-p.ended
}

// wakePumps makes those who wait for output look again: they read until there is
// nothing more at once.
func (p *process) wakePumps() {
	for _, o := range p.outs {
		_ = o.f.SetReadDeadline(time.Now())
	}
}

// sendEnd tells the exit code to the clients who asked for it.
func (p *process) sendEnd(code int) {
	p.mu.Lock()
	clients := p.clients
	p.mu.Unlock()
	for _, c := range clients {
		c.sendEnd(code)
	}
}

// takeHeld takes out the clients who are to learn the exit code: they are no
// longer the command's.
func (p *process) takeHeld() (held []*client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []*client
	for _, c := range p.clients {
		if c.attach.End {
			held = append(held, c)
		} else {
			rest = append(rest, c)
		}
	}
	p.clients = rest
	return held
}

// close ends all streams and clients.
func (p *process) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	clients := p.clients
	p.clients = nil
	p.mu.Unlock()
	for _, c := range clients {
		c.hangUp()
	}
	for _, o := range p.outs {
		o.f.Close()
	}
	if p.stdin != nil {
		p.stdin.Close()
	}
	if p.pidfd != nil {
		p.pidfd.Close()
	}
	p.closeLog()
}

// closeLog writes what is left of the output. Nothing writes any more.
func (p *process) closeLog() {
	p.mu.Lock()
	log := p.log
	p.log = nil
	p.mu.Unlock()
	if log == nil {
		return
	}
	if err := log.Close(); err != nil {
		p.keeper.log.Warn("close log", "container", p.id, "err", err)
	}
}

// buffers are shared: an idle stream holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, frameHeader+32<<10); return &b }}

// read moves one output to the log and the clients until it ends.
func (p *process) read(o *output) {
	k := p.keeper
	defer k.pumps.Done()
	rc, err := o.f.SyscallConn()
	for err == nil {
		var buf *[]byte
		var n int
		var rerr error
		err = rc.Read(func(fd uintptr) bool {
			buf = buffers.Get().(*[]byte)
			n, rerr = linux.ReadFD(int(fd), (*buf)[frameHeader:])
			if p.pauses(rerr) {
				buffers.Put(buf)
				buf = nil
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.cutoff
			}
			return true
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if p.isOver() {
				_ = o.f.SetReadDeadline(time.Time{})
				err = nil
				continue // once more, without waiting
			}
			return // an upgrade: the stream goes on in the next program
		}
		if err != nil || buf == nil {
			break
		}
		if n > 0 {
			p.deliver(o, *buf, n)
		}
		buffers.Put(buf)
		if n == 0 || rerr != nil { // end of file; EIO is a terminal's
			break
		}
	}
	p.mu.Lock()
	p.open--
	if p.open == 0 {
		close(p.ended)
	}
	p.mu.Unlock()
}

// pauses tells whether more output may follow an error. A terminal that nobody
// has open says EIO, but as long as its command runs somebody may open it again:
// an init closes its streams and writes to /dev/console.
func (p *process) pauses(err error) bool {
	if linux.IsErrno(err, syscall.EAGAIN) {
		return true
	}
	return p.tty != nil && linux.IsErrno(err, syscall.EIO) && !p.isOver()
}

func (p *process) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// deliver passes n bytes behind the room for a frame header in buf to the log
// and to every client that wants them. A client that does not read holds up
// the command, as a terminal that is stopped does.
func (p *process) deliver(o *output, buf []byte, n int) {
	if p.log != nil {
		_ = p.log.Write(o.name, time.Now(), buf[frameHeader:frameHeader+n]) // counts and reports its own losses
	}
	p.mu.Lock()
	clients := p.clients
	p.mu.Unlock()
	for _, c := range clients {
		if o.code == 1 && !c.attach.Stdout || o.code == 2 && !c.attach.Stderr {
			continue
		}
		if err := c.send(o.code, buf[:frameHeader+n]); err != nil {
			p.leave(c)
		}
	}
}

// join adds a client to a running command.
func (p *process) join(conn *linux.FD, a wire.Attach) error {
	c, err := newClient(p, conn, a)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.closed || p.open == 0 {
		p.mu.Unlock()
		c.hangUp()
		return errs.Conflictf("container %s has ended", p.id)
	}
	p.clients = append(p.clients[:len(p.clients):len(p.clients)], c) // readers hold the old list
	c.start()
	p.mu.Unlock()
	return nil
}

// leave removes a client and closes its connection.
func (p *process) leave(c *client) {
	p.mu.Lock()
	var rest []*client
	for _, x := range p.clients {
		if x != c {
			rest = append(rest, x)
		}
	}
	p.clients = rest
	p.mu.Unlock()
	c.hangUp()
}

// closeStdin gives the command the end of its input.
func (p *process) closeStdin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stdin != nil {
		p.stdin.Close()
		p.stdin = nil
	}
}

// input is where standard input goes; nil if it is closed or none.
func (p *process) input() *os.File {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tty != nil {
		return p.tty
	}
	return p.stdin
}

func (p *process) resize(rows, cols uint16) error {
	<-p.ready
	if p.tty == nil {
		return errs.Invalidf("resize: %v", errNoTerminal)
	}
	rc, err := p.tty.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := rc.Control(func(fd uintptr) { serr = linux.SetWinsize(int(fd), rows, cols) }); err != nil {
		return errs.Conflictf("resize: the terminal is closed")
	}
	return serr
}

func startedPID(a answer) (int, error) {
	var s agent.Started
	if err := json.Unmarshal(a.m.Body, &s); err != nil || s.PID <= 1 {
		return 0, errors.New("the agent told no process number")
	}
	return s.PID, nil
}

package early

import "unsafe"

const (
	hostVariable = "SILO_HOST="
	unixScheme   = "unix://"
	defaultHost  = "/run/silo/silo.sock" // as client.DefaultHost
)

// entry is where the program begins.
//
//nolint:unused // the linker's flag -E names it
func entry()

// space is the memory of all there is to do. It is one variable, and what most
// command lines need lies together at its begin: a page that is touched costs as
// much as ten system calls, and more in some virtual machines.
var space struct {
	entryState
	address  address
	window   window
	polled   [2]pollFD
	proxy    proxy
	stream   stream
	line     command
	args     [mostArgs]string
	body     buffer
	head     buffer
	signals  buffer         // the proxy's
	received [mostText]byte // the stream's
}

// entryState is what entry_amd64.s uses.
//
//nolint:unused // the linter does not read assembly
type entryState struct {
	initial   uintptr      // the stack as the kernel made it
	thread    [2]uintptr   // FS points behind the first
	goroutine [128]uintptr // stands for the runtime's, all zeros
}

// start does the work of entry: it answers the command line and gives the exit
// code, or is below 0 if the Go program is to do it. stack holds argc, the
// arguments and, after a zero, the environment and another zero.
func start(stack *uintptr) int {
	n := int(*stack)
	if n < 1 || n > mostArgs {
		return unanswered
	}
	words := unsafe.Add(unsafe.Pointer(stack), unsafe.Sizeof(*stack))
	for i := range n {
		space.args[i] = text(words, i)
	}
	return serve(space.args[:n], hostIn(words, n+1))
}

// hostIn gives SILO_HOST of the environment that begins with the i-th pointer of
// a list. If it is there twice the first counts, as for os.Getenv.
func hostIn(list unsafe.Pointer, i int) string {
	for ; word(list, i) != nil; i++ {
		if v := text(list, i); len(v) >= len(hostVariable) && v[:len(hostVariable)] == hostVariable {
			return v[len(hostVariable):]
		}
	}
	return ""
}

// serve answers a command line with the daemon at host, empty for the default.
func serve(args []string, host string) int {
	line := &space.line
	if !line.parse(args) {
		return unanswered
	}
	socket := socketOf(host)
	if socket == "" {
		return unanswered
	}
	space.proxy.fd, space.proxy.asked, space.proxy.request = -1, -1, &space.signals
	if line.asks() {
		return line.ask(socket)
	}
	return line.begin(socket)
}

// begin starts a process in a container and copies its output.
func (c *command) begin(socket string) int {
	body, head, proxy := &space.body, &space.head, &space.proxy
	var terminal size
	if c.verb == verbRun {
		terminal = terminalSize()
	}
	c.body(body, terminal)
	c.head(head, body.n)
	head.add(unsafe.String(&body.b[0], body.n))
	if body.full || head.full {
		return unanswered
	}
	fd := connect(socket)
	if fd < 0 {
		return unanswered
	}
	if c.verb == verbRun && !proxy.catch(socket) || !send(fd, head.bytes()) {
		proxy.release()
		closeFD(fd)
		return unanswered
	}
	s := &space.stream
	s.fd, s.proxy, s.in = fd, proxy, space.received[:mostStream]
	return s.answer()
}

// ask prints a text that the daemon answers with.
func (c *command) ask(socket string) int {
	head := &space.head
	c.question(head)
	if head.full {
		return unanswered
	}
	fd := connect(socket)
	if fd < 0 {
		return unanswered
	}
	s := &space.stream
	s.fd, s.proxy, s.in = fd, &space.proxy, space.received[:]
	code := unanswered
	if send(fd, head.bytes()) && s.text() {
		code = s.print()
	}
	closeFD(fd)
	return code
}

// socketOf gives the path of a daemon's socket, empty if the Go program has
// something to say about it.
func socketOf(host string) string {
	if host == "" {
		return defaultHost
	}
	if len(host) > len(unixScheme) && host[:len(unixScheme)] == unixScheme {
		host = host[len(unixScheme):]
	} else if _, _, colon := cut(host, ':'); colon { // it may be a URL
		return ""
	}
	if host[0] != '/' {
		return ""
	}
	return host
}

// word gives the i-th pointer of a list.
func word(list unsafe.Pointer, i int) *byte {
	return *(**byte)(unsafe.Add(list, uintptr(i)*unsafe.Sizeof(list)))
}

// text gives the i-th text of a list of pointers to texts that end with a zero.
func text(list unsafe.Pointer, i int) string {
	p := word(list, i)
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return unsafe.String(p, n)
}

package early

import "unicode/utf8"

// mostRequest is enough for any command line that people type, in bytes.
const mostRequest = 32 << 10

// buffer is text that is being written. What does not fit makes it full.
type buffer struct {
	n    int
	full bool
	b    [mostRequest]byte
}

func (w *buffer) bytes() []byte { return w.b[:w.n] }

func (w *buffer) add(s string) {
	if len(s) > len(w.b)-w.n {
		w.full = true
		return
	}
	w.n += put(w.b[w.n:], s)
}

// put is copy, and at compares, byte by byte: the runtime's are faster, but lie
// on pages of the program that nothing else needs, and texts are short.
func put(to []byte, s string) int {
	for i := range len(s) {
		to[i] = s[i]
	}
	return len(s)
}

func (w *buffer) byte(c byte) {
	if w.n == len(w.b) {
		w.full = true
		return
	}
	w.b[w.n] = c
	w.n++
}

// quote adds a JSON string. The Go program sees to text that is not UTF-8.
func (w *buffer) quote(s string) {
	const hex = "0123456789abcdef"
	if !ascii(s) && !utf8.ValidString(s) {
		w.full = true
		return
	}
	w.byte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			w.byte('\\')
			w.byte(c)
		case c < ' ':
			w.add(`\u00`)
			w.byte(hex[c>>4])
			w.byte(hex[c&15])
		default:
			w.byte(c)
		}
	}
	w.byte('"')
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (w *buffer) number(n int) {
	if n >= 10 {
		w.number(n / 10)
	}
	w.byte('0' + byte(n%10))
}

// field adds a field with a text, unless that is empty.
func (w *buffer) field(key, value string) {
	if value == "" {
		return
	}
	w.add(key)
	w.quote(value)
	w.byte(',')
}

// list adds a field with a list, unless that is empty.
func (w *buffer) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	w.add(key)
	w.byte('[')
	for i, s := range values {
		if i > 0 {
			w.byte(',')
		}
		w.quote(s)
	}
	w.add("],")
}

// end turns the comma after the last field into the end of the object.
func (w *buffer) end() {
	if !w.full {
		w.b[w.n-1] = '}'
	}
}

// size is that of the user's terminal in characters, 0 if there is none.
type size struct{ height, width int }

// body writes the request's body, byte for byte what package client makes of
// the same command line.
func (c *command) body(w *buffer, terminal size) {
	w.byte('{')
	if c.verb == verbExec {
		w.field(`"User":`, c.user)
		w.add(`"AttachStderr":true,"AttachStdout":true,`)
		w.list(`"Env":`, c.env[:c.envs])
		w.field(`"WorkingDir":`, c.workdir)
		w.list(`"Cmd":`, c.args)
		w.end()
		return
	}
	w.field(`"Hostname":`, c.hostname)
	w.field(`"User":`, c.user)
	w.add(`"AttachStdout":true,"AttachStderr":true,"ExposedPorts":{},`)
	w.list(`"Env":`, c.env[:c.envs])
	w.list(`"Cmd":`, c.args)
	w.field(`"Image":`, c.target)
	w.field(`"WorkingDir":`, c.workdir)
	if c.hasEntrypoint {
		w.add(`"Entrypoint":[`)
		w.quote(c.entrypoint)
		w.add(`],`)
	}
	w.add(`"Labels":{},"HostConfig":{`)
	w.field(`"NetworkMode":`, c.network)
	w.add(`"PortBindings":{},"RestartPolicy":{"Name":"no"},`)
	if c.remove {
		w.add(`"AutoRemove":true,`)
	}
	if terminal.height > 0 || terminal.width > 0 {
		w.add(`"ConsoleSize":[`)
		w.number(terminal.height)
		w.byte(',')
		w.number(terminal.width)
		w.add(`],`)
	}
	w.end()
	w.byte('}')
}

// question writes a request for text.
func (c *command) question(w *buffer) {
	w.add("GET ")
	if c.verb == verbProperties {
		w.add("/silo/properties/")
		w.add(c.target)
	} else {
		w.add("/containers/json?")
		w.option("all=1&", c.all)
		w.option("notrunc=1&", c.noTrunc)
		w.option("quiet=1&", c.quiet)
		w.option("size=1&", c.size)
		w.n-- // the last & or ?
	}
	w.add(" HTTP/1.1\r\nHost: silo\r\nUser-Agent: silo\r\nAccept: text/plain\r\n\r\n")
}

// option adds a parameter if it is on.
func (w *buffer) option(s string, on bool) {
	if on {
		w.add(s)
	}
}

// head writes the request up to its body.
func (c *command) head(w *buffer, length int) {
	if c.verb == verbExec {
		w.add("POST /silo/exec/")
		w.add(c.target)
	} else {
		w.add("POST /silo/run?")
		if c.name != "" {
			w.add("name=")
			w.add(c.name)
			w.byte('&')
		}
		w.add("stderr=1&stdout=1")
	}
	w.add(" HTTP/1.1\r\nHost: silo\r\nUser-Agent: silo\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: ")
	w.number(length)
	w.add("\r\n\r\n")
}

package early_test

import (
	"math/rand"
	"strings"
	"syscall"
	"testing"
)

// run and wait are the paths of requests.
const (
	run  = "/silo/run"
	wait = "/containers/" + id + "/wait"
)

// ran answers run with a stream.
func ran(stream string) answers { return answers{run: sends(head + stream)} }

// streams are what follows the head of an answer: a table for run and exec.
var streams = map[string]struct {
	stream string
	code   int
	stderr string // of run; exec says the same
}{
	"nothing":                {end(0), 0, ""},
	"exit code":              {end(3), 3, ""},
	"largest exit code":      {end(255), 255, ""},
	"exit code with a carry": {end(259), 3, ""},
	"both streams":           {frame(1, "out\n") + frame(2, "err\n") + frame(1, "more\n") + end(1), 1, "err\n"},
	"empty frames":           {frame(1, "") + frame(2, "") + frame(1, "x") + frame(1, "") + end(0), 0, ""},
	"unknown streams":        {frame(0, "a") + frame(3, "b") + frame(9, "c") + end(0), 0, ""},
	"a frame with more":      {"\x01abc\x00\x00\x00\x02xy\x04def\x00\x00\x00\x04\x00\x00\x00\x07", 7, ""},
	"more after the end":     {end(4) + frame(1, "never") + end(5), 4, ""},
	"the largest frame":      {frame(1, strings.Repeat("0123456789abcdef", 1<<16)) + end(0), 0, ""},
	"a frame over the limit": {frame(1, "x") + "\x01\x00\x00\x00\x00\x10\x00\x01" + strings.Repeat("y", 100), 0, "silo: a frame of 1048577 bytes of output: the limit is 1048576\n"},
	"a frame of 4 GB":        {"\x02\x00\x00\x00\xff\xff\xff\xff", 0, "the limit is"},
	"an end over the limit":  {"\x04\x00\x00\x00\xff\xff\xff\xff", 0, "the limit is"},

	// Without an exit code: it is asked for and is 9.
	"no end":          {frame(1, "x"), 9, ""},
	"no frame":        {"", 9, ""},
	"part of a head":  {frame(1, "x") + "\x01\x00\x00", 9, ""},
	"part of a frame": {frame(1, "x") + frame(1, "lost")[:10], 9, ""},
	"part of an end":  {frame(2, "x") + end(7)[:11], 9, "x"},
	"a short end":     {frame(4, "ab") + end(7), 9, ""},
	"a long end":      {frame(4, "abcdefgh") + end(7), 9, ""},
}

// TestStreams gives the same stream to run and to exec, at once and byte for
// byte.
func TestStreams(t *testing.T) {
	for name, c := range streams {
		failed := strings.Contains(c.stderr, "the limit is")
		for _, exec := range []bool{false, true} {
			s := scenario{
				args: []string{"run", "--rm", "core", "x"}, want: c.code, stderr: c.stderr,
				answers: answers{run: sends(head + c.stream), wait: replies(200, `{"StatusCode":9}`)},
			}
			if failed {
				s.want = 125
			}
			if exec {
				s.args = []string{"exec", "web", "x"}
				s.answers = answers{"/silo/exec/web": sends(head + c.stream), "/exec/e1/json": replies(200, `{"Running":false,"ExitCode":9}`)}
				if failed {
					s.want = 1
				}
			}
			t.Run(name+" of "+s.args[0], s.compare)
			if len(c.stream) > 100 {
				continue
			}
			for path, a := range s.answers {
				if strings.HasPrefix(path, "/silo/") {
					a = slowly(head + c.stream)
				}
				s.answers[path] = a
			}
			t.Run(name+" of "+s.args[0]+" slowly", s.compare)
		}
	}
}

// TestSplits cuts an answer in two at every byte.
func TestSplits(t *testing.T) {
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	all := head + frame(1, "out") + frame(2, "err") + end(3)
	for i := range all {
		s := scenario{answers: answers{run: func(x *exchange) {
			x.send(all[:i])
			x.untilRead()
			x.send(all[i:])
		}}}
		if r := s.run(t, p[0]); r.Out != "out" || r.Err != "err" || r.Code != 3 {
			t.Errorf("cut at %d: %+v", i, r)
		}
	}
}

// TestMuch compares 10 MB in frames of every size.
func TestMuch(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	var all strings.Builder
	all.WriteString(head)
	for left := 10 << 20; left > 0; {
		b := make([]byte, min(left, 1+random.Intn(1<<uint(random.Intn(18)))))
		random.Read(b)
		all.WriteString(frame(1, string(b)))
		left -= len(b)
	}
	all.WriteString(end(5))
	for _, args := range [][]string{{"run", "core"}, {"exec", "web", "x"}} {
		s := scenario{args: args, want: 5, answers: answers{run: sends(all.String()), "/silo/exec/web": sends(all.String())}}
		t.Run(args[0], s.compare)
	}
}

// TestHeads gives answers that are not just the stream.
func TestHeads(t *testing.T) {
	pulled := ran(frame(1, "ran\n") + end(2))
	pulled[run] = inTurn(replies(404, `{"message":"no such image: core"}`), pulled[run])
	pulled["/images/create"] = replies(200, `{"status":"Pulling fs layer","id":"abc"}`+"\n"+`{"status":"Pull complete","id":"abc"}`+"\n")
	exec := []string{"exec", "web", "x"}
	long := func(n int) answers { // a head of n bytes
		pad := "X-Pad: " + strings.Repeat("x", n-len(head)-len("X-Pad: \r\n")) + "\r\n"
		return answers{run: sends(upgraded + pad + "Upgrade: tcp\r\n\r\n" + frame(1, "out") + end(3))}
	}
	for name, s := range map[string]scenario{
		"warnings":           {answers: answers{run: sends(upgraded + "Silo-Warnings: [\"mind the gap\"]\r\n\r\n" + frame(2, "err") + end(3))}, want: 3, stderr: "WARNING: mind the gap\nerr"},
		"pull":               {answers: pulled, want: 2, stderr: "Image core is not here, pulling it\n"},
		"not an image":       {answers: answers{run: replies(404, `{"message":"no such network"}`)}, want: 125, stderr: "silo: no such network\n"},
		"not found":          {answers: answers{run: replies(400, `{"message":"exec: \"x\": executable file not found in $PATH"}`)}, want: 127, stderr: "silo: exec"},
		"not executable":     {answers: answers{run: replies(400, `{"message":"permission denied"}`)}, want: 126, stderr: "silo: permission denied\n"},
		"name in use":        {answers: answers{run: replies(409, `{"message":"the name is in use"}`)}, want: 125, stderr: "silo: the name is in use\n"},
		"no JSON":            {answers: answers{run: replies(500, "text\n")}, want: 125, stderr: "silo: text\n"},
		"no body":            {answers: answers{run: replies(500, "")}, want: 125, stderr: "silo: the daemon answered with status 500\n"},
		"exec, not found":    {args: exec, answers: answers{"/silo/exec/web": replies(400, `{"message":"no such file or directory"}`)}, want: 127, stderr: "silo: no such"},
		"exec, no container": {args: exec, answers: answers{"/silo/exec/web": replies(404, `{"message":"no such container: web"}`)}, want: 1, stderr: "silo: no such container: web\n"},
		"200":                {answers: answers{run: sends("HTTP/1.1 200 OK\r\nSilo-Container: " + id + "\r\n\r\n" + frame(1, "out") + end(3))}, want: 3},
		"interim":            {answers: answers{run: sends("HTTP/1.1 100 Continue\r\n\r\n" + head + frame(1, "out") + end(3))}, want: 3},
		"another container":  {answers: answers{run: sends(strings.Replace(head, id, "Web", 1) + frame(1, "out") + end(3))}, want: 3},
		"16 K":               {answers: long(16 << 10), want: 3},
		"16 K and a byte":    {answers: long(16<<10 + 1), want: 3},
		"just 64 K":          {answers: long(64<<10 - 3), want: 3},
		"over 64 K":          {answers: long(64<<10 + 10), want: 125, stderr: "the answer is not HTTP"},
		"not HTTP":           {answers: answers{run: sends("hello\r\n\r\n")}, want: 125, stderr: "the answer is not HTTP"},
		"nothing":            {answers: answers{run: sends("")}, want: 125, stderr: "silo: the daemon went away: EOF\n"},
		"part of a head":     {answers: answers{run: sends(head[:len(head)-2])}, want: 125, stderr: "silo: the daemon went away: "},
		"removed meanwhile":  {args: []string{"run", "--rm", "core"}, answers: answers{run: sends(head)}, want: 125, stderr: "was removed while the daemon was away"},
	} {
		t.Run(name, s.compare)
	}
}

// TestCommandLines has what comes before the request.
func TestCommandLines(t *testing.T) {
	if _, err := programs(); err != nil {
		t.Fatal(err)
	}
	fine := answers{run: sends(head + frame(1, "out") + end(3)), "/containers/json": replies(200, "[]")}
	for name, s := range map[string]scenario{
		"no daemon":       {absent: true, want: 125, stderr: "silo: no daemon answers at unix://"},
		"a path":          {host: "%s", want: 3},
		"TCP":             {host: "tcp://127.0.0.1:1", want: 125, stderr: "only unix sockets are supported"},
		"a relative path": {host: "s", want: 125, stderr: "not an absolute path"},
		"no path":         {host: "unix://", want: 125, stderr: "not an absolute path"},
		"a path or a URL": {host: "/nonexistent/x://%s", want: 125, stderr: "only unix sockets are supported"},
		"a colon":         {host: "/nonexistent/a:b", want: 125, stderr: "no daemon answers"},
		"a long path":     {host: "unix:///" + strings.Repeat("x", 200), want: 125, stderr: "connect to unix:///xxx"},
		"many arguments":  {args: append([]string{"run", "core"}, make([]string, 300)...), want: 3},
		"long arguments":  {args: []string{"run", "core", strings.Repeat("x", 40_000)}, want: 3},
		"unknown flag":    {args: []string{"run", "--nope", "core"}, want: 125, stderr: "unknown flag: --nope"},
		"only -=":         {args: []string{"run", "-="}, want: 125, stderr: "unknown shorthand flag: '=' in -="},
		"two networks":    {args: []string{"run", "--network", "a", "--network", "b", "core"}, want: 125, stderr: "--network was given 2 times"},
		"no command":      {args: []string{}, want: 0},
		"another command": {args: []string{"ps", "-n", "1"}, want: 0},
		"no name":         {unnamed: true, want: 3},
	} {
		if s.answers == nil {
			s.answers = fine
		}
		t.Run(name, s.compare)
	}
}

// TestOutputs has standard streams that are not a plain pipe.
func TestOutputs(t *testing.T) {
	some := ran(frame(1, "out\n") + end(3))
	full := answers{run: func(x *exchange) {
		x.over = true
		go x.send(head + frame(1, strings.Repeat("x", 1<<20)) + end(3))
		x.untilFull()
		close(x.read)
		<-x.ended
	}}
	for name, s := range map[string]scenario{
		"nobody reads":              {out: toNobody, answers: some, want: 128 + int(syscall.SIGPIPE)},
		"nobody reads, ignored":     {out: toNobody, shell: `trap "" PIPE; exec "$@"`, answers: some, want: 128 + int(syscall.SIGPIPE)},
		"full":                      {out: toFull, answers: some, want: 125, stderr: "no space left on device"},
		"full, exec":                {out: toFull, args: []string{"exec", "web", "x"}, answers: answers{"/silo/exec/web": some[run]}, want: 1, stderr: "no space left on device"},
		"closed":                    {shell: `exec "$@" >&-`, answers: some, want: 3},
		"closed input":              {shell: `exec "$@" <&-`, answers: some, want: 3},
		"closed input and output":   {shell: `exec "$@" <&- >&-`, answers: some, want: 3},
		"closed error":              {shell: `exec "$@" 2>&-`, answers: ran(frame(2, "err") + end(3)), want: 3},
		"all closed":                {shell: `exec "$@" <&- >&- 2>&-`, answers: ran(frame(2, "err") + end(3)), want: 3},
		"open to be read":           {shell: `exec "$@" 1</dev/null`, answers: some, want: 125, stderr: "bad file descriptor"},
		"a terminal":                {out: toTerminal, answers: some, want: 3},
		"a terminal, exec":          {out: toTerminal, args: []string{"exec", "web", "x"}, answers: answers{"/silo/exec/web": some[run]}, want: 3},
		"full for a while":          {out: toLate, answers: full, want: 3},
		"full for a while, no wait": {out: toLateNonblock, answers: full, want: 3},
		"full, no wait, exec":       {out: toLateNonblock, args: []string{"exec", "web", "x"}, answers: answers{"/silo/exec/web": full[run]}, want: 3},
	} {
		t.Run(name, s.compare)
	}
}

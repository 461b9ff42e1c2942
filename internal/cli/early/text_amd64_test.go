package early_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"silo/api"
	"silo/client/container"
	"silo/internal/listing"
)

// asText tells a request for text.
func (x *exchange) asText() bool { return x.header.Get("Accept") == "text/plain" }

// text is an answer with a text.
func text(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nApi-Version: 1.56\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", len(body), body)
}

// tables answers with n containers, and with their properties: text by send,
// JSON to who wants that.
func tables(t *testing.T, n int, send func(x *exchange, all string)) answers {
	t.Helper()
	var rows []listing.Container
	var list []container.Summary
	for i := range n {
		c := container.Summary{
			ID: fmt.Sprintf("%064x", i), Names: []string{fmt.Sprintf("/c%d", i)}, Image: "core", Command: "sleep é 1000000 and more", Created: time.Now().Unix() - 86400, Status: "Up 24 hours",
			Ports: []container.PortSummary{{IP: netip.IPv4Unspecified(), PrivatePort: 80, PublicPort: 8080, Type: "tcp"}},
		}
		list = append(list, c)
		rows = append(rows, listing.Container{
			ID: c.ID, Names: c.Names, Image: c.Image, Command: c.Command, Created: c.Created, Status: c.Status, Ports: []listing.Port{listing.Port(c.Ports[0])},
		})
	}
	views := api.Properties{Name: "web", Container: id, State: "running", Isolation: "process", Session: 7}
	for i := range n {
		views.Processes = append(views.Processes, api.ProcessView{PID: i, Name: "sh", Answer: api.Same})
	}
	both := func(v any, write func(x *exchange, b *strings.Builder) error) answer {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return func(x *exchange) {
			if !x.asText() {
				x.reply(200, string(data))
				return
			}
			var b strings.Builder
			if err := write(x, &b); err != nil {
				t.Error(err)
			}
			send(x, text(b.String()))
		}
	}
	return answers{
		"/containers/json": both(list, func(x *exchange, b *strings.Builder) error {
			q := x.query
			return listing.Containers(b, rows, listing.ContainersOptions{Quiet: q.Has("quiet"), NoTrunc: q.Has("notrunc"), Size: q.Has("size")})
		}),
		"/silo/properties/web": both(views, func(_ *exchange, b *strings.Builder) error { return listing.Properties(b, &views) }),
	}
}

// What a program asks for.
const (
	asText = "text"
	asJSON = "JSON"
	asBoth = "text JSON" // the text was not good
)

// asked tells what a run asked for.
func (r *result) asked() string {
	var list []string
	for _, call := range r.Calls {
		if strings.Contains(call, "text/plain") {
			list = append(list, asText)
		} else {
			list = append(list, asJSON)
		}
	}
	return strings.Join(list, " ")
}

// compareTexts runs both programs; early is what the one asks for.
func (s *scenario) compareTexts(t *testing.T, early string) {
	t.Helper()
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	got, want := s.run(t, p[0]), s.run(t, p[1])
	asked, plain := got.asked(), want.asked()
	got.Calls, want.Calls = nil, nil
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the same without the early entry (-want +got):\n%s", d)
	}
	if asked != early || plain != asJSON {
		t.Errorf("asked for %s, want %s; without the early entry for %s", asked, early, plain)
	}
	if got.Code != s.want || !strings.Contains(got.Err, s.stderr) || s.stderr == "" && got.Err != "" {
		t.Errorf("exit code %d, standard error %q; want %d, %q", got.Code, got.Err, s.want, s.stderr)
	}
}

// TestTexts: what the daemon's text says is what the Go program makes of JSON.
func TestTexts(t *testing.T) {
	all := func(x *exchange, all string) { x.send(all) }
	for _, line := range []string{"ps", "ps -a", "ps -q", "ps -s", "ps --no-trunc", "ps -aq --no-trunc", "properties web"} {
		for _, n := range []int{0, 1, 200, 3000} {
			s := scenario{args: words(line), answers: tables(t, n, all)}
			early := asText
			if n == 3000 && line[:2] == "ps" && !strings.Contains(line, "q") { // over mostText
				early = asBoth
			}
			t.Run(fmt.Sprintf("%s of %d", line, n), func(t *testing.T) { s.compareTexts(t, early) })
		}
		s := scenario{args: words(line), answers: tables(t, 1, func(x *exchange, all string) { x.sendSlowly(all) })}
		t.Run(line+" slowly", func(t *testing.T) { s.compareTexts(t, asText) })
	}
}

// TestNoTexts: an answer that is not a whole text is not printed; the Go program
// asks anew.
func TestNoTexts(t *testing.T) {
	over := func(f func(x *exchange, all string)) func(x *exchange, all string) {
		return func(x *exchange, all string) { f(x, all); x.over = true }
	}
	change := func(from, to string) func(x *exchange, all string) {
		return over(func(x *exchange, all string) {
			if !strings.Contains(all, from) {
				t.Errorf("there is no %q", from)
			}
			x.send(strings.Replace(all, from, to, 1))
		})
	}
	for name, send := range map[string]func(x *exchange, all string){
		"nothing":         over(func(*exchange, string) {}),
		"part of a head":  over(func(x *exchange, all string) { x.send(all[:50]) }),
		"no body":         over(func(x *exchange, all string) { x.send(all[:strings.Index(all, "\r\n\r\n")+4]) }),
		"part of a body":  over(func(x *exchange, all string) { x.send(all[:len(all)-1]) }),
		"an error":        change("200 OK", "500 Internal Server Error"),
		"JSON":            change("text/plain; charset=utf-8", "application/json"),
		"another charset": change("charset=utf-8", "charset=utf-16"),
		"no length":       change("Content-Length", "Content-Size"),
		"a large length":  change("Content-Length: ", "Content-Length: 9999"),
		"a huge length":   change("Content-Length: ", "Content-Length: 99999999999999999999"),
		"a bad length":    change("Content-Length: ", "Content-Length: -"),
		"an empty length": change("Content-Length: ", "Content-Length: \r\nX: "),
		"interim":         change("HTTP/1.1 200", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"),
		"not HTTP":        change("HTTP", "HTPT"),
		"a long head":     change("Api-Version: 1.56", "X: "+strings.Repeat("x", 300<<10)),
	} {
		for _, line := range []string{"ps -a", "properties web"} {
			s := scenario{args: words(line), answers: tables(t, 3, send)}
			t.Run(name+" for "+line, func(t *testing.T) { s.compareTexts(t, asBoth) })
		}
	}
	none := scenario{args: []string{"properties", "web"}, answers: answers{}, want: 1, stderr: "no such thing"}
	t.Run("no such container", func(t *testing.T) { none.compareTexts(t, asBoth) })
}

// TestTextOutputs has standard streams that are not a plain pipe.
func TestTextOutputs(t *testing.T) {
	whole := func(x *exchange, all string) { x.send(all) }
	late := func(x *exchange, all string) {
		go x.send(all)
		x.untilFull()
		close(x.read)
		<-x.ended
	}
	for name, c := range map[string]struct {
		scenario
		early string
	}{
		"nobody reads":            {scenario{out: toNobody, want: 128 + int(syscall.SIGPIPE)}, asText},
		"nobody reads, ignored":   {scenario{out: toNobody, shell: `trap "" PIPE; exec "$@"`, want: 128 + int(syscall.SIGPIPE)}, asText},
		"full":                    {scenario{out: toFull, want: 1, stderr: "write /dev/stdout: no space left on device"}, asText},
		"closed":                  {scenario{shell: `exec "$@" >&-`}, asJSON},
		"closed input":            {scenario{shell: `exec "$@" <&-`}, asJSON},
		"closed input and output": {scenario{shell: `exec "$@" <&- >&-`}, asJSON},
		"all closed":              {scenario{shell: `exec "$@" <&- >&- 2>&-`}, asJSON},
		"closed error":            {scenario{shell: `exec "$@" 2>&-`}, asJSON},
		"open to be read":         {scenario{shell: `exec "$@" 1</dev/null`, want: 1, stderr: "write /dev/stdout: bad file descriptor"}, asText},
		"a terminal":              {scenario{out: toTerminal}, asText},
	} {
		for _, line := range []string{"ps", "properties web"} {
			s := c.scenario
			s.args, s.answers = words(line), tables(t, 30, whole)
			t.Run(name+" for "+line, func(t *testing.T) { s.compareTexts(t, c.early) })
		}
	}
	// The text is longer than the pipe. The Go program would wait here for
	// its own answer.
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	s := scenario{args: []string{"ps", "--no-trunc"}, answers: tables(t, 1200, whole)}
	want := s.run(t, p[1])
	for _, out := range []output{toLate, toLateNonblock} {
		s.out, s.answers = out, tables(t, 1200, late)
		if got := s.run(t, p[0]); got.Out != want.Out || got.Code != 0 || got.asked() != asText {
			t.Errorf("a full pipe: exit code %d, asked for %s, %s\nwant %s", got.Code, got.asked(), got.Out, want.Out)
		}
	}
}

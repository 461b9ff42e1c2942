package early_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestSignals sends silo signals at every stage: before the head of the answer
// is there, in the stream, while the daemon is asked to send another.
func TestSignals(t *testing.T) {
	kill := "/containers/" + id + "/kill"
	late := answers{run: func(x *exchange) { // before the head
		x.signal(syscall.SIGTERM)
		x.send(head)
		x.awaitKill(syscall.SIGTERM)
		x.send(end(143))
	}}
	warned := answers{run: func(x *exchange) {
		x.signal(syscall.SIGTERM)
		x.send(upgraded + "Silo-Warnings: [\"w\"]\r\n\r\n")
		x.awaitKill(syscall.SIGTERM)
		x.send(end(143))
		x.over = true
	}}
	each := answers{run: func(x *exchange) {
		x.send(head + frame(1, "on\n"))
		x.untilRead()
		for _, n := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT} {
			x.signal(n)
			x.awaitKill(n)
		}
		x.send(frame(1, "off\n") + end(130))
	}}
	inOrder := answers{
		run: func(x *exchange) {
			x.send(head)
			x.untilRead()
			x.signalOnly(syscall.SIGTERM)
			x.awaitKill(syscall.SIGTERM)
			x.awaitKill(syscall.SIGINT)
			x.send(end(130))
		},
		kill: func(x *exchange) {
			if x.nth == 1 {
				x.signalOnly(syscall.SIGINT) // sent, but not before this answer
			}
			x.reply(204, "")
		},
	}
	// The daemon does not answer; the output is not its.
	hung := answers{
		run: func(x *exchange) {
			x.send(head)
			x.untilRead()
			x.signalOnly(syscall.SIGTERM)
			<-x.read
			x.send(frame(1, "goes on\n") + end(143))
			<-x.ended
		},
		kill: func(x *exchange) { close(x.read); <-x.ended },
	}
	full := answers{run: func(x *exchange) {
		go x.send(head + frame(1, string(make([]byte, 1<<20))) + end(143))
		x.untilFull()
		x.signal(syscall.SIGTERM)
		x.awaitKill(syscall.SIGTERM)
		close(x.read)
		<-x.ended
	}}
	twice := answers{run: func(x *exchange) { // two before the head: the user does not want to wait
		x.signal(syscall.SIGINT)
		for state := "S"; state != "" && state[0] != 'Z'; state = x.status("State") {
			_ = syscall.Kill(x.pid, syscall.SIGINT) // it may have ended
		}
	}}
	exec := answers{"/silo/exec/web": func(x *exchange) {
		x.send(head)
		x.untilRead()
		x.signalOnly(syscall.SIGTERM)
		<-x.ended
	}}
	for name, s := range map[string]scenario{
		"before the head":           {answers: late, want: 143},
		"before a warning":          {answers: warned, want: 143, stderr: "WARNING: w\n"},
		"in the stream":             {answers: each, want: 130},
		"in order":                  {answers: inOrder, want: 130},
		"the daemon hangs":          {answers: hung, want: 143},
		"full output":               {out: toLate, answers: full, want: 143},
		"full output, no wait":      {out: toLateNonblock, answers: full, want: 143},
		"two before the head":       {answers: twice, want: 128 + int(syscall.SIGINT)},
		"exec":                      {args: []string{"exec", "web", "x"}, answers: exec, want: 143},
		"ignored, before the head":  {shell: `trap "" TERM; exec "$@"`, answers: late, want: 143},
		"hang-up ignored, as nohup": {shell: `trap "" HUP INT; exec "$@"`, answers: each, want: 130},
	} {
		t.Run(name, s.compare)
	}
}

// TestSignalWithoutContainer ends silo by the signal that came before the
// daemon refused. (In the Go program the two race.)
func TestSignalWithoutContainer(t *testing.T) {
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	s := scenario{answers: answers{run: func(x *exchange) {
		x.signal(syscall.SIGTERM)
		x.reply(409, `{"message":"the name is in use"}`)
	}}}
	if r := s.run(t, p[0]); r.Code != 143 || r.Err != "" {
		t.Errorf("got %+v, want 143", r)
	}
}

// TestIsEarly makes sure that the program under test is what it is meant to
// be: with the Go runtime there are more threads than one. What the Go program
// is left with has no signals blocked.
func TestIsEarly(t *testing.T) {
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	check := func(x *exchange) {
		x.untilRead()
		if n := x.status("Threads"); n != "1" {
			t.Errorf("%s threads", n)
		}
		x.send(end(3))
		x.over = true
	}
	streams := answers{
		run:              func(x *exchange) { x.send(head); check(x) },
		"/silo/exec/web": func(x *exchange) { x.send(head); check(x) },
	}
	for _, args := range [][]string{{"run", "core"}, {"exec", "web", "x"}} {
		s := scenario{args: args, answers: streams}
		if r := s.run(t, p[0]); r.Code != 3 {
			t.Errorf("%q: %+v", args, r)
		}
	}
	s := scenario{answers: answers{
		run: sends(head), // the Go program asks how it ended
		wait: func(x *exchange) {
			x.until("a thread that blocks no signals", func() bool { // one of the runtime's always does
				masks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", x.pid))
				return slices.ContainsFunc(masks, func(path string) bool {
					data, _ := os.ReadFile(path)
					return strings.Contains(string(data), "\nSigBlk:\t0000000000000000\n")
				})
			})
			x.reply(200, `{"StatusCode":3}`)
		},
	}}
	if r := s.run(t, p[0]); r.Code != 3 {
		t.Errorf("%+v", r)
	}
}

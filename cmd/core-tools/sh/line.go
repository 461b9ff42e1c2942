package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/syntax"
)

// stdin reads commands from standard input: with prompts and a line editor if
// a person is there, else each line as it comes, so that commands may read the
// lines after their own.
func (s *shell) stdin() int {
	tty := term.IsTerminal(0) && term.IsTerminal(2)
	s.prompt = s.prompt || tty
	var in io.Reader = &oneByte{r: os.Stdin}
	if s.prompt {
		s.jobControl()
	}
	var ed *editor
	if tty {
		ed = newEditor(s)
		in = ed
	}
	p := parser()
	for {
		code, again := s.readLoop(p, in, ed)
		if !again {
			return s.finish(code)
		}
		if ed != nil {
			ed.drop()
		}
	}
}

// readLoop runs statements until the input ends, or until a mistake in syntax,
// after which a person may go on with a fresh line (again).
func (s *shell) readLoop(p *syntax.Parser, in io.Reader, ed *editor) (code int, again bool) {
	s.ask(ed, false)
	for stmts, err := range p.InteractiveSeq(in) {
		if err != nil {
			if errors.Is(err, errInterrupted) {
				return code, true
			}
			fmt.Fprintf(os.Stderr, "sh: %v\n", err)
			if !s.prompt || errors.Is(err, io.ErrUnexpectedEOF) {
				return 2, s.prompt && ed != nil && !ed.ended
			}
			return 2, ed == nil || !ed.ended
		}
		if p.Incomplete() {
			s.ask(ed, true)
			continue
		}
		s.struck.Store(false) // a Ctrl-C of which it hears only now was for the line before
		s.prepare(stmts, false)
		for _, st := range stmts {
			err := s.runStatement(st)
			if errors.Is(err, context.Canceled) { // Ctrl-C: the shell goes on, the line does not
				code = 128 + int(syscall.SIGINT)
				break
			}
			exited := s.runner.Exited()
			code = s.status(err)
			if exited || s.runner.Exited() {
				return code, false
			}
		}
		s.ask(ed, false)
	}
	if s.prompt && ed != nil {
		fmt.Fprintln(os.Stderr)
	}
	return code, false
}

// runStatement runs one statement; Ctrl-C ends a loop of it, and the command
// by itself gets the terminal's signal.
func (s *shell) runStatement(st *syntax.Stmt) error {
	ctx := context.Background()
	if s.prompt {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
	}
	return s.runner.Run(ctx, st)
}

// jobControl sets what signals do to a shell that a person uses: it survives
// Ctrl-C and Ctrl-\, and nothing stops it, as nobody could continue it.
func (s *shell) jobControl() {
	survive := make(chan os.Signal, 1)
	signal.Notify(survive, os.Interrupt, syscall.SIGQUIT)
	go func() {
		for range survive {
			s.struck.Store(true)
		}
	}()
	signal.Ignore(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
}

// passInterrupt gives Ctrl-C to a job in the foreground, which has a process
// group of its own.
func (s *shell) passInterrupt(j *job) (stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	go func() {
		for range c {
			_ = syscall.Kill(-j.cmd.Process.Pid, syscall.SIGINT)
		}
	}()
	return func() { signal.Stop(c); close(c) }
}

// ask shows the prompt for a new command, or for the rest of one.
func (s *shell) ask(ed *editor, rest bool) {
	if !s.prompt {
		return
	}
	text := "> "
	if !rest {
		if s.struck.Swap(false) {
			fmt.Fprintln(os.Stderr) // after the ^C that the terminal shows
		}
		s.jobs.report(os.Stderr)
		text = s.expandPrompt()
	}
	if ed != nil {
		ed.term.SetPrompt(text)
		return
	}
	fmt.Fprint(os.Stderr, text)
}

// expandPrompt is PS1 with \u \h \w \W \$ \n \\ filled in.
func (s *shell) expandPrompt() string {
	ps1 := `\u@\h:\w\$ `
	if v, ok := s.runner.Vars["PS1"]; ok {
		ps1 = v.String()
	} else if v, ok := os.LookupEnv("PS1"); ok {
		ps1 = v
	}
	mark, user := "$", os.Getenv("USER")
	if os.Geteuid() == 0 {
		mark = "#"
	}
	if user == "" {
		user = userName(os.Geteuid())
	}
	host, _ := os.Hostname()
	dir := s.runner.Dir
	if home := os.Getenv("HOME"); home != "" && home != "/" && (dir == home || strings.HasPrefix(dir, home+"/")) {
		dir = "~" + dir[len(home):]
	}
	return strings.NewReplacer(`\u`, user, `\h`, host, `\w`, dir, `\W`, filepath.Base(dir),
		`\$`, mark, `\n`, "\n", `\\`, `\`, `\[`, "", `\]`, "", `\e`, "\x1b").Replace(ps1)
}

// userName is the name of a user id in /etc/passwd, or the number.
func userName(uid int) string {
	data, _ := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == strconv.Itoa(uid) {
			return f[0]
		}
	}
	return strconv.Itoa(uid)
}

// oneByte reads a byte at a time, so that the shell never takes input that is
// meant for its commands. It ends the last line if the input does not.
type oneByte struct {
	r    io.Reader
	last byte
}

func (o *oneByte) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := o.r.Read(p[:1])
	if n == 0 && err == io.EOF && o.last != '\n' && o.last != 0 {
		p[0], n, err = '\n', 1, nil
	}
	if n > 0 {
		o.last = p[0]
	}
	return n, err
}

// Command sh is the shell of Silo's built-in images: the interpreter of
// mvdan.cc/sh with what that library leaves to its user. Commands become
// processes (exec.go), background lists become processes of their own with a
// real $! (jobs.go, background.go), traps for signals and the end (trap.go), test, echo and
// printf are its own (test.go, output.go, printf.go), and a person gets a line
// editor with history and completion (line.go, editor.go).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"coretools.silo/signals"
)

func main() { os.Exit(run(os.Args)) }

// options are what the command line of sh says.
type options struct {
	command     string // -c
	hasCommand  bool
	interactive bool     // -i
	login       bool     // -l, or a name that starts with "-"
	stdin       bool     // -s: commands from standard input, with parameters
	set         []string // -e -u -x … for the interpreter, as "set" takes them
	args        []string // script and its parameters, or $0 and parameters after -c
}

func run(argv []string) int {
	signals.Default(dropped...)
	name := filepath.Base(strings.TrimPrefix(argv[0], "-"))
	switch name {
	case "test", "[", "printf":
		// Links to sh under these names run the one builtin.
		return newShell(options{}).script(quoteAll(append([]string{name}, argv[1:]...)), name)
	}
	opts, err := parseArgs(argv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sh: %v\nusage: sh [-ilaefnuvx] [-o option] [-c command | -s | script] [argument ...]\n", err)
		return 2
	}
	s := newShell(opts)
	if opts.login {
		s.source("/etc/profile")
	}
	switch {
	case opts.hasCommand:
		return s.script(opts.command, "sh")
	case len(opts.args) > 0 && !opts.stdin:
		return s.file(opts.args[0])
	}
	return s.stdin()
}

// parseArgs reads the command line as POSIX describes it for sh.
func parseArgs(argv []string) (options, error) {
	o := options{login: strings.HasPrefix(argv[0], "-")}
	args := argv[1:]
	wantCommand := false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		for i, c := range arg[1:] {
			switch {
			case c == 'c':
				wantCommand = true
			case c == 'i':
				o.interactive = true
			case c == 'l':
				o.login = true
			case c == 's':
				o.stdin = true
			case c == 'o' && i == len(arg)-2:
				if len(args) == 0 {
					return o, fmt.Errorf("%s: needs an option name", arg)
				}
				o.set = append(o.set, arg[:1]+"o", args[0])
				args = args[1:]
			case strings.ContainsRune("aefnuvx", c):
				o.set = append(o.set, arg[:1]+string(c))
			default:
				return o, fmt.Errorf("%s: unknown option -%c", arg, c)
			}
		}
	}
	if wantCommand {
		if len(args) == 0 {
			return o, errors.New("-c: needs a command")
		}
		o.command, o.hasCommand, args = args[0], true, args[1:]
	}
	o.args = args
	if o.stdin = o.stdin && !o.hasCommand; o.stdin {
		o.args = append([]string{"sh"}, args...)
	}
	return o, nil
}

// shell is one running interpreter.
type shell struct {
	runner *interp.Runner
	name   string // $0
	jobs   jobTable
	traps  trapTable
	marks  marks
	prompt bool        // interactive: prompts, survives Ctrl-C
	struck atomic.Bool // Ctrl-C or Ctrl-\ was typed since the last prompt
}

func newShell(o options) *shell {
	s := &shell{prompt: o.interactive, name: "sh"}
	if len(o.args) > 0 {
		s.name = o.args[0]
	}
	params := append([]string{}, o.set...)
	params = append(params, "--")
	if len(o.args) > 1 {
		params = append(params, o.args[1:]...)
	}
	r, err := interp.New(
		interp.StdIO(os.Stdin, os.Stdout, os.Stderr),
		interp.Env(environ{s}),
		interp.Params(params...),
		interp.CallHandler(s.call),
		interp.OpenHandler(open),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec }),
	)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sh: %v\n", err)
		os.Exit(2)
	}
	s.runner = r
	return s
}

// script runs text to its end and gives the exit status.
func (s *shell) script(text, name string) int {
	prog, err := parser().Parse(strings.NewReader(text), name)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sh: %v\n", err)
		return 2
	}
	prog.Name = s.name // which is $0 for eval
	s.prepare(prog.Stmts, true)
	return s.finish(s.status(s.runner.Run(context.Background(), prog)))
}

func (s *shell) file(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		fmt.Fprintf(os.Stderr, "sh: %s: %v\n", path, err)
		return 127
	}
	return s.script(string(text), path)
}

// source runs a file of start-up commands if it is there.
func (s *shell) source(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	prog, err := parser().Parse(strings.NewReader(string(text)), path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sh: %v\n", err)
		return
	}
	s.prepare(prog.Stmts, false)
	for _, st := range prog.Stmts {
		_ = s.runner.Run(context.Background(), st)
	}
}

// status turns what the interpreter returned into an exit status, after traps
// that are still due.
func (s *shell) status(err error) int {
	code := 0
	var es interp.ExitStatus
	switch {
	case errors.As(err, &es):
		code = int(es)
	case err != nil:
		fmt.Fprintf(os.Stderr, "sh: %v\n", err)
		code = 1
	}
	if text := s.traps.due(); text != "" {
		code = s.runTrap(text, code)
	}
	return code
}

// finish runs the trap on EXIT at the end of the shell, and gives the status
// that it ends with.
func (s *shell) finish(code int) int {
	if text := s.traps.takeExit(); text != "" {
		code = s.runTrap(text, code)
	}
	return code
}

// runTrap runs text, and gives the status of an exit in it, else code.
func (s *shell) runTrap(text string, code int) int {
	prog, err := parser().Parse(strings.NewReader(text), "trap")
	if err != nil {
		fmt.Fprintf(os.Stderr, "sh: %v\n", err)
		return code
	}
	old := s.marks
	s.prepare(prog.Stmts, false)
	err = s.runner.Run(context.Background(), prog)
	s.marks = old
	var es interp.ExitStatus
	switch {
	case !s.runner.Exited():
	case errors.As(err, &es):
		code = int(es)
	case err == nil:
		code = 0
	}
	return code
}

func parser() *syntax.Parser { return syntax.NewParser() }

// quoteAll writes args as one command line that means exactly them.
func quoteAll(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		q, err := syntax.Quote(a, syntax.LangBash)
		if err != nil { // a NUL byte, which no argument can hold
			q = "''"
		}
		quoted[i] = q
	}
	return strings.Join(quoted, " ")
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// job is one background list: always a process of its own, so that $! is a
// number that kill, ps and the host understand.
type job struct {
	number int
	text   string
	cmd    *exec.Cmd
	done   chan struct{} // closed when err is set
	err    error
}

type jobTable struct {
	mu   sync.Mutex
	list []*job
	last int // process id of the newest job, 0 before the first
}

// $!, $$ and $0 are renamed to these, as the library knows no process ids of
// background lists, a background list is a process of its own in which $$ must
// still be the number of the shell that a person sees, and $0 is the name of a
// file to the library.
const (
	lastJobVariable = "SH_LAST_JOB"
	ownPidVariable  = "SH_PID"
	nameVariable    = "SH_NAME"
)

// environ is the environment of the process with the values of $!, $$, $0 and
// from ${10} on in it.
type environ struct{ s *shell }

func (e environ) Get(name string) expand.Variable {
	for known, v := range e.own {
		if known == name {
			return v
		}
	}
	v, ok := os.LookupEnv(name)
	return expand.Variable{Set: ok, Exported: true, Kind: expand.String, Str: v}
}

func (e environ) own(f func(string, expand.Variable) bool) {
	e.s.jobs.mu.Lock()
	last := e.s.jobs.last
	e.s.jobs.mu.Unlock()
	value := func(text string) expand.Variable {
		return expand.Variable{Set: true, Kind: expand.String, Str: text}
	}
	if last != 0 && !f(lastJobVariable, value(strconv.Itoa(last))) ||
		!f(ownPidVariable, value(strconv.Itoa(os.Getpid()))) || !f(nameVariable, value(e.s.name)) {
		return
	}
	for i, p := range e.s.runner.Params {
		if i >= 9 && !f(strconv.Itoa(i+1), value(p)) { // the library knows the first nine
			return
		}
	}
}

// Each lists the variables; part of a pipeline starts with a copy of them.
func (e environ) Each(f func(string, expand.Variable) bool) {
	for name, v := range e.own {
		if !f(name, v) {
			return
		}
	}
	for _, kv := range os.Environ() {
		name, v, _ := strings.Cut(kv, "=")
		if name != "" && !f(name, expand.Variable{Set: true, Exported: true, Kind: expand.String, Str: v}) {
			return
		}
	}
}

// marks hold what prepare found out about commands, by their position.
type marks struct {
	replace map[syntax.Pos]bool // exec here may replace the shell
	tail    map[syntax.Pos]bool // nothing follows: the command may replace the shell
	stays   map[syntax.Pos]bool // text comes from this shell (<<X, <<<): it must live on
	funcs   map[string]*syntax.FuncDecl
}

// prepare rewrites parsed statements for this shell: `x &` becomes a call of
// our background command, $! our variable. whole tells that stmts are all that
// will ever run.
func (s *shell) prepare(stmts []*syntax.Stmt, whole bool) {
	if s.marks.replace == nil || !whole {
		s.marks.replace, s.marks.tail, s.marks.stays = map[syntax.Pos]bool{}, map[syntax.Pos]bool{}, map[syntax.Pos]bool{}
	}
	if s.marks.funcs == nil {
		s.marks.funcs = map[string]*syntax.FuncDecl{}
	}
	for _, st := range stmts {
		s.rewrite(st, true)
	}
	if n := len(stmts); whole && n > 0 {
		last := stmts[n-1]
		call, ok := last.Cmd.(*syntax.CallExpr)
		if ok && !last.Negated && !last.Background && len(call.Args) > 0 {
			s.marks.tail[call.Pos()] = !s.marks.stays[call.Pos()]
		}
	}
}

// rewrite walks one statement. own tells that it runs in the shell's own
// process: not in a subshell, a pipe or a substitution.
func (s *shell) rewrite(root *syntax.Stmt, own bool) {
	syntax.Walk(root, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.Stmt:
			if n.Background && n.Cmd != nil {
				s.toBackground(n)
			}
			for _, r := range n.Redirs {
				if r.Op == syntax.RdrClob { // nothing keeps > from writing over a file
					r.Op = syntax.RdrOut
				}
				if n.Cmd != nil && (r.Hdoc != nil || r.Op == syntax.WordHdoc) {
					s.marks.stays[n.Cmd.Pos()] = true
				}
			}
		case *syntax.ParamExp:
			renameSpecial(n)
		case *syntax.FuncDecl:
			s.marks.funcs[n.Name.Value] = n
		case *syntax.CallExpr:
			if own && len(n.Args) > 0 {
				s.marks.replace[n.Pos()] = !s.marks.stays[n.Pos()]
			}
		case *syntax.Subshell:
			return s.inChild(n.Stmts, own)
		case *syntax.CmdSubst:
			return s.inChild(n.Stmts, own)
		case *syntax.ProcSubst:
			return s.inChild(n.Stmts, own)
		case *syntax.BinaryCmd:
			if n.Op == syntax.Pipe || n.Op == syntax.PipeAll {
				return s.inChild([]*syntax.Stmt{n.X, n.Y}, own)
			}
		}
		return true
	})
}

// renameSpecial makes $!, $$ and $0 plain variables of ours. ${10}, which the
// library does not know, becomes ${*:10:1}, right in any function; with an
// operator like :- it is looked up in environ.
func renameSpecial(n *syntax.ParamExp) {
	if n.Param == nil || n.Excl {
		return
	}
	number := n.Param.Value
	if len(number) > 1 && strings.Trim(number, "0123456789") == "" && n.Exp == nil && n.Slice == nil && n.Repl == nil && !n.Length {
		n.Param.Value = "*"
		n.Slice = &syntax.Slice{Offset: plain(number), Length: plain("1")}
		return
	}
	switch number {
	case "!":
		n.Param.Value, n.Short = lastJobVariable, false
	case "$":
		n.Param.Value, n.Short = ownPidVariable, false
	case "0":
		n.Param.Value, n.Short = nameVariable, false
	}
}

func plain(value string) *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{Value: value}}}
}

// inChild walks statements that run beside the shell, and tells the walk above
// to go on only if it was in such a place itself.
func (s *shell) inChild(stmts []*syntax.Stmt, own bool) bool {
	if !own {
		return true
	}
	for _, st := range stmts {
		s.rewrite(st, false)
	}
	return false
}

func (t *jobTable) add(hc interp.HandlerContext, cmd *exec.Cmd, text string, say bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	number := 1
	if n := len(t.list); n > 0 {
		number = t.list[n-1].number + 1
	}
	j := &job{number: number, text: text, cmd: cmd, done: make(chan struct{})}
	t.list, t.last = append(t.list, j), cmd.Process.Pid
	if say {
		fmt.Fprintf(hc.Stderr, "[%d] %d\n", j.number, cmd.Process.Pid)
	}
	go func() {
		j.err = exitError(cmd.Wait())
		close(j.done)
	}()
}

func (j *job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// report tells of jobs that ended, and forgets them. A prompt calls it.
func (t *jobTable) report(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = slices.DeleteFunc(t.list, func(j *job) bool {
		if j.ended() {
			fmt.Fprintf(w, "[%d]  %s  %s\n", j.number, outcome(j.err), j.text)
		}
		return j.ended()
	})
}

func (t *jobTable) print(w io.Writer) error {
	t.mu.Lock()
	for _, j := range t.list {
		if !j.ended() {
			fmt.Fprintf(w, "[%d]  Running  %s &\n", j.number, j.text)
		}
	}
	t.mu.Unlock()
	t.report(w)
	return nil
}

func outcome(err error) string {
	var es interp.ExitStatus
	switch {
	case err == nil:
		return "Done"
	case errors.As(err, &es) && es > 128:
		return syscall.Signal(es - 128).String()
	case errors.As(err, &es):
		return fmt.Sprintf("Exit %d", es)
	}
	return err.Error()
}

// find gives the job that a word names: %N, % or %% for the newest, or a
// process id.
func (t *jobTable) find(word string) *job {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) == 0 {
		return nil
	}
	if word == "" || word == "%" || word == "%%" || word == "%+" {
		return t.list[len(t.list)-1]
	}
	for _, j := range t.list {
		if word == "%"+strconv.Itoa(j.number) || word == strconv.Itoa(j.cmd.Process.Pid) {
			return j
		}
	}
	return nil
}

// killArgs puts process ids in place of %N.
func (t *jobTable) killArgs(args []string) []string {
	out := append([]string{}, args...)
	for i, a := range out {
		if strings.HasPrefix(a, "%") {
			if j := t.find(a); j != nil {
				out[i] = strconv.Itoa(j.cmd.Process.Pid)
			}
		}
	}
	return out
}

// wait waits for the named jobs, or for all; a trapped signal ends it early.
func (s *shell) wait(hc interp.HandlerContext, words []string) error {
	var jobs []*job
	for _, w := range words {
		j := s.jobs.find(w)
		if j == nil {
			fmt.Fprintf(hc.Stderr, "sh: wait: %s: not a job of this shell\n", w)
			return interp.ExitStatus(127)
		}
		jobs = append(jobs, j)
	}
	if len(words) == 0 {
		s.jobs.mu.Lock()
		jobs = slices.Clone(s.jobs.list)
		s.jobs.mu.Unlock()
	}
	var last error
	for _, j := range jobs {
		select {
		case <-j.done:
			last = j.err
		case sig := <-s.traps.arrived():
			return interp.ExitStatus(128 + int(sig))
		}
	}
	if len(words) == 0 {
		return nil
	}
	return last
}

func (s *shell) foreground(hc interp.HandlerContext, words []string) error {
	word := ""
	if len(words) > 0 {
		word = words[0]
	}
	j := s.jobs.find(word)
	if j == nil {
		fmt.Fprintln(hc.Stderr, "sh: fg: no such job")
		return interp.ExitStatus(1)
	}
	fmt.Fprintln(hc.Stderr, j.text)
	stop := s.passInterrupt(j)
	defer stop()
	<-j.done
	s.jobs.mu.Lock()
	s.jobs.list = slices.DeleteFunc(s.jobs.list, func(o *job) bool { return o == j })
	s.jobs.mu.Unlock()
	return j.err
}

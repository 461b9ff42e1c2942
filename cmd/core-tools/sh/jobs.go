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

// $! and $$ are renamed to these, as the library knows no process ids of
// background lists, and a background list is a process of its own in which $$
// must still be the number of the shell that a person sees.
const (
	lastJobVariable = "SH_LAST_JOB"
	ownPidVariable  = "SH_PID"
)

// environ is the environment of the process with the value of $! in it.
type environ struct{ s *shell }

func (e environ) Get(name string) expand.Variable {
	switch name {
	case ownPidVariable:
		return expand.Variable{Set: true, Kind: expand.String, Str: strconv.Itoa(os.Getpid())}
	case lastJobVariable:
		e.s.jobs.mu.Lock()
		defer e.s.jobs.mu.Unlock()
		if e.s.jobs.last == 0 {
			return expand.Variable{}
		}
		return expand.Variable{Set: true, Kind: expand.String, Str: strconv.Itoa(e.s.jobs.last)}
	}
	v, ok := os.LookupEnv(name)
	return expand.Variable{Set: ok, Exported: true, Kind: expand.String, Str: v}
}

func (e environ) Each(f func(string, expand.Variable) bool) {
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

// renameSpecial makes $! and $$ plain variables of ours.
func renameSpecial(n *syntax.ParamExp) {
	if n.Param == nil || n.Excl {
		return
	}
	switch n.Param.Value {
	case "!":
		n.Param.Value, n.Short = lastJobVariable, false
	case "$":
		n.Param.Value, n.Short = ownPidVariable, false
	}
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

// toBackground replaces the command of a background statement by a call of
// `background TEXT [WORD …]`. The words of a plain command are expanded by
// this shell; anything else is handed as text to a shell of its own.
func (s *shell) toBackground(st *syntax.Stmt) {
	syntax.Walk(st.Cmd, func(node syntax.Node) bool {
		if p, ok := node.(*syntax.ParamExp); ok && p.Param != nil && p.Param.Value == "$" {
			renameSpecial(p)
		}
		return true
	})
	var text strings.Builder
	bare := *st
	bare.Background, bare.Redirs = false, nil
	if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&text, &bare); err != nil {
		return // stays what the library makes of it
	}
	pos := st.Position
	words := []*syntax.Word{literal(pos, ownPrefix+"background"), literal(pos, text.String())}
	if call, ok := st.Cmd.(*syntax.CallExpr); ok && !st.Negated && len(call.Assigns) == 0 && len(call.Args) > 0 {
		words = append(words, call.Args...)
	}
	st.Background, st.Negated = false, false
	st.Cmd = &syntax.CallExpr{Args: words}
}

func literal(pos syntax.Pos, value string) *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.SglQuoted{Left: pos, Right: pos, Value: value}}}
}

// background starts a job: args[0] is its text, the rest its expanded words if
// it is a plain command.
func (s *shell) background(hc interp.HandlerContext, args []string) error {
	words := args[1:]
	if len(words) > 0 {
		_, isFunc := s.runner.Funcs[words[0]]
		if isFunc || interp.IsBuiltin(words[0]) && words[0] != "kill" {
			words = []string{}
		}
	}
	var cmd *exec.Cmd
	if len(words) > 0 {
		path, err := lookPath(hc, words[0])
		if err != nil {
			return s.refuse(hc, words[0], err)
		}
		cmd = command(hc, path, words)
	} else {
		body, err := s.child(hc, args[0])
		if err != nil {
			return err
		}
		cmd = command(hc, selfPath, append([]string{"sh", "-c", body, "sh"}, s.runner.Params...))
	}
	if hc.Stdin == os.Stdin {
		cmd.Stdin = nil // /dev/null: the terminal and the script belong to the shell
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: s.prompt}
	if err := cmd.Start(); err != nil {
		return s.refuse(hc, args[0], err)
	}
	s.jobs.add(hc, cmd, args[0], s.prompt)
	return nil
}

// child is the text for a shell of its own: the variables and functions of
// this one, then the commands.
func (s *shell) child(hc interp.HandlerContext, text string) (string, error) {
	var b strings.Builder
	b.WriteString(ownPidVariable + "=" + hc.Env.Get(ownPidVariable).Str + "\n")
	for name, v := range hc.Env.Each {
		if v.Exported || v.ReadOnly || v.Kind != expand.String || !v.IsSet() || name == ownPidVariable {
			continue
		}
		b.WriteString(name + "=" + quoteAll([]string{v.Str}) + "\n")
	}
	for _, f := range s.marks.funcs {
		if err := syntax.NewPrinter().Print(&b, f); err != nil {
			return "", err
		}
		b.WriteString("\n")
	}
	return b.String() + text, nil
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

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// toBackground replaces the command of a background statement by a call of
// `background TEXT REDIRECTIONS HERE [WORD …]`. The words of a plain command are
// expanded by this shell; anything else is handed as text to a shell of its own.
func (s *shell) toBackground(st *syntax.Stmt) {
	syntax.Walk(st, func(node syntax.Node) bool {
		if p, ok := node.(*syntax.ParamExp); ok && p.Param != nil && p.Param.Value == "$" {
			renameSpecial(p)
		}
		return true
	})
	bare := *st
	bare.Background = false
	here, files := splitRedirects(st.Redirs)
	if !redirectsAlone(files) {
		here, files = st.Redirs, nil
	}
	bare.Redirs = files
	var text, redirections strings.Builder
	printer := syntax.NewPrinter(syntax.SingleLine(true))
	if err := errors.Join(printer.Print(&text, &bare), printer.Print(&redirections, &syntax.Stmt{Position: st.Position, Redirs: files})); err != nil {
		return // stays what the library makes of it
	}
	pos := st.Position
	words := []*syntax.Word{
		literal(pos, ownPrefix+"background"), literal(pos, text.String()), literal(pos, strings.TrimSpace(redirections.String())),
		literal(pos, hereMark(here)),
	}
	if call, ok := st.Cmd.(*syntax.CallExpr); ok && !st.Negated && len(call.Assigns) == 0 && len(call.Args) > 0 {
		words = append(words, call.Args...)
	}
	st.Redirs, st.Background, st.Negated = here, false, false
	st.Cmd = &syntax.CallExpr{Args: words}
}

// splitRedirects parts here-documents, whose text comes from this shell, from files.
func splitRedirects(redirs []*syntax.Redirect) (here, files []*syntax.Redirect) {
	for _, r := range redirs {
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
			here = append(here, r)
		default:
			files = append(files, r)
		}
	}
	return here, files
}

// hereMark is a word for a command whose standard input can be nothing but a
// here-document.
func hereMark(redirs []*syntax.Redirect) string {
	for _, r := range redirs {
		if r.Op != syntax.Hdoc && r.Op != syntax.DashHdoc && r.Op != syntax.WordHdoc {
			return ""
		}
	}
	if len(redirs) == 0 {
		return ""
	}
	return "here"
}

// redirectsAlone tells whether a shell of its own, with the variables of this one
// but other parameters, can do these redirections. It should, as the opening of
// a FIFO waits for its other end.
func redirectsAlone(redirs []*syntax.Redirect) bool {
	alone := true
	for _, r := range redirs {
		syntax.Walk(r, func(node syntax.Node) bool {
			switch n := node.(type) {
			case *syntax.ParamExp:
				alone = alone && n.Param != nil && syntax.ValidName(n.Param.Value) && n.Index == nil
			case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.ArithmExp:
				alone = false
			}
			return true
		})
	}
	return alone
}

func literal(pos syntax.Pos, value string) *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.SglQuoted{Left: pos, Right: pos, Value: value}}}
}

// background starts a job: args[0] is its text, args[1] the redirections that
// it does itself, args[2] not empty if it reads a here-document, the rest its
// expanded words if it is a plain command.
func (s *shell) background(ctx context.Context, hc interp.HandlerContext, args []string) error {
	text, words := args[0], args[3:]
	if len(words) > 0 {
		_, isFunc := s.runner.Funcs[words[0]]
		if isFunc || interp.IsBuiltin(words[0]) && words[0] != "kill" {
			words = []string{}
		}
	}
	params, variables := s.runner.Params, true
	if len(words) > 0 && args[1] != "" {
		text, params, words = `"$@" `+args[1], words, nil
		variables = strings.Contains(args[1], "$")
	}
	if args[2] != "" {
		if f, err := whole(hc.Stdin); err == nil {
			defer f.Close()
			hc.Stdin = f
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
		if variables {
			var err error
			if text, err = s.child(hc, text); err != nil {
				return err
			}
		}
		cmd = command(hc, selfPath, append([]string{"sh", "-c", text, s.name}, params...))
	}
	if hc.Stdin == os.Stdin {
		cmd.Stdin = nil // /dev/null: the terminal and the script belong to the shell
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: s.prompt}
	if err := cmd.Start(); err != nil {
		return s.refuse(hc, args[0], err)
	}
	s.jobs.add(hc, cmd, args[0], s.prompt)
	if s.isOwn(hc) {
		return nil
	}
	// What runs beside the shell may have a copy of its variables, not their source.
	return hc.Builtin(ctx, []string{"eval", lastJobVariable + "=" + strconv.Itoa(cmd.Process.Pid)})
}

// child is the text for a shell of its own: the variables and functions of
// this one, then the commands.
func (s *shell) child(hc interp.HandlerContext, text string) (string, error) {
	special := []string{ownPidVariable, nameVariable, lastJobVariable}
	var b strings.Builder
	b.WriteString(ownPidVariable + "=" + hc.Env.Get(ownPidVariable).Str + "\n")
	for name, v := range hc.Env.Each {
		if v.Exported || v.ReadOnly || v.Kind != expand.String || !v.IsSet() || slices.Contains(special, name) || !syntax.ValidName(name) {
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

// whole gives a file without a name that holds what r does. The library writes a
// here-document into a pipe while the command runs, and a job may outlive this
// shell.
func whole(r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "sh-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

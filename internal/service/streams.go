package service

import (
	"fmt"
	"os"

	"silo/internal/linux"
	"silo/internal/service/unit"
)

// streams connects the standard streams of a process. What it opened is the
// caller's to close.
func (s *service) streams(p *Process, run *unit.Run) (opened []*linux.FD, err error) {
	if p.Stdin, err = s.stream("StandardInput", run, run.Stdin, Stream{}, &opened); err != nil {
		return opened, err
	}
	like := Stream{Log: true}
	if p.Stdin.FD != nil && (run.Stdin.Kind == unit.StdioSocket || run.Stdin.Kind == unit.StdioFD) {
		like = p.Stdin
	}
	if p.Stdout, err = s.stream("StandardOutput", run, run.Stdout, like, &opened); err != nil {
		return opened, err
	}
	p.Stderr, err = s.stream("StandardError", run, run.Stderr, p.Stdout, &opened)
	return opened, err
}

// stream connects one of them; like is what it is if it inherits.
func (s *service) stream(what string, run *unit.Run, o unit.Stdio, like Stream, opened *[]*linux.FD) (Stream, error) {
	var fd *linux.FD
	var err error
	switch o.Kind {
	case unit.StdioNull:
		return Stream{}, nil
	case unit.StdioInherit, "":
		return like, nil
	case unit.StdioJournal:
		return Stream{Log: true}, nil
	case unit.StdioSocket:
		if s.conn == nil {
			return Stream{}, fmt.Errorf("%s=socket: no socket with Accept=yes started it", what)
		}
		return Stream{FD: s.conn}, nil
	case unit.StdioFD:
		if fd = s.named(o.Path); fd == nil {
			return Stream{}, fmt.Errorf("%s=fd:%s: no socket has this name", what, o.Path)
		}
		return Stream{FD: fd}, nil
	case unit.StdioFile, unit.StdioAppend, unit.StdioTruncate:
		fd, err = s.m.openStream(o, what == "StandardInput")
	case unit.StdioData:
		fd, err = linux.Memfd("standard input", run.StdinData)
	default:
		err = fmt.Errorf("%s is not done", o.Kind)
	}
	if err != nil {
		return Stream{}, fmt.Errorf("%s=: %w", what, err)
	}
	*opened = append(*opened, fd)
	return Stream{FD: fd}, nil
}

// openStream opens a file of the container as a standard stream.
func (m *Manager) openStream(o unit.Stdio, input bool) (*linux.FD, error) {
	flags := os.O_WRONLY | os.O_CREATE
	switch {
	case input:
		flags = os.O_RDONLY
	case o.Kind == unit.StdioAppend:
		flags |= os.O_APPEND
	case o.Kind == unit.StdioTruncate:
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(m.path(o.Path), flags, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return linux.DupFile(f)
}

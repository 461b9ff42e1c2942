package ipc

import (
	"fmt"

	"silo/internal/errs"
	"silo/internal/linux"
)

// FDs are descriptors that came with a message. It owns those that nobody has
// taken; CloseAll closes them.
type FDs struct{ List []*linux.FD }

// Own takes ownership of the raw descriptors that Receive gave.
func Own(raw []int) *FDs {
	l := &FDs{}
	for i, fd := range raw {
		l.List = append(l.List, linux.NewFD(fd, fmt.Sprintf("received descriptor %d", i)))
	}
	return l
}

// Next gives the next descriptor to the caller; what names it in the error.
func (l *FDs) Next(what string) (*linux.FD, error) {
	if len(l.List) == 0 {
		return nil, errs.Invalidf("message: no descriptor came for %s", what)
	}
	fd := l.List[0]
	l.List = l.List[1:]
	return fd, nil
}

// TakeLast gives the last n descriptors to the caller.
func (l *FDs) TakeLast(n int) ([]*linux.FD, error) {
	if n > len(l.List) {
		return nil, errs.Invalidf("message: %d descriptors came, %d are needed", len(l.List), n)
	}
	cut := len(l.List) - n
	out := l.List[cut:]
	l.List = l.List[:cut]
	return out, nil
}

// Numbers gives the raw numbers, still owned by l, to be sent on.
func (l *FDs) Numbers() (out []int) {
	for _, fd := range l.List {
		out = append(out, fd.Int())
	}
	return out
}

// CloseAll closes what nobody has taken.
func (l *FDs) CloseAll() {
	for _, fd := range l.List {
		fd.Close()
	}
	l.List = nil
}

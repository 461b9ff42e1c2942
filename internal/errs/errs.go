// Package errs names the kinds of error that Silo tells apart. A kind decides
// the HTTP status of the API and the exit code of the command line, each in
// one table; the text of an error is a path: operation, thing, cause, way out.
package errs

import (
	"errors"
	"fmt"
)

// Kind classes an error by what the caller can do about it.
type Kind uint8

const (
	Internal     Kind = iota // a fault of Silo or of the host
	NotFound                 // the named object does not exist
	Conflict                 // the object's state or another object forbids it
	Invalid                  // the request makes no sense as it stands
	Unauthorized             // credentials are missing or wrong
	Forbidden                // the caller may not do this
	Unavailable              // may work later: no free resource, a part is down
	NotSupported             // this host or this version cannot do it
	NotModified              // nothing to do: already in the wanted state
	NotRunnable              // the command cannot be executed (exit code 126)
	NoCommand                // the command does not exist (exit code 127)
)

// Error is an error with a kind.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the error without its kind.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind from a format as fmt.Errorf takes it.
func New(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// NotFoundf, Conflictf and Invalidf are New for the three commonest kinds.
func NotFoundf(format string, args ...any) error { return New(NotFound, format, args...) }
func Conflictf(format string, args ...any) error { return New(Conflict, format, args...) }
func Invalidf(format string, args ...any) error  { return New(Invalid, format, args...) }

// KindOf gives the kind of the outermost Error in err's chain, Internal if
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is tells whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

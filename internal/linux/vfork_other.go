//go:build !amd64

package linux

import "syscall"

// startShared is for amd64 only: elsewhere the child gets a copy.
func (f *Fork) startShared() (pid int, ok bool, err error) { return 0, false, nil }

// forkBeside is for amd64 only, likewise.
func forkBeside(uintptr, []Step, int) (pid int, release func(), ok bool, errno syscall.Errno) {
	return 0, nil, false, 0
}

//go:build !amd64

package linux

// startShared is for amd64 only: elsewhere the child gets a copy.
func (f *Fork) startShared() (pid int, ok bool, err error) { return 0, false, nil }

// Package linux is the one door to the kernel: the only importer of
// golang.org/x/sys/unix. It gives descriptors an owner, retries EINTR, and
// returns errors as *os.SyscallError or *os.PathError, so that every message
// names the call and the thing. It decides nothing; policy belongs to callers.
//
// Calls that need a kernel newer than 5.19, the oldest Silo runs on, say so
// and name the version.
package linux

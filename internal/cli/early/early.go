// Package early answers the commonest command lines, "silo run IMAGE …" and
// "silo exec CONTAINER …" without a terminal or input, "silo ps" and
// "silo properties CONTAINER", before the Go runtime is up.
//
// An empty Go program takes 1.8 ms from fork to exit where all that the kernel
// needs for a container takes 1.9, and 80 % of that is the runtime getting
// ready (bench/ has the floor; a program of one instruction takes 0.3). So
// silo's entry point, set by the linker's flag -E, is in this package. It reads
// the arguments, and for a command line that it knows in full it sends the
// request, copies the output (tables come from the daemon as text) and ends with
// the exit code. Whatever else there is to be done, the Go program does, which begins as if nothing had been:
//
//   - a command line with anything that is not in the tables of args.go;
//   - no daemon at the socket;
//   - an answer that is not the stream asked for: the image is not here, an
//     error, a warning;
//   - a stream that ends without the exit code, output that cannot be written.
//
// In the last two cases a process has been started: Sent gives the Go program
// the connection and what was read of it, and package client goes on from
// there. A table is asked for once more, but one that could not be written is
// written on: see Unwritten.
//
// Code that runs this early is ordinary Go with two restrictions, which
// TestNothingNeedsTheRuntime checks in what the compiler makes of it: it
// allocates nothing (all memory is in variables of the package), and it calls
// nothing of the runtime but what copies and compares bytes. In tests it runs
// like any other code.
package early

// Sent gives the connection of a request that was sent for this command line
// but not answered in full, and what was read of the answer. The caller owns
// the descriptor. ok is false if nothing was sent.
func Sent() (fd int, read []byte, ok bool) {
	if !handed.ok {
		return -1, nil, false
	}
	handed.ok = false
	return handed.fd, handed.read, true
}

// handed is what the Go program is to go on with.
var handed struct {
	fd   int
	read []byte
	ok   bool
}

// Unwritten gives what is still to be written to standard output of an answer
// that was read in full; it is empty if there is nothing.
func Unwritten() []byte { return unwritten }

var unwritten []byte

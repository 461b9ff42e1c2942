// Command mknod makes special files: named pipes (p) and devices (b, c or u)
// with their two numbers.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"coretools.silo/filemode"
	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("m:", "mknod [-m mode] name p | mknod [-m mode] name b|c|u major minor", map[string]string{"mode": "m"})
	n, err := newNode(opt.Operands)
	if err != nil {
		opt.Usage("%v", err)
	}
	umask := syscall.Umask(0) // -m is exact: what it leaves out is taken off below
	mode, err := filemode.ForNew(opt.Value('m', ""), uint32(umask))
	if err != nil {
		opt.Usage("-m: %v", err)
	}
	if err := syscall.Mknod(n.name, n.kind|mode, n.device); err != nil {
		fmt.Fprintf(os.Stderr, "mknod: %v\n", &os.PathError{Op: "mknod", Path: n.name, Err: err})
		os.Exit(1)
	}
}

// node is a special file that is to be made.
type node struct {
	name   string
	kind   uint32
	device int
}

func newNode(args []string) (node, error) {
	if len(args) < 2 {
		return node{}, errors.New("needs a name and a type")
	}
	kind, ok := map[string]uint32{"p": syscall.S_IFIFO, "b": syscall.S_IFBLK, "c": syscall.S_IFCHR, "u": syscall.S_IFCHR}[args[1]]
	if !ok {
		return node{}, fmt.Errorf("type %q: want p, b, c or u", args[1])
	}
	n := node{name: args[0], kind: kind}
	numbers := args[2:]
	if kind == syscall.S_IFIFO {
		if len(numbers) != 0 {
			return n, errors.New("a pipe has no numbers")
		}
		return n, nil
	}
	if len(numbers) != 2 {
		return n, errors.New("a device needs two numbers")
	}
	major, err := strconv.ParseUint(numbers[0], 0, 12)
	if err != nil {
		return n, fmt.Errorf("major %q: want a number below 4096", numbers[0])
	}
	minor, err := strconv.ParseUint(numbers[1], 0, 20)
	if err != nil {
		return n, fmt.Errorf("minor %q: want a number below 1048576", numbers[1])
	}
	n.device = int(minor&0xff | major<<8 | minor&^0xff<<12)
	return n, nil
}

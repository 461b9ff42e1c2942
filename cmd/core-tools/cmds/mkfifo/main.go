// Command mkfifo makes named pipes.
package main

import (
	"os"
	"syscall"

	"coretools.silo/filemode"
	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("m:", "mkfifo [-m mode] name ...", map[string]string{"mode": "m"})
	if len(opt.Operands) == 0 {
		opt.Usage("no name given")
	}
	umask := syscall.Umask(0) // -m is exact: what it leaves out is taken off below
	mode, err := filemode.ForNew(opt.Value('m', ""), uint32(umask))
	if err != nil {
		opt.Usage("-m: %v", err)
	}
	var status getopt.Status
	for _, name := range opt.Operands {
		status.Note(makePipe(name, mode))
	}
	status.Exit()
}

func makePipe(name string, mode uint32) error {
	if err := syscall.Mkfifo(name, mode); err != nil {
		return &os.PathError{Op: "mkfifo", Path: name, Err: err}
	}
	return nil
}

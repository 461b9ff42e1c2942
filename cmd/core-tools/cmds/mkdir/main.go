// Command mkdir makes folders, with -p their parents too, where it is no
// mistake if they are there already.
package main

import (
	"fmt"
	"os"
	"syscall"

	"coretools.silo/filemode"
	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("pvm:", "mkdir [-pv] [-m mode] folder ...", map[string]string{"parents": "p", "verbose": "v", "mode": "m"})
	if len(opt.Operands) == 0 {
		opt.Usage("no folder named")
	}
	change, err := filemode.Parse(opt.Value('m', "777"))
	if err != nil {
		opt.Usage("-m: %v", err)
	}
	mode := change.Apply(0o777, true, filemode.Umask())
	var status getopt.Status
	for _, dir := range opt.Operands {
		if err := makeDir(dir, opt.Has('p'), opt.Has('m'), mode); err != nil {
			status.Note(err)
		} else if opt.Has('v') {
			fmt.Printf("%s: made %s\n", getopt.Name(), dir)
		}
	}
	status.Exit()
}

// makeDir makes one folder. A mode that was asked for is not cut by the umask,
// and is that of the last folder only.
func makeDir(dir string, parents, exact bool, mode uint32) error {
	var err error
	if parents {
		if _, serr := os.Stat(dir); serr == nil {
			exact = false // it stays as it is
		}
		err = os.MkdirAll(dir, 0o777)
	} else {
		err = os.Mkdir(dir, 0o777)
	}
	if err != nil || !exact {
		return err
	}
	if err := syscall.Chmod(dir, mode); err != nil {
		return &os.PathError{Op: "chmod", Path: dir, Err: err}
	}
	return nil
}

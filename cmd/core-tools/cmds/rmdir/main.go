// Command rmdir removes empty folders, with -p their parents too.
package main

import (
	"os"
	"path/filepath"
	"syscall"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("p", "rmdir [-p] folder ...", map[string]string{"parents": "p"})
	if len(opt.Operands) == 0 {
		opt.Usage("no folder named")
	}
	var status getopt.Status
	for _, dir := range opt.Operands {
		for {
			err := syscall.Rmdir(dir)
			if err != nil {
				status.Note(&os.PathError{Op: "remove", Path: dir, Err: err})
			}
			parent := filepath.Dir(filepath.Clean(dir))
			if err != nil || !opt.Has('p') || parent == "." || parent == "/" {
				break
			}
			dir = parent
		}
	}
	status.Exit()
}

// Command mkdir makes folders, with -p their parents too, where it is no
// mistake if they are there already.
package main

import (
	"fmt"
	"os"
	"strconv"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("pvm:", "mkdir [-pv] [-m mode] folder ...", map[string]string{"parents": "p", "verbose": "v", "mode": "m"})
	if len(opt.Operands) == 0 {
		opt.Usage("no folder named")
	}
	mode, err := strconv.ParseUint(opt.Value('m', "0777"), 8, 12)
	if err != nil {
		opt.Usage("-m %s: write an octal mode, as 755", opt.Value('m', ""))
	}
	var status getopt.Status
	for _, dir := range opt.Operands {
		if err := makeDir(dir, opt.Has('p'), opt.Has('m'), uint32(mode)); err != nil {
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
	return os.Chmod(dir, os.FileMode(mode&0o777)|special(mode))
}

// special are the bits above the permissions as package os has them.
func special(mode uint32) (m os.FileMode) {
	for bit, as := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if mode&bit != 0 {
			m |= as
		}
	}
	return m
}

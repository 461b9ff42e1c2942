// Command tty prints the name of the terminal that is its standard input. It
// exits 1 if that is none.
package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("s", "tty [-s]", map[string]string{"silent": "s", "quiet": "s"})
	say := func(text string) {
		if !opt.Has('s') {
			fmt.Println(text)
		}
	}
	var t syscall.Termios
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TCGETS, uintptr(unsafe.Pointer(&t))); errno != 0 {
		say("not a tty")
		os.Exit(1)
	}
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil {
		name = "/dev/tty"
	}
	say(name)
}

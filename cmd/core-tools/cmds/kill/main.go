// Command kill sends a signal to processes: kill -9 PID, kill -TERM PID,
// kill -s TERM PID, kill -l. A negative number names a process group.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"coretools.silo/getopt"
	"coretools.silo/signals"
)

const usage = "usage: kill [-SIGNAL | -s signal] pid ... | kill -l [number]"

func main() {
	args, sig := os.Args[1:], syscall.SIGTERM
	if len(args) > 0 && args[0] == "-l" {
		list(args[1:])
		return
	}
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		word := args[0][1:]
		args = args[1:]
		if word == "s" || word == "n" {
			if len(args) == 0 {
				die(usage)
			}
			word, args = args[0], args[1:]
		}
		var err error
		if sig, err = signals.Parse(word); err != nil {
			die("kill: " + err.Error())
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		die(usage)
	}
	var status getopt.Status
	for _, word := range args {
		pid, err := strconv.Atoi(word)
		if err != nil {
			status.Note(fmt.Errorf("%s: not a process number", word))
			continue
		}
		if err := syscall.Kill(pid, sig); err != nil {
			status.Note(fmt.Errorf("%d: %w", pid, err))
		}
	}
	status.Exit()
}

// list prints all signals, or the name of one or of an exit status.
func list(args []string) {
	if len(args) == 0 {
		fmt.Println(strings.Join(signals.Names[:], " "))
		return
	}
	n, err := strconv.Atoi(args[0])
	if n > 128 {
		n -= 128
	}
	if err != nil || n < 1 || n > len(signals.Names) {
		die("kill: " + args[0] + ": no such signal")
	}
	fmt.Println(signals.Names[n-1])
}

func die(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(2)
}

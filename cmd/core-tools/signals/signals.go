// Package signals knows the signals of Linux by name and number.
package signals

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// Names holds the names in order of number, from 1; the numbers are those of
// amd64 and arm64.
var Names = [...]string{
	"HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
	"CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

// Parse reads TERM, SIGTERM, sigterm or 15. 0 is allowed: it tests whether a
// process is there.
func Parse(word string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(word); err == nil {
		if n < 0 || n > 64 {
			return 0, fmt.Errorf("%s: no such signal", word)
		}
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(word), "SIG")
	for i, n := range Names {
		if n == name {
			return syscall.Signal(i + 1), nil
		}
	}
	return 0, fmt.Errorf("%s: no such signal", word)
}

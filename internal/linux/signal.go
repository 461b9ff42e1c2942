package linux

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MaxSignal is the highest signal number, SIGRTMAX.
const MaxSignal = 64

// sigRTMin is the first real-time signal that the C library leaves free.
const sigRTMin = 34

// SignalNumber gives the number of a signal by its upper-case name, with or
// without SIG, RTMIN+n and RTMAX-n among them; 0 if there is none.
func SignalNumber(name string) int {
	name = strings.TrimPrefix(name, "SIG")
	if rest, ok := strings.CutPrefix(name, "RTMIN"); ok {
		return realTime(sigRTMin, rest, '+')
	}
	if rest, ok := strings.CutPrefix(name, "RTMAX"); ok {
		return realTime(MaxSignal, rest, '-')
	}
	return int(unix.SignalNum("SIG" + name))
}

func realTime(from int, rest string, sign byte) int {
	if rest == "" {
		return from
	}
	n, err := strconv.Atoi(rest[1:])
	if err != nil || rest[0] != sign || n > MaxSignal-sigRTMin {
		return 0
	}
	if sign == '-' {
		n = -n
	}
	return from + n
}

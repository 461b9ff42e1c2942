package unit

import (
	"fmt"
	"strconv"
	"strings"
)

// Signals by number, as on amd64 and arm64.
var signalNames = [...]string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1",
	11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP",
	21: "TTIN", 22: "TTOU", 23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO", 30: "PWR", 31: "SYS",
}

// The signals that defaults name, and the range of the real-time ones as the C
// library counts it.
const (
	sigHUP  Signal = 1
	sigABRT Signal = 6
	sigKILL Signal = 9
	sigTERM Signal = 15

	sigRTMin = 34
	sigRTMax = 64
)

// ParseSignal reads a signal by name, with or without SIG, or by number.
func ParseSignal(text string) (Signal, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n >= 1 && n <= sigRTMax {
			return Signal(n), nil
		}
		return 0, fmt.Errorf("signal %d: want 1 to %d", n, sigRTMax)
	}
	name := strings.TrimPrefix(text, "SIG")
	for n, known := range signalNames {
		if n > 0 && name == known {
			return Signal(n), nil
		}
	}
	switch name {
	case "IOT":
		return 6, nil
	case "CLD":
		return 17, nil
	case "POLL":
		return 29, nil
	}
	if n, ok := realTime(name); ok {
		return n, nil
	}
	return 0, fmt.Errorf("signal %q is not known", shorten(text))
}

// realTime reads RTMIN, RTMIN+n, RTMAX and RTMAX-n.
func realTime(name string) (Signal, bool) {
	base, sign, rest := 0, 1, ""
	switch {
	case strings.HasPrefix(name, "RTMIN"):
		base, rest = sigRTMin, strings.TrimPrefix(name, "RTMIN")
		rest = strings.Replace(rest, "+", "", 1)
	case strings.HasPrefix(name, "RTMAX"):
		base, sign, rest = sigRTMax, -1, strings.TrimPrefix(name, "RTMAX")
		rest = strings.Replace(rest, "-", "", 1)
	default:
		return 0, false
	}
	if rest == "" {
		return Signal(base), true
	}
	n, err := strconv.ParseUint(rest, 10, 8)
	v := base + sign*int(n)
	return Signal(v), err == nil && v >= sigRTMin && v <= sigRTMax
}

// String is the signal's name, SIGTERM for 15.
func (s Signal) String() string {
	switch {
	case s > 0 && int(s) < len(signalNames):
		return "SIG" + signalNames[s]
	case s >= sigRTMin && s <= sigRTMax:
		return fmt.Sprintf("SIGRTMIN+%d", int(s)-sigRTMin)
	}
	return fmt.Sprintf("signal %d", int(s))
}

// exitNames are the exit codes that have names: of the C library, of init
// scripts, of sysexits, and of systemd itself.
const exitNames = ` SUCCESS=0 FAILURE=1 INVALIDARGUMENT=2 NOTIMPLEMENTED=3 NOPERMISSION=4 NOTINSTALLED=5 NOTCONFIGURED=6 NOTRUNNING=7
 USAGE=64 DATAERR=65 NOINPUT=66 NOUSER=67 NOHOST=68 UNAVAILABLE=69 SOFTWARE=70 OSERR=71 OSFILE=72 CANTCREAT=73 IOERR=74 TEMPFAIL=75
 PROTOCOL=76 NOPERM=77 CONFIG=78 CHDIR=200 NICE=201 FDS=202 EXEC=203 MEMORY=204 LIMITS=205 OOM_ADJUST=206 SIGNAL_MASK=207 STDIN=208
 STDOUT=209 CHROOT=210 IOPRIO=211 TIMERSLACK=212 SECUREBITS=213 SETSCHEDULER=214 CPUAFFINITY=215 GROUP=216 USER=217 CAPABILITIES=218
 CGROUP=219 SETSID=220 CONFIRM=221 STDERR=222 PAM=224 NETWORK=225 NAMESPACE=226 NO_NEW_PRIVILEGES=227 SECCOMP=228 SELINUX_CONTEXT=229
 PERSONALITY=230 APPARMOR=231 ADDRESS_FAMILIES=232 RUNTIME_DIRECTORY=233 CHOWN=235 SMACK_PROCESS_LABEL=236 KEYRING=237 STATE_DIRECTORY=238
 CACHE_DIRECTORY=239 LOGS_DIRECTORY=240 CONFIGURATION_DIRECTORY=241 NUMA_POLICY=242 CREDENTIALS=243 BPF=245 `

// exitCode reads an exit code by number or name.
func exitCode(text string) (int, bool) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		return int(n), true
	}
	for _, entry := range strings.Fields(exitNames) {
		if name, value, _ := strings.Cut(entry, "="); name == text {
			n, err := strconv.Atoi(value)
			return n, err == nil
		}
	}
	return 0, false
}

// add puts the codes and signals of a value into the set; an empty value
// clears it.
func (s *ExitSet) add(value string) error {
	if value == "" {
		*s = ExitSet{}
		return nil
	}
	for _, text := range strings.Fields(value) {
		if len(s.Codes)+len(s.Signals) >= mostList {
			return errTooMany
		}
		if code, ok := exitCode(text); ok {
			s.Codes = append(s.Codes, code)
			continue
		}
		sig, err := ParseSignal(text)
		if err != nil {
			return fmt.Errorf("%q is no exit code and no signal", shorten(text))
		}
		s.Signals = append(s.Signals, sig)
	}
	return nil
}

// HasCode tells whether an exit code is in the set.
func (s *ExitSet) HasCode(code int) bool {
	for _, c := range s.Codes {
		if c == code {
			return true
		}
	}
	return false
}

// HasSignal tells whether a signal is in the set.
func (s *ExitSet) HasSignal(sig Signal) bool {
	for _, c := range s.Signals {
		if c == sig {
			return true
		}
	}
	return false
}

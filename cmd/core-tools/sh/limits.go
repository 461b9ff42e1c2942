package main

import (
	"fmt"
	"strconv"
	"syscall"

	"mvdan.cc/sh/v3/interp"

	"coretools.silo/filemode"
)

// umask prints or sets the mask of permission bits, in octal.
func umask(hc interp.HandlerContext, args []string) error {
	if len(args) == 0 {
		fmt.Fprintf(hc.Stdout, "%04o\n", filemode.Umask())
		return nil
	}
	mask, err := strconv.ParseUint(args[0], 8, 9)
	if err != nil {
		fmt.Fprintf(hc.Stderr, "sh: umask: %s: not an octal mode\n", args[0])
		return interp.ExitStatus(1)
	}
	syscall.Umask(int(mask))
	return nil
}

// limit is one resource of ulimit. unit is what its numbers count, in bytes or ones.
type limit struct {
	letter   byte
	resource int
	unit     uint64
	text     string
}

var limits = []limit{
	{'c', syscall.RLIMIT_CORE, 512, "core file size (512-byte blocks)"},
	{'d', syscall.RLIMIT_DATA, 1024, "data size (KiB)"},
	{'f', syscall.RLIMIT_FSIZE, 512, "file size (512-byte blocks)"},
	{'n', syscall.RLIMIT_NOFILE, 1, "open files"},
	{'s', syscall.RLIMIT_STACK, 1024, "stack size (KiB)"},
	{'t', syscall.RLIMIT_CPU, 1, "cpu time (seconds)"},
	{'u', 6 /* RLIMIT_NPROC, the same on amd64 and arm64 */, 1, "processes"},
	{'v', syscall.RLIMIT_AS, 1024, "address space (KiB)"},
}

// ulimit prints the soft limits or sets one, soft and hard.
func ulimit(hc interp.HandlerContext, args []string) error {
	letter, hard, all := byte('f'), false, false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		for _, c := range []byte(args[0][1:]) {
			switch c {
			case 'a':
				all = true
			case 'H':
				hard = true
			case 'S':
				hard = false
			default:
				letter = c
			}
		}
		args = args[1:]
	}
	for _, l := range limits {
		if !all && l.letter != letter {
			continue
		}
		var r syscall.Rlimit
		if err := syscall.Getrlimit(l.resource, &r); err != nil {
			return fail(hc, "ulimit", err)
		}
		switch {
		case all:
			fmt.Fprintf(hc.Stdout, "-%c: %-34s %s\n", l.letter, l.text, l.format(r, hard))
		case len(args) == 0:
			fmt.Fprintln(hc.Stdout, l.format(r, hard))
			return nil
		default:
			return l.set(hc, args[0])
		}
	}
	if !all {
		return fail(hc, "ulimit", fmt.Errorf("-%c: unknown limit", letter))
	}
	return nil
}

func (l limit) format(r syscall.Rlimit, hard bool) string {
	v := r.Cur
	if hard {
		v = r.Max
	}
	if v == ^uint64(0) {
		return "unlimited"
	}
	return strconv.FormatUint(v/l.unit, 10)
}

func (l limit) set(hc interp.HandlerContext, word string) error {
	v := ^uint64(0)
	if word != "unlimited" {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return fail(hc, "ulimit", fmt.Errorf("%s: not a number", word))
		}
		v = n * l.unit
	}
	if err := syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: v, Max: v}); err != nil {
		return fail(hc, "ulimit", err)
	}
	return nil
}

func fail(hc interp.HandlerContext, name string, err error) error {
	fmt.Fprintf(hc.Stderr, "sh: %s: %v\n", name, err)
	return interp.ExitStatus(1)
}

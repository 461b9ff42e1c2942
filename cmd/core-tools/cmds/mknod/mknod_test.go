package main

import (
	"strings"
	"syscall"
	"testing"
)

func TestNode(t *testing.T) {
	for args, want := range map[string]node{
		"x p":           {"x", syscall.S_IFIFO, 0},
		"n c 1 3":       {"n", syscall.S_IFCHR, 0x103},
		"n u 1 3":       {"n", syscall.S_IFCHR, 0x103},
		"d b 259 0x123": {"d", syscall.S_IFBLK, 259<<8 | 0x23 | 1<<20},
	} {
		if got, err := newNode(strings.Fields(args)); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", args, got, err, want)
		}
	}
	for _, args := range []string{"", "x", "x y", "x p 1 2", "x c 1", "x c 4096 1", "x b 1 1048576", "x c a b", "x c -1 1"} {
		if got, err := newNode(strings.Fields(args)); err == nil {
			t.Errorf("%q is %+v, want an error", args, got)
		}
	}
}

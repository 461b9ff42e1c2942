package main

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"

	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

func TestPlan(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"d/x": "", "f": "", "to": "->d"}))
	for _, tt := range []struct {
		args, targets, place string
		into, bad            bool
	}{
		{"-s a b", "a", "b", false, false},
		{"-s a", "a", ".", true, false},
		{"-s a to", "a", "to", true, false},
		{"-sfn a to", "a", "to", false, false},
		{"-sn a d", "a", "d", true, false},
		{"-sT a to", "a", "to", false, false},
		{"-s a b d", "a b", "d", true, false},
		{"-s -t d a b", "a b", "d", true, false},
		{"a b f", "", "", false, true},
		{"-t f a", "", "", false, true},
		{"-T a", "", "", false, true},
		{"-T -t d a", "", "", false, true},
		{"", "", "", false, true},
	} {
		opt, err := getopt.Read("sfinrvLPTt:", nil, strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		targets, place, into, err := plan(opt)
		if (err != nil) != tt.bad || !tt.bad && (!slices.Equal(targets, strings.Fields(tt.targets)) || place != tt.place || into != tt.into) {
			t.Errorf("%s: %q at %q, into %v, %v", tt.args, targets, place, into, err)
		}
	}
}

func TestLink(t *testing.T) {
	const exists, same = "file exists", "are the same file"
	for _, tt := range []struct {
		l                    linker
		answer, target, name string
		reads                string // what the new link leads to, or "same" for a name of a
		problem              string
	}{
		{l: linker{symbolic: true}, target: "any/where", name: "new", reads: "any/where"},
		{l: linker{symbolic: true}, target: "a", name: "b", problem: exists},
		{l: linker{symbolic: true, policy: 'f'}, target: "a", name: "b", reads: "a"},
		{l: linker{symbolic: true, policy: 'f'}, target: "a", name: "to", reads: "a"},
		{l: linker{symbolic: true, policy: 'f'}, target: "a", name: "d", problem: "a folder is in the way"},
		{l: linker{symbolic: true, policy: 'i'}, answer: "y\n", target: "a", name: "b", reads: "a"},
		{l: linker{symbolic: true, policy: 'i'}, answer: "n\n", target: "a", name: "to", reads: "d"},
		{l: linker{symbolic: true, relative: true}, target: "a", name: "d/l", reads: "../a"},
		{l: linker{symbolic: true, relative: true}, target: "none", name: "to/l", reads: "../none"},
		{l: linker{}, target: "a", name: "new", reads: "same"},
		{l: linker{policy: 'f'}, target: "a", name: "b", reads: "same"},
		{l: linker{policy: 'f'}, target: "a", name: "./a", problem: same},
		{l: linker{}, target: "none", name: "new", problem: "no such file"},
		{l: linker{}, target: "la", name: "new", reads: "a"},
		{l: linker{follow: true}, target: "la", name: "new", reads: "same"},
	} {
		t.Chdir(treetest.Lay(t, map[string]string{"a": "A", "b": "B", "d/x": "", "to": "->d", "la": "->a"}))
		l := tt.l
		var errs strings.Builder
		l.in, l.errs = bufio.NewReader(strings.NewReader(tt.answer)), &errs
		_, err := l.link(tt.target, tt.name)
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s to %s: %v, want %q", tt.name, tt.target, err, tt.problem)
			}
			continue
		}
		got, _ := os.Readlink(tt.name)
		if info, serr := os.Lstat(tt.name); serr == nil && got == "" {
			if a, _ := os.Lstat("a"); os.SameFile(a, info) {
				got = "same"
			}
		}
		if err != nil || got != tt.reads {
			t.Errorf("%s to %s: leads to %q, %v; want %q", tt.name, tt.target, got, err, tt.reads)
		}
		if left, _ := os.ReadDir("."); slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".ln") }) {
			t.Errorf("%s to %s: left over: %v", tt.name, tt.target, left)
		}
	}
}

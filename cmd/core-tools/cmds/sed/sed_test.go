package main

import (
	"bufio"
	"strings"
	"testing"
)

func TestScripts(t *testing.T) {
	const in = "one 1\ntwo 2\nthree 3\n"
	tests := []struct {
		script          string
		extended, quiet bool
		want            string
	}{
		{script: "s/o/0/", want: "0ne 1\ntw0 2\nthree 3\n"},
		{script: "s/e/E/g", want: "onE 1\ntwo 2\nthrEE 3\n"},
		{script: "s/e/E/2", want: "one 1\ntwo 2\nthreE 3\n"},
		{script: "s,o,/,", want: "/ne 1\ntw/ 2\nthree 3\n"},
		{script: `s/\([a-z]*\) \([0-9]\)/\2 \1/`, want: "1 one\n2 two\n3 three\n"},
		{script: `s/([a-z]*) ([0-9])/\2 \1/`, extended: true, want: "1 one\n2 two\n3 three\n"},
		{script: "s/[a-z]*/<&>/", want: "<one> 1\n<two> 2\n<three> 3\n"},
		{script: "s/ONE/x/I", want: "x 1\ntwo 2\nthree 3\n"},
		{script: "2d", want: "one 1\nthree 3\n"},
		{script: "$d", want: "one 1\ntwo 2\n"},
		{script: "2!d", want: "two 2\n"},
		{script: "/two/,$d", want: "one 1\n"},
		{script: "2,1d", want: "one 1\nthree 3\n"},
		{script: "/one/,/two/p", quiet: true, want: "one 1\ntwo 2\n"},
		{script: "/o/{s/o/0/;p}", quiet: true, want: "0ne 1\ntw0 2\n"},
		{script: "2q", want: "one 1\ntwo 2\n"},
		{script: "1a after", want: "one 1\nafter\ntwo 2\nthree 3\n"},
		{script: "2i before", want: "one 1\nbefore\ntwo 2\nthree 3\n"},
		{script: "2c changed", want: "one 1\nchanged\nthree 3\n"},
		{script: "$=", quiet: true, want: "3\n"},
		{script: "y/123/abc/", want: "one a\ntwo b\nthree c\n"},
		{script: "N;s/\\n/+/", want: "one 1+two 2\nthree 3\n"},
		{script: "n;d", want: "one 1\nthree 3\n"},
		{script: "# nothing", want: in},
		{script: "s/*/x/", want: in}, // a star with nothing before it is a star
	}
	for _, tt := range tests {
		commands, err := parse(tt.script, tt.extended)
		if err != nil {
			t.Errorf("%s: %v", tt.script, err)
			continue
		}
		var out strings.Builder
		w := bufio.NewWriter(&out)
		e := &editor{commands: commands, quiet: tt.quiet}
		if err := e.run(strings.NewReader(in), w); err != nil {
			t.Errorf("%s: %v", tt.script, err)
		}
		w.Flush()
		if out.String() != tt.want {
			t.Errorf("%s made\n%swant\n%s", tt.script, out.String(), tt.want)
		}
	}
}

func TestBadScripts(t *testing.T) {
	for _, script := range []string{"s/a", "s/a/b", "z", "{p", "}", "1,p", "y/ab/c/", `s/\(/x/`} {
		if _, err := parse(script, false); err == nil {
			t.Errorf("%s: no error", script)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"s/a/b/g", "/x/,$d", "{p;q}", `y/a/\n/`, "1!{a text\n}"} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, script string, extended bool) {
		if _, err := parse(script, extended); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}

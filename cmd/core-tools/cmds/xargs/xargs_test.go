package main

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"coretools.silo/getopt"
)

func TestItems(t *testing.T) {
	for _, tt := range []struct {
		text        string
		null, lines bool
		want        []string
		err         error
	}{
		{text: ""},
		{text: " \n\t\n"},
		{text: "a b\n c\td", want: []string{"a", "b", "c", "d"}},
		{text: `'a b' "c'd" e\ f\'x ""` + "\n", want: []string{"a b", "c'd", "e f'x", ""}},
		{text: "it's\n", err: errQuote},
		{text: `"a`, err: errQuote},
		{text: "  a b \n\nc\n", lines: true, want: []string{"a b ", "c"}},
		{text: "a 'b\x00\x00\nc\x00d", null: true, want: []string{"a 'b", "", "\nc", "d"}},
	} {
		i := &items{in: bufio.NewReader(strings.NewReader(tt.text)), null: tt.null, lines: tt.lines}
		var got []string
		item, err := i.next()
		for ; err == nil; item, err = i.next() {
			got = append(got, item)
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%q: %q, %v, want %q, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		args       []string
		in, answer string
		out, errs  string
		code       int
	}{
		{args: []string{}, in: "a b\nc", out: "a b c\n"},
		{args: []string{"echo", "x"}, out: "x\n"},
		{args: []string{"-r", "echo", "x"}},
		{args: []string{"-n", "2", "echo", "x"}, in: "a b c", out: "x a b\nx c\n"},
		{args: []string{"-n2", "echo"}, in: "a b", out: "a b\n"},
		{args: []string{"-I{}", "echo", "<{}>", "{}{}"}, in: "a b\nc", out: "<a b> a ba b\n<c> cc\n"},
		{args: []string{"-I{}", "echo", "{}"}},
		{args: []string{"-0", "printf", "<%s>"}, in: "a\nb\x00c", out: "<a\nb><c>"},
		{args: []string{"-t", "true"}, in: "a", errs: "true a\n"},
		{args: []string{"-pn1", "echo"}, in: "a b", answer: "n\ny\n", out: "b\n", errs: "echo a? echo b? "},
		{args: []string{"-n1", "sh", "-c", `echo "$1"; exit "$1"`, "sh"}, in: "0 3 0", out: "0\n3\n0\n", code: 123},
		{args: []string{"-n1", "sh", "-c", `exit "$1"`, "sh"}, in: "255 3", errs: "xargs: sh: exited with 255: no more is run\n", code: 124},
		{args: []string{"sh", "-c", "kill -9 $$"}, errs: "xargs: sh: ended by the signal 9\n", code: 125},
		{args: []string{"/etc/passwd"}, errs: "xargs: fork/exec /etc/passwd: permission denied\n", code: 126},
		{args: []string{"/none"}, errs: "xargs: fork/exec /none: no such file or directory\n", code: 127},
		{args: []string{"echo"}, in: "it's", errs: "xargs: a quote without its end: -0 takes quotes as they are\n", code: 1},
		{args: []string{"echo"}, in: strings.Repeat("x", mostBytes), errs: "xargs: an argument is too long\n", code: 1},
	} {
		opt, err := getopt.Read("+0n:I:rtp", nil, tt.args)
		if err != nil {
			t.Fatal(err)
		}
		r, err := newRunner(opt)
		if err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		r.out, r.errs, r.answers = &out, &errs, bufio.NewReader(strings.NewReader(tt.answer))
		code := r.run(&items{in: bufio.NewReader(strings.NewReader(tt.in)), null: opt.Has('0'), lines: r.replace != ""})
		if code != tt.code || out.String() != tt.out || errs.String() != tt.errs {
			t.Errorf("xargs %q: exit %d, %q, %q, want %d, %q, %q", tt.args, code, out.String(), errs.String(), tt.code, tt.out, tt.errs)
		}
	}
}

// TestManyItems are more than fit into one run.
func TestManyItems(t *testing.T) {
	const n = 100_000
	opt, err := getopt.Read("+0n:I:rtp", nil, []string{"sh", "-c", `echo $#`, "sh"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(opt)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r.out, r.errs = &out, &out
	if code := r.run(&items{in: bufio.NewReader(strings.NewReader(strings.Repeat("1234\n", n)))}); code != 0 {
		t.Errorf("exit %d", code)
	}
	const each = (mostBytes - len("sh -c echo $# sh ")) / 5
	runs := strings.Fields(out.String())
	if len(runs) != (n+each-1)/each {
		t.Errorf("%d runs %v, want %d of %d", len(runs), runs, (n+each-1)/each, each)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, args := range []string{"-n 0", "-n x", "-n 1 -I x"} {
		opt, err := getopt.Read("+0n:I:rtp", nil, strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newRunner(opt); err == nil {
			t.Errorf("xargs %s: no error", args)
		}
	}
}

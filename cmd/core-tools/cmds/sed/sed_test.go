package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const input = "one 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"

// edit runs a script over a text.
func edit(t *testing.T, script, text string, extended, quiet bool) (string, int) {
	t.Helper()
	parsed, err := parse(script, extended)
	if err != nil {
		t.Errorf("%s: %v", script, err)
		return "", 0
	}
	var out strings.Builder
	o := &output{Writer: bufio.NewWriter(&out)}
	e := &editor{script: parsed, quiet: quiet || parsed.quiet, end: '\n'}
	if err := e.create(o); err != nil {
		t.Fatal(err)
	}
	l := e.lines("-")
	l.open = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	if err := e.run(l, o); err != nil {
		t.Errorf("%s: %v", script, err)
	}
	o.Flush()
	return out.String(), e.code
}

// What is wanted was written by sed 4.9 of Debian.
func TestScripts(t *testing.T) {
	tests := []struct {
		script          string
		extended, quiet bool
		want            string
		code            int
	}{
		{script: "s/o/0/", want: "0ne 1\ntw0 2\nthree 3\nf0ur 4\nfive 5\n"},
		{script: "s/e/E/g", want: "onE 1\ntwo 2\nthrEE 3\nfour 4\nfivE 5\n"},
		{script: "s/e/E/2", want: "one 1\ntwo 2\nthreE 3\nfour 4\nfive 5\n"},
		{script: "s/e/E/2g", want: "one 1\ntwo 2\nthreE 3\nfour 4\nfive 5\n"},
		{script: "s,o,/,", want: "/ne 1\ntw/ 2\nthree 3\nf/ur 4\nfive 5\n"},
		{script: `s|o\|x|/|`, want: "one 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "s/[/o]/x/", want: "xne 1\ntwx 2\nthree 3\nfxur 4\nfive 5\n"},
		{script: `s/\([a-z]*\) \([0-9]\)/\2 \1/`, want: "1 one\n2 two\n3 three\n4 four\n5 five\n"},
		{script: `s/([a-z]*) ([0-9])/\2 \1/`, extended: true, want: "1 one\n2 two\n3 three\n4 four\n5 five\n"},
		{script: "s/[a-z]*/<&>/", want: "<one> 1\n<two> 2\n<three> 3\n<four> 4\n<five> 5\n"},
		{script: `s/.*/\&/`, want: "&\n&\n&\n&\n&\n"},
		{script: "s/ONE/x/I", want: "x 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "s/b*/-/g", want: "-o-n-e- -1-\n-t-w-o- -2-\n-t-h-r-e-e- -3-\n-f-o-u-r- -4-\n-f-i-v-e- -5-\n"},
		{script: `s/\w\+/[&]/g`, want: "[one] [1]\n[two] [2]\n[three] [3]\n[four] [4]\n[five] [5]\n"},
		{script: `s/\<f/F/;s/e\>/E/`, want: "onE 1\ntwo 2\nthreE 3\nFour 4\nFivE 5\n"},
		{script: "s/[[:digit:]]$/#/", want: "one #\ntwo #\nthree #\nfour #\nfive #\n"},
		{script: "s/[]1]/x/", want: "one x\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "s/*/x/", want: "one 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: `s/t.o\|t/X/`, want: "one 1\nX 2\nXhree 3\nfour 4\nfive 5\n"},
		{script: "s/t|two/X/", extended: true, want: "one 1\nX 2\nXhree 3\nfour 4\nfive 5\n"},
		{script: "s/e{2}/E/", extended: true, want: "one 1\ntwo 2\nthrE 3\nfour 4\nfive 5\n"},
		{script: "s/e+?/E/g", extended: true, want: "EoEnE E1E\nEtEwEoE E2E\nEtEhErE E3E\nEfEoEuErE E4E\nEfEiEvE E5E\n"},
		{script: `s/^\(.\)\(.*\) /\u\1\U\2\E /`, want: "ONE 1\nTWO 2\nTHREE 3\nFOUR 4\nFIVE 5\n"},
		{script: `s/o/\n/`, want: "\nne 1\ntw\n 2\nthree 3\nf\nur 4\nfive 5\n"},
		{script: "1d", want: "two 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "$d", want: "one 1\ntwo 2\nthree 3\nfour 4\n"},
		{script: "2!d", want: "two 2\n"},
		{script: "/two/,$d", want: "one 1\n"},
		{script: "2,1d", want: "one 1\nthree 3\nfour 4\nfive 5\n"},
		{script: "2,+1d", want: "one 1\nfour 4\nfive 5\n"},
		{script: "1~2d", want: "two 2\nfour 4\n"},
		{script: "0~2d", want: "one 1\nthree 3\nfive 5\n"},
		{script: "2,~2d", want: "one 1\nfive 5\n"},
		{script: "0,/o/d", want: "two 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "1,/o/d", want: "three 3\nfour 4\nfive 5\n"},
		{script: "/T/Id", want: "one 1\nfour 4\nfive 5\n"},
		{script: "/one/,/two/p", quiet: true, want: "one 1\ntwo 2\n"},
		{script: "/t/{s/t/T/;p}", quiet: true, want: "Two 2\nThree 3\n"},
		{script: "$=", quiet: true, want: "5\n"},
		{script: "2q", want: "one 1\ntwo 2\n"},
		{script: "2Q", want: "one 1\n"},
		{script: "2q;s/o/0/", want: "0ne 1\ntwo 2\n"},
		{script: "1a after", want: "one 1\nafter\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: `1a\  after`, want: "one 1\n  after\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "1i before", want: "before\none 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "2,3c changed", want: "one 1\nchanged\nfour 4\nfive 5\n"},
		{script: "$!{2,3c changed\n}", want: "one 1\nchanged\nfour 4\nfive 5\n"},
		{script: "y/123/abc/", want: "one a\ntwo b\nthree c\nfour 4\nfive 5\n"},
		{script: `y/o/\n/`, want: "\nne 1\ntw\n 2\nthree 3\nf\nur 4\nfive 5\n"},
		{script: `N;s/\n/+/`, want: "one 1+two 2\nthree 3+four 4\nfive 5\n"},
		{script: "$!N;P;D", want: "one 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "n;d", want: "one 1\nthree 3\nfive 5\n"},
		{script: "N;N;N;N;N;p", want: "one 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: `:a;N;$!ba;s/\n/,/g`, want: "one 1,two 2,three 3,four 4,five 5\n"},
		{script: "1!G;h;$!d", want: "five 5\nfour 4\nthree 3\ntwo 2\none 1\n"},
		{script: `H;${x;s/\n/,/g;p}`, quiet: true, want: ",one 1,two 2,three 3,four 4,five 5\n"},
		{script: "x;G", want: "\none 1\none 1\ntwo 2\ntwo 2\nthree 3\nthree 3\nfour 4\nfour 4\nfive 5\n"},
		{script: "s/o/0/;tx;s/$/ no/;:x", want: "0ne 1\ntw0 2\nthree 3 no\nf0ur 4\nfive 5 no\n"},
		{script: "s/o/0/;Tx;s/$/ yes/;:x", want: "0ne 1 yes\ntw0 2 yes\nthree 3\nf0ur 4 yes\nfive 5\n"},
		{script: "/o/s//0/g", want: "0ne 1\ntw0 2\nthree 3\nf0ur 4\nfive 5\n"},
		{script: "l 4", quiet: true, want: "one\\\n 1$\ntwo\\\n 2$\nthr\\\nee \\\n3$\nfou\\\nr 4$\nfiv\\\ne 5$\n"},
		{script: `1{s/ /\t/;l}`, quiet: true, want: "one\\t1$\n"},
		{script: "1{h;d};$G", want: "two 2\nthree 3\nfour 4\nfive 5\none 1\n"},
		{script: "2{N;N};3,4d", want: "one 1\nfive 5\n"},
		{script: "2{N;N;N};3,6s/$/!/", want: "one 1\ntwo 2\nthree 3\nfour 4\nfive 5!\n"},
		{script: "z;=", want: "1\n\n2\n\n3\n\n4\n\n5\n\n"},
		{script: "N;s/^t.*$/M/M", want: "one 1\nM\nM\nfour 4\nfive 5\n"},
		{script: "s/o/0/w /dev/stdout", want: "0ne 1\n0ne 1\ntw0 2\ntw0 2\nthree 3\nf0ur 4\nf0ur 4\nfive 5\n"},
		{script: "/o/!{p;q3}", quiet: true, code: 3, want: "three 3\n"},
		{script: "# nothing", want: "one 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"},
		{script: "#n", want: ""},
	}
	for _, tt := range tests {
		if got, code := edit(t, tt.script, input, tt.extended, tt.quiet); got != tt.want || code != tt.code {
			t.Errorf("%s made %d\n%swant %d\n%s", tt.script, code, got, tt.code, tt.want)
		}
	}
}

// A last line without an end keeps none.
func TestLastLine(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"p", "a\na\nb\nb"},
		{"s/$/!/", "a!\nb!"},
		{"G", "a\n\nb\n\n"},
		{"x;G", "\na\na\nb"},
		{"$!d;i x", "x\nb"},
		{"$a x", "a\nb\nx\n"},
		{"$!{h;d};H;x", "a\nb"},
		{"N;P;D", "a\nb"},
	} {
		if got, _ := edit(t, tt.script, "a\nb", false, false); got != tt.want {
			t.Errorf("%s made %q, want %q", tt.script, got, tt.want)
		}
	}
}

func TestBadScripts(t *testing.T) {
	for _, script := range []string{
		"s/a", "s/a/b", "K", "{p", "}", "1,p", ",2p", "y/ab/c/", `s/\(/x/`, `s/\(a\)/\2/`, "pq", "p q", "1", "a", "r", "w", ":", "bx",
		"s/a/b/0", "s/a/b/k", "0p", "0,3p", "1}", `s/\(a\)\1/x/`, "s/[a/b/", "1,2,3p",
	} {
		if _, err := parse(script, false); err == nil {
			t.Errorf("%s: no error", script)
		}
	}
}

// A file that is edited in place stays whole if something fails, keeps its mode,
// and the old one stays under the name that the suffix makes.
func TestInPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write := func() {
		if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ suffix, old string }{{"", ""}, {".old", "file.old"}, {"was-*", "was-file"}} {
		write()
		script, err := parse("$!d;s/5/6/", false)
		if err != nil {
			t.Fatal(err)
		}
		e := &editor{script: script, end: '\n'}
		if err := e.inPlace(path, tt.suffix); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != "five 6\n" {
			t.Errorf("%q: %q, %v", tt.suffix, got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
			t.Errorf("%q: %v, %v", tt.suffix, info, err)
		}
		if tt.old != "" {
			if got, err := os.ReadFile(filepath.Join(dir, tt.old)); string(got) != input {
				t.Errorf("%q: the old one %q, %v", tt.suffix, got, err)
			}
		}
	}
	e := &editor{script: &script{}, end: '\n'}
	if err := e.inPlace("/dev/null", ""); err == nil {
		t.Error("a device was edited in place")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Errorf("left %v, %v", left, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"s/a/b/g", "/x/,$d", "{p;q}", `y/a/\n/`, "1!{a text\n}", ":a;s/[/]/\\U&/2g;ta", "0,/x/I{N;D}", "2~3,~4c\\\nx"} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, extended bool) {
		s, err := parse(text, extended)
		if err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
		if err != nil {
			return
		}
		for i, c := range s.commands { // else a run would leave the script
			if c.target < 0 || c.target > len(s.commands) || c.name == '{' && c.target <= i {
				t.Errorf("%q: command %d leads to %d", text, i, c.target)
			}
		}
	})
}

package unit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLex(t *testing.T) {
	text := "\ufeff# c\n; c\n[A]\nk = v w \nx=a\\\n  b\\\n# in between\n c\r\ny=ends \\\\\nz=last\\\n\n[B]\nk=\nodd\n=v\nq=tail\\"
	got, odd, err := lex([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []line{
		{4, "A", "k", "v w"},
		{5, "A", "x", "a   b  c"},
		{9, "A", "y", `ends \\`},
		{10, "A", "z", "last"},
		{13, "B", "k", ""},
		{16, "B", "q", "tail"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(line{})); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	if len(odd) != 2 || odd[0].number != 14 || odd[1].number != 15 {
		t.Errorf("oddities are %v, want lines 14 and 15", odd)
	}
}

func TestLexRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"NUL":       "[A]\nk=\x00",
		"not UTF-8": "[A]\nk=\xff\xfe",
		"no end":    "[A\nk=v",
		"larger":    strings.Repeat("#", mostFileSize+1),
	} {
		if _, _, err := lex([]byte(text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error is %v, want one that says so", name, err)
		}
	}
	u := one(t, "a.service", "key=before\n[Service]\nExecStart=/bin/true\n[Nonsense]\na=b\nc=d\n[X-Ours]\na=b\n")
	if u.State != Loaded || len(u.Notes) != 2 {
		t.Errorf("state %s, notes %v: want loaded and two notes", u.State, u.Notes)
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string][]string{
		``:                  nil,
		` a  b `:            {"a", "b"},
		`'a b' "c d"`:       {"a b", "c d"},
		`a'b c'd`:           {"ab cd"},
		`""`:                {""},
		`a\x20b \t\101 \s`:  {"a b", "\tA", " "},
		`\u00e4 \U0001F600`: {"ä", "😀"},
		`"a\"b" 'c\'d'`:     {`a"b`, `c'd`},
		`\.x \9`:            {`\.x`, `\9`},
		"a\\\\b":            {`a\b`},
		`end\`:              {`end\`},
	} {
		got, err := words(in, quoting{escapes: true})
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", in, d)
		}
	}
	for _, bad := range []string{`"open`, `'open`, `\x00`, `\000`, `\777`, `\ud800`, `\UFFFFFFFF`} {
		if got, err := words(bad, quoting{escapes: true}); err == nil {
			t.Errorf("%q gives %q, want an error", bad, got)
		}
	}
	if got, err := words(`a "b c`, quoting{relaxed: true}); err != nil || len(got) != 2 || got[1] != "b c" {
		t.Errorf("relaxed gives %q, %v", got, err)
	}
}

func TestNames(t *testing.T) {
	n, err := ParseName("a-b@c-d.service")
	want := Name{"a-b@c-d.service", "a-b", "c-d", true, "service"}
	if err != nil || n != want || n.Template() != "a-b@.service" || n.IsTemplate() || n.Stem() != "a-b@c-d" {
		t.Errorf("got %+v %v", n, err)
	}
	for _, bad := range []string{"", "a", ".service", "a.exe", "a/b.service", "@x.service", "a b.service", strings.Repeat("a", 250) + ".service", "ä.service", "a.service\n"} {
		if _, err := ParseName(bad); err == nil {
			t.Errorf("%q is taken as a name", bad)
		}
	}
	for plain, escaped := range map[string]string{"a/b-c": `a-b\x2dc`, "15/main": "15-main", ".x": `\x2ex`} {
		if Escape(plain) != escaped || Unescape(escaped) != plain {
			t.Errorf("%q: escaped %q, back %q", plain, Escape(plain), Unescape(escaped))
		}
	}
	if got := Unescape(`a\xzz`); got != `a\xzz` {
		t.Errorf("badly escaped text became %q", got)
	}
}

func TestSpecifiers(t *testing.T) {
	host := testHost()
	n, err := ParseName(`pre-fix@in-st\x2da.service`)
	if err != nil {
		t.Fatal(err)
	}
	sp := specifiers{name: n, host: &host, path: "/etc/systemd/system/x"}
	for in, want := range map[string]string{
		"%n|%N":          `pre-fix@in-st\x2da.service|pre-fix@in-st\x2da`,
		"%p|%P|%j|%J":    "pre-fix|pre/fix|fix|fix",
		"%i|%I|%f":       `in-st\x2da|in/st-a|/in/st-a`,
		"%t%S%C%L%E%T%V": "/run/var/lib/var/cache/var/log/etc/tmp/var/tmp",
		"%h %u %U %g %G": "/root root 0 root 0",
		"%H %l %m %b %v": "box.example.org box 00112233445566778899aabbccddeeff b00 6.12.3-test",
		"%s %a %o %w":    "/bin/sh x86-64 debian 12",
		"%y %Y":          "/etc/systemd/system/x /etc/systemd/system",
		"100%% %z %":     "100% %z %",
	} {
		if got, err := sp.expand(in); err != nil || got != want {
			t.Errorf("%q became %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := sp.expand(strings.Repeat("%n", mostExpanded/8)); err == nil {
		t.Error("an endless expansion is taken")
	}
}

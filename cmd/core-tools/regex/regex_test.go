package regex

import "testing"

// What is wanted was found by grep 3.8 and sed 4.9 of Debian.
func TestCompile(t *testing.T) {
	const basic, extended = false, true
	for _, tt := range []struct {
		kind          bool
		pattern, text string
		want          string // what is found first, "-" for nothing
	}{
		{basic, `a*b`, "aab", "aab"},
		{basic, `*b`, "a*b", "*b"},
		{basic, `^*b`, "*b", "*b"},
		{basic, `\(*b\)`, "a*b", "*b"},
		{basic, `^^a`, "^a", "^a"},
		{basic, `a^b$c`, "a^b$c", "a^b$c"},
		{basic, `\(^a\|b$\)`, "xab", "b"},
		{basic, `a+?|(){}`, "a+?|(){}", "a+?|(){}"},
		{basic, `a\{2,3\}`, "aaaa", "aaa"},
		{basic, `a\{,2\}b`, "aaab", "aab"},
		{basic, `a\+b\?`, "aabb", "aab"},
		{basic, `\.\*\[\\`, `x.*[\`, `.*[\`},
		{basic, `\<b`, "ab b", "b"},
		{basic, "\\`a", "a", "a"},
		{basic, `\-\"`, `-"`, `-"`},
		{extended, `a|ab|abc`, "abcd", "abc"},
		{extended, `(a|ab)(c|bcd)`, "abcd", "abcd"},
		{extended, `a+?`, "aaa", "aaa"},
		{extended, `a**`, "aaa", "aaa"},
		{extended, `a{2}?b`, "aaab", "aab"},
		{extended, `(ab)+?c`, "ababc", "ababc"},
		{extended, `a{x`, "a{x", "a{x"},
		{extended, `\(\)\{`, "(){", "(){"},
		{extended, `*a`, "*a", "*a"},
		{extended, `(^a|b$)`, "ab", "a"},
		{extended, `a^b`, "a^b", "-"},
		{extended, `[]a]+`, "x]a]", "]a]"},
		{extended, `[^]a]+`, "]xa", "x"},
		{extended, `[\]+`, `a\\b`, `\\`},
		{extended, `[\.]+`, `a\.b`, `\.`},
		{extended, `[a-c-]+`, "xb-a", "b-a"},
		{extended, `[[:digit:]_]+`, "a1_2", "1_2"},
		{extended, `[[.-.]x]+`, "a-x", "-x"},
		{extended, `[^[:space:]]+$`, "a bc", "bc"},
		{extended, `[^x^]+`, "^a^", "a"},
		{extended, `a.b`, "a\nb", "a\nb"},
		{extended, `ä+.`, "äää€", "äää€"},
	} {
		re, err := Compile(tt.pattern, tt.kind, false, false)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		got := re.FindString(tt.text)
		if !re.MatchString(tt.text) {
			got = "-"
		}
		if got != tt.want {
			t.Errorf("%s finds %q in %q, want %q", tt.pattern, got, tt.text, tt.want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		pattern        string
		anyCase, multi bool
		want           string
	}{
		{"B.*", false, false, "Bx\nb"},
		{"b.*", true, false, "Bx\nb"},
		{"^B.*$", false, true, "Bx"},
		{"^B.*$", false, false, ""},
	} {
		re, err := Compile(tt.pattern, false, tt.anyCase, tt.multi)
		if err != nil {
			t.Fatal(err)
		}
		if got := re.FindString("a\nBx\nb"); got != tt.want {
			t.Errorf("%+v finds %q", tt, got)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, p := range []string{`\(a\)\1`, "[a", `a\`, `\(a`, `a\)`, `a\{`, `a\{x\}`, `[[:nosuch:]]`, `[b-a]`, "a[[.x]"} {
		if _, err := Compile(p, false, false, false); err == nil {
			t.Errorf("%s: no error", p)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, p := range []string{`\(a\|b*\)\{1,2\}$`, "[^]a[:alpha:]]", "(a|^b)+?{2}"} {
		f.Add(p, true)
		f.Add(p, false)
	}
	f.Fuzz(func(t *testing.T, p string, extended bool) {
		if n := Bracket("[" + p); n < 1 || n > len(p)+1 {
			t.Errorf("a set of %d bytes in %q", n, "["+p)
		}
		if _, err := Compile(p, extended, true, true); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}

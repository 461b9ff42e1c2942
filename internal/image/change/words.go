package change

import (
	"strings"
	"unicode/utf8"

	"silo/internal/errs"
)

// logicalLines joins lines that end in a backslash and drops empty lines and
// comments, those between joined lines too.
func logicalLines(text string) []string {
	var out []string
	var b strings.Builder
	open := false
	for _, l := range strings.Split(text, "\n") {
		l = strings.TrimSuffix(l, "\r")
		t := strings.TrimSpace(l)
		if t == "" || strings.HasPrefix(t, "#") {
			continue
		}
		if !open {
			l = strings.TrimLeft(l, " \t")
		}
		r := strings.TrimRight(l, " \t")
		if strings.HasSuffix(r, `\`) {
			b.WriteString(strings.TrimSuffix(r, `\`))
			open = true
			continue
		}
		b.WriteString(r)
		out = append(out, b.String())
		b.Reset()
		open = false
	}
	if s := strings.TrimSpace(b.String()); s != "" {
		out = append(out, s)
	}
	return out
}

type lookupFunc = func(name string) (string, bool)

// fields splits at blanks outside of quotes and leaves quotes and escapes in.
func fields(s string) ([]string, error) {
	var out []string
	var quote byte
	start := -1
	for i := 0; i < len(s); i++ {
		ch := s[i]
		blank := ch == ' ' || ch == '\t' || ch == '\n'
		switch {
		case start < 0 && blank:
			continue
		case start < 0:
			start = i
		case quote == 0 && blank:
			out = append(out, s[start:i])
			start = -1
			continue
		}
		switch {
		case ch == '\\' && quote != '\'':
			i++
		case quote != 0 && ch == quote:
			quote = 0
		case quote == 0 && (ch == '"' || ch == '\''):
			quote = ch
		}
	}
	if quote != 0 {
		return nil, errs.Invalidf("unexpected end of statement while looking for matching %s-quote", quoteName(quote))
	}
	if start >= 0 {
		out = append(out, s[start:])
	}
	return out, nil
}

func quoteName(q byte) string {
	if q == '"' {
		return "double"
	}
	return "single"
}

// words splits args into expanded words.
func words(args string, get lookupFunc) ([]string, error) {
	raw, err := fields(args)
	if err != nil {
		return nil, err
	}
	out := raw[:0]
	for _, w := range raw {
		e, err := expand(w, get)
		if err != nil {
			return nil, err
		}
		if e != "" {
			out = append(out, e)
		}
	}
	return out, nil
}

func one(name, args string, get lookupFunc) (string, error) {
	w, err := words(args, get)
	if err != nil {
		return "", err
	}
	if len(w) != 1 {
		return "", errs.Invalidf("%s requires exactly one argument", name)
	}
	return w[0], nil
}

// pairs reads `a=b c="d e"`, or the old form `name the whole rest`. Values of
// one instruction see the variables as they were before it.
func pairs(args string, get lookupFunc) ([][2]string, error) {
	raw, err := fields(args)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(raw[0], "=") {
		rest := strings.TrimSpace(strings.TrimPrefix(args, raw[0]))
		if rest == "" {
			return nil, errs.Invalidf("%q must have two arguments: write name=value", raw[0])
		}
		raw = []string{raw[0] + "=" + rest}
	}
	var out [][2]string
	for _, w := range raw {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return nil, errs.Invalidf("syntax error - can't find = in %q. Must be of the form: name=value", w)
		}
		if k, err = expand(k, get); err != nil {
			return nil, err
		}
		if k == "" {
			return nil, errs.Invalidf("names can not be blank")
		}
		if v, err = expand(v, get); err != nil {
			return nil, err
		}
		out = append(out, [2]string{k, v})
	}
	return out, nil
}

// expand removes quotes and escapes from one word and puts in variables:
// $name, ${name}, ${name:-word}, ${name:+word}.
func expand(w string, get lookupFunc) (string, error) {
	var b strings.Builder
	double := false
	for i := 0; i < len(w); {
		switch ch := w[i]; {
		case ch == '\\' && i+1 < len(w):
			// Inside double quotes a backslash only escapes what is special there.
			if double && !strings.ContainsRune("\"$\\", rune(w[i+1])) {
				b.WriteByte('\\')
			}
			_, n := utf8.DecodeRuneInString(w[i+1:])
			b.WriteString(w[i+1 : i+1+n])
			i += 1 + n
		case ch == '"':
			double = !double
			i++
		case ch == '\'' && !double:
			end := strings.IndexByte(w[i+1:], '\'')
			if end < 0 {
				return "", errs.Invalidf("unexpected end of statement while looking for matching single-quote")
			}
			b.WriteString(w[i+1 : i+1+end])
			i += end + 2
		case ch == '$':
			v, n, err := variable(w[i:], get)
			if err != nil {
				return "", err
			}
			b.WriteString(v)
			i += n
		default:
			b.WriteByte(ch)
			i++
		}
	}
	if double {
		return "", errs.Invalidf("unexpected end of statement while looking for matching double-quote")
	}
	return b.String(), nil
}

// variable expands the variable that s begins with, and says how long it is.
func variable(s string, get lookupFunc) (string, int, error) {
	if !strings.HasPrefix(s, "${") {
		n := nameLen(s[1:])
		if n == 0 {
			return "$", 1, nil
		}
		v, _ := get(s[1 : 1+n])
		return v, 1 + n, nil
	}
	n := nameLen(s[2:])
	if n == 0 {
		return "", 0, errs.Invalidf("bad substitution in %q", s)
	}
	name, rest := s[2:2+n], s[2+n:]
	v, set := get(name)
	if strings.HasPrefix(rest, "}") {
		return v, 3 + n, nil
	}
	colon := strings.HasPrefix(rest, ":")
	op := strings.TrimPrefix(rest, ":")
	if op == "" || op[0] != '-' && op[0] != '+' {
		return "", 0, errs.Invalidf("unsupported modifier in substitution %q", s)
	}
	end := closing(op)
	if end < 0 {
		return "", 0, errs.Invalidf("missing } in %q", s)
	}
	have := set && !(colon && v == "")
	length := len(s) - len(op) + end + 1
	if have && op[0] == '-' {
		return v, length, nil
	}
	if have == (op[0] == '-') {
		return "", length, nil
	}
	word, err := expand(op[1:end], get)
	return word, length, err
}

// closing finds the } that ends a substitution, past nested ones.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], "${"):
			depth++
		case s[i] == '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

func nameLen(s string) int {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

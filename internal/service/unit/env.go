package unit

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// envName tells whether a text can name a variable.
func envName(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !alnum(s[i]) && s[i] != '_' {
			return false
		}
	}
	return true
}

// lookup finds a variable in NAME=value entries; the last one counts.
func lookup(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name); ok && v != "" && v[0] == '=' {
			return v[1:], true
		}
	}
	return "", false
}

// Argv gives the arguments of a command with the variables of env, NAME=value
// each. ${X} is replaced anywhere in a word; $X only as a whole word, and
// becomes as many words as it holds, none if it is not set. $$ is a $.
func (c *Command) Argv(env []string) ([]string, error) {
	if c.NoExpand || len(c.Args) == 0 {
		return c.Args, nil
	}
	argv := []string{c.Args[0]}
	size := 0
	for _, arg := range c.Args[1:] {
		var parts []string
		if name, ok := strings.CutPrefix(arg, "$"); ok && envName(name) {
			value, _ := lookup(env, name)
			var err error
			if parts, err = words(value, quoting{relaxed: true}); err != nil {
				return nil, fmt.Errorf("variable %s: %w", name, err)
			}
		} else {
			parts = []string{expandBraces(arg, env, mostExpanded-size)}
		}
		for _, p := range parts {
			if size += len(p) + 1; size > mostExpanded {
				return nil, fmt.Errorf("command line of %s is longer than %d bytes", shorten(c.Path), mostExpanded)
			}
		}
		argv = append(argv, parts...)
	}
	return argv, nil
}

// expandBraces replaces ${X} and $$; it may stop when the result is longer
// than most.
func expandBraces(s string, env []string, most int) string {
	if strings.IndexByte(s, '$') < 0 {
		return s
	}
	var b strings.Builder
	for s != "" && b.Len() <= most {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		end := strings.IndexByte(s[i:], '}')
		switch {
		case s[i+1] == '$':
			b.WriteByte('$')
			s = s[i+2:]
		case s[i+1] == '{' && end > 0 && envName(s[i+2:i+end]):
			value, _ := lookup(env, s[i+2:i+end])
			b.WriteString(value)
			s = s[i+end+1:]
		default:
			b.WriteByte('$')
			s = s[i+1:]
		}
	}
	return b.String()
}

// ParseEnvFile reads the text of an EnvironmentFile as systemd does: lines of
// NAME=value with the quotes of a shell and none of its expansions. Lines that
// are no assignment are passed over.
func ParseEnvFile(text []byte) ([]string, error) {
	switch {
	case len(text) > mostFileSize:
		return nil, fmt.Errorf("larger than %d bytes", mostFileSize)
	case bytes.IndexByte(text, 0) >= 0:
		return nil, fmt.Errorf("NUL byte")
	case !utf8.Valid(text):
		return nil, fmt.Errorf("not UTF-8")
	}
	var env []string
	s := strings.TrimPrefix(string(text), "\ufeff")
	for s != "" {
		s = strings.TrimLeft(s, " \t\n\r")
		end := strings.IndexByte(s, '\n')
		if end < 0 {
			end = len(s)
		}
		eq := strings.IndexByte(s[:end], '=')
		if s == "" || s[0] == '#' || s[0] == ';' || eq < 0 {
			s = s[end:]
			continue
		}
		key := strings.TrimRight(s[:eq], " \t")
		value, rest := envValue(s[eq+1:])
		s = rest
		if envName(key) {
			if len(env) == mostList {
				return nil, errTooMany
			}
			env = append(env, key+"="+value)
		}
	}
	return env, nil
}

// envValue reads a value up to the end of its line, quoted parts and
// continuation lines included.
func envValue(s string) (value, rest string) {
	var b strings.Builder
	s = strings.TrimLeft(s, " \t")
	keep := 0 // blanks at the end are dropped down to here
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\n', '\r':
			return b.String()[:trimmed(b.String(), keep)], s[i:]
		case '\\':
			i++
			if i < len(s) && s[i] != '\n' {
				b.WriteByte(s[i])
			}
			keep = b.Len()
		case '\'', '"':
			i += quotedValue(&b, s[i+1:], c)
			keep = b.Len()
		default:
			b.WriteByte(c)
		}
	}
	return b.String()[:trimmed(b.String(), keep)], ""
}

// trimmed is the length of s without blanks at its end, at least keep.
func trimmed(s string, keep int) int {
	return max(keep, len(strings.TrimRight(s, " \t")))
}

// quotedValue writes what stands before the closing quote and gives the length
// of what it read, that quote included. A missing one ends with the text.
func quotedValue(b *strings.Builder, s string, quote byte) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i + 1
		case s[i] == '\\' && quote == '"' && i+1 < len(s):
			i++
			if strings.IndexByte("\"\\`$", s[i]) < 0 && s[i] != '\n' {
				b.WriteByte('\\')
			}
			if s[i] != '\n' {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return len(s)
}

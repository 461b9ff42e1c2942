package unit

import (
	"fmt"
	"strings"
)

// Name is a unit's name in its parts. redis@a.service has the prefix redis,
// the instance a and the ending service; redis@.service is a template.
type Name struct {
	Full     string
	Prefix   string
	Instance string
	At       bool // has an @: an instance, or a template if Instance is empty
	Ending   string
}

// endings are all kinds of unit that systemd has.
const endings = " service socket timer target path mount automount swap device slice scope "

// ParseName takes a unit's name apart; the error says what is wrong with it.
func ParseName(name string) (Name, error) {
	bad := func(why string) (Name, error) {
		return Name{}, fmt.Errorf("unit name %q: %s", shorten(name), why)
	}
	if name == "" || len(name) > mostNameLen {
		return bad("empty or too long")
	}
	for i := range len(name) {
		c := name[i]
		if !alnum(c) && strings.IndexByte(`:_.-\@`, c) < 0 {
			return bad(fmt.Sprintf("%q cannot be in it", c))
		}
	}
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return bad("want an ending such as .service")
	}
	n := Name{Full: name, Ending: name[dot+1:]}
	if !strings.Contains(endings, " "+n.Ending+" ") {
		return bad("no kind of unit ends in ." + n.Ending)
	}
	n.Prefix, n.Instance, n.At = strings.Cut(name[:dot], "@")
	if n.Prefix == "" {
		return bad("nothing before the @")
	}
	return n, nil
}

func alnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// IsTemplate tells whether the name has an @ and no instance.
func (n Name) IsTemplate() bool { return n.At && n.Instance == "" }

// Template is the name of the template of an instance, "" for other names.
func (n Name) Template() string {
	if !n.At || n.Instance == "" {
		return ""
	}
	return n.Prefix + "@." + n.Ending
}

// With gives a template's name with an instance.
func (n Name) With(instance string) string { return n.Prefix + "@" + instance + "." + n.Ending }

// Stem is the name without its ending.
func (n Name) Stem() string { return strings.TrimSuffix(n.Full, "."+n.Ending) }

// Kind is what kind of unit the name is for.
func (n Name) Kind() Kind {
	switch k := Kind(n.Ending); k {
	case KindService, KindSocket, KindTimer, KindTarget:
		return k
	}
	return KindOther
}

// Unescape undoes the escaping of names: - is /, \x2d is -. A text that is not
// well escaped comes back as it is.
func Unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '-':
			b.WriteByte('/')
		case s[i] == '\\':
			if i+3 >= len(s) || s[i+1] != 'x' {
				return s
			}
			v, ok := number(s[i+2:], 2, 16)
			if !ok || v == 0 {
				return s
			}
			b.WriteByte(byte(v))
			i += 3
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// Escape makes a text fit to be an instance, the other way round.
func Escape(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '/':
			b.WriteByte('-')
		case alnum(c) || c == ':' || c == '_' || c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/interp"
)

// printer is one call of printf. What is wrong with an argument is told, and
// the rest printed nevertheless.
type printer struct {
	hc   interp.HandlerContext
	out  []byte
	args []string
	used bool // a directive has taken an argument, or would have
	bad  bool
	stop bool // \c of %b, or a directive that does not exist
}

func (s *shell) printf(ctx context.Context, hc interp.HandlerContext, args []string) error {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		complain(hc, "printf", "needs a format")
		return interp.ExitStatus(2)
	}
	p := printer{hc: hc, args: args[1:]}
	for {
		p.format(args[0])
		if p.stop || !p.used || len(p.args) == 0 {
			break
		}
	}
	if err := s.emit(ctx, hc, "printf", p.out); err != nil {
		return err
	}
	if p.bad {
		return interp.ExitStatus(1)
	}
	return nil
}

// format prints the whole format once.
func (p *printer) format(text string) {
	for text != "" && !p.stop {
		i := strings.IndexAny(text, `%\`)
		if i < 0 {
			i = len(text)
		}
		p.out, text = append(p.out, text[:i]...), text[i:]
		switch {
		case text == "":
		case text[0] == '%':
			text = p.directive(text[1:])
		case len(text) == 1:
			p.out, text = append(p.out, text...), ""
		default:
			value, length := escape(text[1:], inFormat)
			p.out, text = append(p.out, value...), text[1+length:]
		}
	}
}

func (p *printer) complain(format string, args ...any) {
	complain(p.hc, "printf", format, args...)
	p.bad = true
}

// next takes an argument; there is the empty one after the last.
func (p *printer) next() string {
	p.used = true
	if len(p.args) == 0 {
		return ""
	}
	word := p.args[0]
	p.args = p.args[1:]
	return word
}

// directive is what stands between a % and its verb.
type directive struct {
	minus, plus, space, alternate, zero bool
	width, precision                    int // precision -1: not given
}

// directive prints one directive and gives the text after it.
func (p *printer) directive(text string) string {
	whole := text
	d := directive{precision: -1}
	n := digits(text, len(text), "-+ #0")
	flags := text[:n]
	text = text[n:]
	d.minus, d.zero = strings.Contains(flags, "-"), strings.Contains(flags, "0")
	d.plus, d.space, d.alternate = strings.Contains(flags, "+"), strings.Contains(flags, " "), strings.Contains(flags, "#")
	if d.width, text = p.count(text); d.width < 0 {
		d.minus, d.width = true, -d.width
	}
	if strings.HasPrefix(text, ".") {
		d.precision, text = p.count(text[1:])
		d.precision = max(d.precision, -1) // a negative one counts as none
	}
	text = strings.TrimLeft(text, "hlLjzt")
	if text == "" {
		p.complain("%%%s: no directive", whole)
		p.stop = true
		return ""
	}
	p.verb(text[0], d)
	if p.stop && p.bad {
		return ""
	}
	return text[1:]
}

// widest is more than anyone prints and fits in memory.
const widest = 1 << 20

// count reads a width or precision, * for that of an argument.
func (p *printer) count(text string) (int, string) {
	if strings.HasPrefix(text, "*") {
		return int(max(-widest, min(p.signedArgument(), widest))), text[1:]
	}
	n := digits(text, len(text), "0123456789")
	v, err := strconv.Atoi(text[:n])
	if err != nil && n > 0 {
		v = widest
	}
	return min(v, widest), text[n:]
}

func (p *printer) verb(verb byte, d directive) {
	switch verb {
	case '%':
		p.out = append(p.out, '%')
	case 's':
		p.pad(d.cut(p.next()), d)
	case 'b':
		text, stop := unescape(p.next(), inArgument)
		p.pad(d.cut(string(text)), d)
		p.stop = stop
	case 'q':
		p.pad(quoteAll([]string{p.next()}), d)
	case 'c':
		p.pad((p.next() + "\x00")[:1], d)
	case 'd', 'i':
		p.signed(p.signedArgument(), d)
	case 'o', 'u', 'x', 'X':
		n, negative := p.integer(p.next())
		if negative {
			n = -n
		}
		p.unsigned(n, verb, d)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		p.float(p.real(p.next()), verb, d)
	default:
		p.complain("%%%c: no directive", verb)
		p.stop = true
	}
}

func (d directive) cut(text string) string {
	if d.precision >= 0 && d.precision < len(text) {
		return text[:d.precision]
	}
	return text
}

// pad prints text in its width.
func (p *printer) pad(text string, d directive) {
	fill := strings.Repeat(" ", max(0, d.width-len(text)))
	if d.minus {
		p.out = append(p.out, text+fill...)
	} else {
		p.out = append(p.out, fill+text...)
	}
}

// number prints a sign or prefix and digits, with zeros between them up to the
// precision, or up to the width if there is none.
func (p *printer) number(prefix, text string, d directive) {
	if d.precision == 0 && text == "0" {
		text = ""
	}
	least := d.precision
	if d.zero && !d.minus && d.precision < 0 {
		least = d.width - len(prefix)
	}
	p.pad(prefix+strings.Repeat("0", max(0, least-len(text)))+text, d)
}

func (p *printer) signed(n int64, d directive) {
	sign, magnitude := d.sign(n < 0), uint64(n)
	if n < 0 {
		magnitude = -magnitude
	}
	p.number(sign, strconv.FormatUint(magnitude, 10), d)
}

func (d directive) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case d.plus:
		return "+"
	case d.space:
		return " "
	}
	return ""
}

func (p *printer) unsigned(n uint64, verb byte, d directive) {
	switch verb {
	case 'u':
		p.number("", strconv.FormatUint(n, 10), d)
	case 'o':
		text := strconv.FormatUint(n, 8)
		if d.alternate && text[0] != '0' {
			d.precision = max(d.precision, len(text)+1)
		}
		p.number("", text, d)
	default:
		text, prefix := strconv.FormatUint(n, 16), ""
		if d.alternate && n != 0 {
			prefix = "0x"
		}
		if verb == 'X' {
			text, prefix = strings.ToUpper(text), strings.ToUpper(prefix)
		}
		p.number(prefix, text, d)
	}
}

func (p *printer) float(v float64, verb byte, d directive) {
	sign := d.sign(math.Signbit(v))
	v = math.Abs(v)
	if math.IsInf(v, 0) || math.IsNaN(v) {
		text := strings.ToLower(strings.TrimPrefix(fmt.Sprint(v), "+"))
		if verb < 'a' {
			text = strings.ToUpper(text)
		}
		p.pad(sign+text, d)
		return
	}
	precision, format := d.precision, "%.*"
	if precision < 0 {
		precision = 6
	}
	if d.alternate {
		format = "%#.*"
	}
	text := fmt.Sprintf(format+string(rune(verb)), precision, v)
	d.precision = -1
	p.number(sign, text, d)
}

func (p *printer) signedArgument() int64 {
	word := p.next()
	n, negative := p.integer(word)
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	if n > limit {
		p.complain("%s: out of range", word)
		n = limit
	}
	if negative {
		n = -n
	}
	return int64(n)
}

// integer reads word as C does: decimal, 0 octal, 0x hexadecimal, 'c the number
// of a character.
func (p *printer) integer(word string) (magnitude uint64, negative bool) {
	if word == "" {
		return 0, false
	}
	if n, ok := character(word); ok {
		return uint64(n), false
	}
	text := strings.TrimLeft(word, " \t\n\v\f\r")
	negative = strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	base, set := 10, "0123456789"
	switch {
	case len(text) > 2 && (text[:2] == "0x" || text[:2] == "0X") && digits(text[2:], 1, "0123456789abcdefABCDEF") == 1:
		base, set, text = 16, "0123456789abcdefABCDEF", text[2:]
	case strings.HasPrefix(text, "0"):
		base, set = 8, "01234567"
	}
	n := digits(text, len(text), set)
	v, err := strconv.ParseUint(text[:n], base, 64)
	switch {
	case n < len(text) || n == 0:
		p.complain("%s: not a number", word)
	case err != nil:
		p.complain("%s: out of range", word)
	}
	return v, negative
}

// character gives the number of the character after a quote.
func character(word string) (rune, bool) {
	if word == "" || word[0] != '\'' && word[0] != '"' {
		return 0, false
	}
	r, size := utf8.DecodeRuneInString(word[1:])
	switch {
	case size == 0:
		return 0, true
	case r == utf8.RuneError && size == 1:
		return rune(word[1]), true
	}
	return r, true
}

// real reads word as a number with a fraction.
func (p *printer) real(word string) float64 {
	if word == "" {
		return 0
	}
	if n, ok := character(word); ok {
		return float64(n)
	}
	text := strings.TrimLeft(word, " \t\n\v\f\r")
	for n := len(text); n > 0; n-- {
		if strings.Contains(text[:n], "_") {
			continue
		}
		whole := text[:n]
		if low := strings.ToLower(whole); strings.Contains(low, "0x") && !strings.Contains(low, "p") {
			whole += "p0" // which the library of Go demands
		}
		v, err := strconv.ParseFloat(whole, 64)
		if err != nil && !math.IsInf(v, 0) {
			continue
		}
		if n < len(text) {
			p.complain("%s: not a number", word)
		}
		return v
	}
	p.complain("%s: not a number", word)
	return 0
}

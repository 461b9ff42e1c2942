package table

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Condition is one comparison of an expression: NAME OPERATOR VALUE.
type Condition struct {
	Column, Operator, Value string
}

// operators, longest first, so that <= is not read as <.
var operators = []string{"!=", "!~", "<=", ">=", "==", "=", "<", ">", "~"}

// ParseWhere reads conditions joined by "and": status=running and name~e*.
// A value with blanks stands in quotes, 'a b' or "a b"; in a value, a
// backslash takes the special meaning from the next character.
func ParseWhere(text string) ([]Condition, error) {
	var all []Condition
	rest := text
	for {
		c, after, err := condition(rest)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		all = append(all, c)
		after = strings.TrimLeft(after, " \t")
		if after == "" {
			return all, nil
		}
		word, more, _ := strings.Cut(after, " ")
		if !strings.EqualFold(word, "and") && word != "&&" {
			return nil, fmt.Errorf("%q: %q: want \"and\" between two conditions, or quotes around a value with blanks", text, word)
		}
		rest = more
	}
}

func condition(text string) (Condition, string, error) {
	at := strings.IndexAny(text, "!=<>~")
	if at < 0 {
		return Condition{}, "", errors.New("no operator: write NAME=VALUE, or with one of != < > <= >= ~ (a pattern) !~")
	}
	c := Condition{Column: strings.TrimSpace(text[:at])}
	if c.Column == "" {
		return c, "", errors.New("no column before the operator")
	}
	rest := text[at:]
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			c.Operator, rest = op, rest[len(op):]
			break
		}
	}
	if c.Operator == "" {
		return c, "", fmt.Errorf("%q: no operator", rest[:1])
	}
	if c.Operator == "==" {
		c.Operator = "="
	}
	var err error
	c.Value, rest, err = operand(strings.TrimLeft(rest, " \t"))
	return c, rest, err
}

// operand reads a value: in quotes, or up to the next blank.
func operand(text string) (value, rest string, err error) {
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		end := strings.IndexByte(text[1:], text[0])
		if end < 0 {
			return "", "", errors.New("a quote that does not end")
		}
		return text[1 : 1+end], text[2+end:], nil
	}
	end := strings.IndexAny(text, " \t")
	if end < 0 {
		return text, "", nil
	}
	return text[:end], text[end:], nil
}

// Where keeps the rows that meet all conditions.
func (t *Table) Where(all []Condition) error {
	for _, c := range all {
		column, err := t.Find(c.Column)
		if err != nil {
			return err
		}
		t.Rows = slices.DeleteFunc(t.Rows, func(row []any) bool { return !c.holds(row[column]) })
	}
	return nil
}

// holds compares without regard to letter case; what is not known equals the
// empty value and "-" only, and is neither less nor more than anything.
func (c Condition) holds(v any) bool {
	switch c.Operator {
	case "=":
		return c.equal(v)
	case "!=":
		return !c.equal(v)
	case "~":
		return c.matches(v)
	case "!~":
		return !c.matches(v)
	}
	if v == nil {
		return false
	}
	order := c.order(v)
	switch c.Operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func (c Condition) equal(v any) bool {
	switch v := v.(type) {
	case nil:
		return c.Value == "" || c.Value == "-"
	case bool:
		return v == slices.Contains([]string{"yes", "true", "1"}, strings.ToLower(c.Value)) &&
			slices.Contains([]string{"yes", "true", "1", "no", "false", "0"}, strings.ToLower(c.Value))
	case []string: // one of them, or all as they are shown
		if slices.ContainsFunc(v, func(s string) bool { return strings.EqualFold(s, c.Value) }) {
			return true
		}
	}
	return c.order(v) == 0
}

func (c Condition) matches(v any) bool {
	if list, ok := v.([]string); ok && slices.ContainsFunc(list, func(s string) bool { return glob(strings.ToLower(c.Value), strings.ToLower(s)) }) {
		return true
	}
	text := ""
	if v != nil {
		text = plain(v)
	}
	return glob(strings.ToLower(c.Value), strings.ToLower(text))
}

// order compares a value with that of the condition, read as the same kind.
func (c Condition) order(v any) int {
	if _, ok := number(v); ok {
		if n, ok := readNumber(c.Value); ok {
			return compare(v, n)
		}
	}
	if at, ok := v.(time.Time); ok {
		for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
			if when, err := time.ParseInLocation(layout, c.Value, at.Location()); err == nil {
				return at.Truncate(time.Second).Compare(when)
			}
		}
	}
	return strings.Compare(strings.ToLower(plain(v)), strings.ToLower(c.Value))
}

// readNumber reads a number, with K, M, G or T after it if need be.
func readNumber(s string) (float64, bool) {
	scale := 1.0
	if n := len(s); n > 1 {
		if i := strings.IndexByte("KMGT", s[n-1]&^0x20); i >= 0 {
			scale, s = float64(int64(1)<<(10*(i+1))), s[:n-1]
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	return n * scale, err == nil
}

// glob matches * and ?; a backslash takes their meaning. It goes back to the
// last star only, so no pattern takes more than len(pattern) × len(text) steps.
func glob(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p+1 < len(pattern) && pattern[p] == '\\' && pattern[p+1] == text[t]:
			p += 2
			t++
		case p < len(pattern) && pattern[p] != '\\' && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Command expr computes: | & comparisons + - * / % and STRING : PATTERN,
// length, substr, index. It exits 1 if the result is empty or 0.
package main

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"coretools.silo/regex"
)

type parser struct{ words []string }

func main() {
	p := &parser{os.Args[1:]}
	v, err := p.level(0)
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%s: not expected here", p.words[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "expr:", err)
		os.Exit(2)
	}
	fmt.Println(v)
	if v == "" || v == "0" {
		os.Exit(1)
	}
}

// operators by level, the weakest first.
var operators = [][]string{{"|"}, {"&"}, {"=", "!=", "<", "<=", ">", ">=", "=="}, {"+", "-"}, {"*", "/", "%"}, {":"}}

func (p *parser) level(n int) (string, error) {
	if n == len(operators) {
		return p.primary()
	}
	left, err := p.level(n + 1)
	for err == nil && len(p.words) > 0 && contains(operators[n], p.words[0]) {
		op := p.words[0]
		p.words = p.words[1:]
		var right string
		if right, err = p.level(n + 1); err == nil {
			left, err = apply(left, op, right)
		}
	}
	return left, err
}

func contains(list []string, w string) bool {
	for _, l := range list {
		if l == w {
			return true
		}
	}
	return false
}

func (p *parser) take() (string, error) {
	if len(p.words) == 0 {
		return "", fmt.Errorf("the expression ends too soon")
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w, nil
}

func (p *parser) primary() (string, error) {
	w, err := p.take()
	if err != nil {
		return "", err
	}
	switch {
	case w == "(":
		v, err := p.level(0)
		if err == nil {
			var end string
			if end, err = p.take(); err == nil && end != ")" {
				err = fmt.Errorf("( without )")
			}
		}
		return v, err
	case w == "length" && len(p.words) > 0:
		v, err := p.primary()
		return strconv.Itoa(len([]rune(v))), err
	}
	return w, nil
}

func apply(a, op, b string) (string, error) {
	switch op {
	case "|":
		if truth(a) {
			return a, nil
		}
		return b, nil
	case "&":
		if truth(a) && truth(b) {
			return a, nil
		}
		return "0", nil
	case ":":
		return match(a, b)
	}
	x, ex := strconv.ParseInt(a, 10, 64)
	y, ey := strconv.ParseInt(b, 10, 64)
	numbers := ex == nil && ey == nil
	c := strings.Compare(a, b)
	if numbers {
		c = cmp.Compare(x, y)
	}
	comparisons := map[string]bool{"=": c == 0, "==": c == 0, "!=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}
	if is, ok := comparisons[op]; ok {
		if is {
			return "1", nil
		}
		return "0", nil
	}
	if !numbers {
		return "", fmt.Errorf("%s %s %s: not numbers", a, op, b)
	}
	return compute(x, op, y)
}

func truth(v string) bool { return v != "" && v != "0" }

func compute(x int64, op string, y int64) (string, error) {
	switch op {
	case "+":
		x += y
	case "-":
		x -= y
	case "*":
		x *= y
	default:
		if y == 0 {
			return "", fmt.Errorf("%d %s 0: division by zero", x, op)
		}
		if op == "/" {
			x /= y
		} else {
			x %= y
		}
	}
	return strconv.FormatInt(x, 10), nil
}

// match compares the start of a text with a pattern: the result is the group,
// if the pattern has one, or the number of characters that match.
func match(text, pattern string) (string, error) {
	re, err := regex.Compile(`^\(`+pattern+`\)`, false, false, false)
	if err != nil {
		return "", err
	}
	m := re.FindStringSubmatch(text)
	switch {
	case len(m) > 2:
		return m[2], nil
	case m != nil:
		return strconv.Itoa(len([]rune(m[0]))), nil
	case re.NumSubexp() > 1:
		return "", nil
	}
	return "0", nil
}

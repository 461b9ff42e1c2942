// Command expr computes: | & comparisons + - * / % and STRING : PATTERN,
// length, substr, index. It exits 1 if the result is empty or 0.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
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
	x, ex := strconv.ParseInt(a, 10, 64)
	y, ey := strconv.ParseInt(b, 10, 64)
	numbers := ex == nil && ey == nil
	c := strings.Compare(a, b)
	if numbers {
		c = int(min(1, max(-1, x-y)))
	}
	truth := map[bool]string{true: "1", false: "0"}
	switch op {
	case "|":
		if a != "" && a != "0" {
			return a, nil
		}
		return b, nil
	case "&":
		if a == "" || a == "0" || b == "" || b == "0" {
			return "0", nil
		}
		return a, nil
	case "=", "==":
		return truth[c == 0], nil
	case "!=":
		return truth[c != 0], nil
	case "<":
		return truth[c < 0], nil
	case "<=":
		return truth[c <= 0], nil
	case ">":
		return truth[c > 0], nil
	case ">=":
		return truth[c >= 0], nil
	case ":":
		re, err := regexp.Compile("^(?:" + strings.NewReplacer(`\(`, "(", `\)`, ")").Replace(b) + ")")
		if err != nil {
			return "", err
		}
		m := re.FindStringSubmatch(a)
		switch {
		case len(m) > 1:
			return m[1], nil
		case m != nil:
			return strconv.Itoa(len([]rune(m[0]))), nil
		case re.NumSubexp() > 0:
			return "", nil
		}
		return "0", nil
	}
	if !numbers {
		return "", fmt.Errorf("%s %s %s: not numbers", a, op, b)
	}
	switch op {
	case "+":
		x += y
	case "-":
		x -= y
	case "*":
		x *= y
	default:
		if y == 0 {
			return "", fmt.Errorf("%s %s %s: division by zero", a, op, b)
		}
		if op == "/" {
			x /= y
		} else {
			x %= y
		}
	}
	return strconv.FormatInt(x, 10), nil
}

package unit

import (
	"cmp"
	"path"
	"strconv"
	"strings"
)

// operator takes a comparison off the start of a value; "" if there is none.
func operator(s string) (op, rest string) {
	for _, op := range []string{"<=", ">=", "!=", "==", "<>", "<", ">", "="} {
		if rest, ok := strings.CutPrefix(s, op); ok {
			return op, strings.TrimSpace(rest)
		}
	}
	return "", s
}

// satisfies tells whether a result of cmp.Compare fits an operator.
func satisfies(op string, result int) bool {
	switch op {
	case "<":
		return result < 0
	case "<=":
		return result <= 0
	case ">":
		return result > 0
	case ">=":
		return result >= 0
	case "!=", "<>":
		return result != 0
	}
	return result == 0
}

// compareNumber evaluates ">= 4G"; with no operator it means at least.
func compareNumber(is uint64, text string) bool {
	op, rest := operator(text)
	if op == "" {
		op = ">="
	}
	want, err := parseSize(rest)
	return err == nil && satisfies(op, cmp.Compare(is, want))
}

// kernelVersion evaluates a list of patterns or comparisons, which all must
// hold.
func kernelVersion(is, text string) bool {
	fields := strings.Fields(text)
	for i := 0; i < len(fields); i++ {
		op, want := operator(fields[i])
		if op != "" && want == "" && i+1 < len(fields) {
			i++
			want = fields[i]
		}
		if op == "" {
			if ok, err := path.Match(want, is); err != nil || !ok {
				return false
			}
		} else if !satisfies(op, compareVersion(is, want)) {
			return false
		}
	}
	return len(fields) > 0
}

// compareVersion orders versions: numbers by value, the rest by text, a ~
// before everything, the end too.
func compareVersion(a, b string) int {
	separators := func(r rune) bool { return r != '~' && (r > 127 || !alnum(byte(r))) }
	for {
		a, b = strings.TrimLeftFunc(a, separators), strings.TrimLeftFunc(b, separators)
		if ta, tb := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~"); ta || tb {
			if ta != tb {
				return map[bool]int{true: -1, false: 1}[ta]
			}
			a, b = a[1:], b[1:]
			continue
		}
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		x, y := versionPart(a), versionPart(b)
		a, b = a[len(x):], b[len(y):]
		xn, xerr := strconv.ParseUint(x, 10, 64)
		yn, yerr := strconv.ParseUint(y, 10, 64)
		result := 0
		switch {
		case xerr == nil && yerr == nil:
			result = cmp.Compare(xn, yn)
		case (xerr == nil) != (yerr == nil):
			result = map[bool]int{true: 1, false: -1}[xerr == nil] // numbers are newer
		default:
			result = strings.Compare(x, y)
		}
		if result != 0 {
			return result
		}
	}
}

// versionPart is the run of digits or of letters that s begins with.
func versionPart(s string) string {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	for i := 1; i < len(s); i++ {
		if isDigit(s[i]) != isDigit(s[0]) || !alnum(s[i]) {
			return s[:i]
		}
	}
	return s
}

// osRelease evaluates "ID=debian VERSION_ID>=12": all must hold.
func osRelease(release map[string]string, text string) bool {
	list, err := words(text, quoting{})
	if err != nil || len(list) == 0 {
		return false
	}
	for _, w := range list {
		i := strings.IndexAny(w, "<>=!$")
		if i <= 0 {
			return false
		}
		is := release[w[:i]]
		op, want := operator(w[i:])
		switch {
		case op == "=":
			if is != want {
				return false
			}
		case op == "" || !satisfies(op, compareVersion(is, want)):
			return false
		}
	}
	return true
}

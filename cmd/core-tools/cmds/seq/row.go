package main

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// decimal is a number as it was written: whole * 10^-places.
type decimal struct {
	whole   *big.Int
	places  int
	width   int  // characters before the point, with the sign
	endless bool // inf or -inf; whole is then its sign
}

var number = regexp.MustCompile(`^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,4}))?$`)

func parseDecimal(word string) (decimal, error) {
	switch strings.ToLower(strings.TrimPrefix(word, "+")) {
	case "inf", "infinity":
		return decimal{whole: big.NewInt(1), endless: true}, nil
	case "-inf", "-infinity":
		return decimal{whole: big.NewInt(-1), endless: true}, nil
	}
	m := number.FindStringSubmatch(word)
	if m == nil || m[2]+m[3] == "" {
		return decimal{}, fmt.Errorf("%q: not a number", word)
	}
	d := decimal{places: len(m[3]), whole: new(big.Int)}
	d.whole.SetString(m[2]+m[3], 10)
	if m[4] != "" {
		e, err := strconv.Atoi(m[4])
		if err != nil {
			return d, fmt.Errorf("%q: not a number", word)
		}
		d.places -= e
		d.rescale(max(d.places, 0))
	}
	d.width = max(len(m[2]), 1)
	if m[4] != "" {
		d.width = max(1, len(d.whole.String())-d.places)
	}
	if m[1] == "-" {
		d.whole.Neg(d.whole)
		d.width++
	}
	return d, nil
}

// rescale writes the number with that many places, which are no fewer than it has.
func (d *decimal) rescale(places int) {
	ten := big.NewInt(10)
	d.whole.Mul(d.whole, ten.Exp(ten, big.NewInt(int64(places-d.places)), nil))
	d.places = places
}

// row is a run of numbers that is being printed, all with the same places.
type row struct {
	at, step, last *big.Int
	endless        int // the sign of a last number that is infinite, or 0
	places         int // of all three
	shown          int // places that are printed
	width          int // with -w
}

func newRow(words []string) (*row, error) {
	if len(words) == 0 || len(words) > 3 {
		return nil, fmt.Errorf("%d numbers are given: write one to three", len(words))
	}
	one := func() decimal { return decimal{whole: big.NewInt(1), width: 1} }
	first, step, last := one(), one(), one()
	into := [][]*decimal{{&last}, {&first, &last}, {&first, &step, &last}}[len(words)-1]
	for i, w := range words {
		d, err := parseDecimal(w)
		if err != nil {
			return nil, err
		}
		*into[i] = d
	}
	if first.endless || step.endless {
		return nil, errors.New("only the last number may be infinite")
	}
	if step.whole.Sign() == 0 {
		return nil, errors.New("the step is 0")
	}
	r := &row{shown: max(first.places, step.places), width: first.width}
	if last.endless {
		r.endless, last.places = last.whole.Sign(), 0
	} else {
		r.width = max(r.width, last.width)
	}
	if r.shown > 0 {
		r.width += 1 + r.shown
	}
	r.places = max(r.shown, last.places)
	for _, d := range []*decimal{&first, &step, &last} {
		d.rescale(r.places)
	}
	r.at, r.step, r.last = first.whole, step.whole, last.whole
	return r, nil
}

// more tells whether the number at hand is still in the range.
func (r *row) more() bool {
	if r.endless != 0 {
		return r.endless == r.step.Sign()
	}
	return r.at.Cmp(r.last)*r.step.Sign() <= 0
}

func (r *row) advance() { r.at.Add(r.at, r.step) }

// plain writes numbers with as many places as the first and the step have.
func (r *row) plain(equalWidth bool) func([]byte) []byte {
	var digits []byte
	var magnitude big.Int
	return func(to []byte) []byte {
		digits = magnitude.Abs(r.at).Append(digits[:0], 10)
		for len(digits) <= r.places {
			digits = append([]byte{'0'}, digits...)
		}
		point := len(digits) - r.places
		length := point
		if r.shown > 0 {
			length += 1 + r.shown
		}
		if r.at.Sign() < 0 {
			to = append(to, '-')
			length++
		}
		for ; equalWidth && length < r.width; length++ {
			to = append(to, '0')
		}
		to = append(to, digits[:point]...)
		if r.shown > 0 {
			to = append(append(to, '.'), digits[point:point+r.shown]...)
		}
		return to
	}
}

var verb = regexp.MustCompile(`^%([-+ #0']*)([0-9]*)(\.[0-9]*)?([a-zA-Z])`)

// formatted writes numbers by a format of printf with one of %e %f %g in it.
func (r *row) formatted(format string) (func([]byte) []byte, error) {
	var before, after, found strings.Builder
	into := &before
	for rest := format; rest != ""; {
		if text, ok := strings.CutPrefix(rest, "%%"); ok {
			into.WriteString("%%")
			rest = text
			continue
		}
		if rest[0] != '%' {
			into.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		m := verb.FindStringSubmatch(rest)
		if m == nil || !strings.Contains("eEfFgG", m[4]) {
			return nil, fmt.Errorf("%q: want one of %%e %%f %%g", format)
		}
		if found.Len() > 0 {
			return nil, fmt.Errorf("%q: more than one number", format)
		}
		if m[3] == "" {
			m[3] = ".6" // where Go would write as many places as it takes
		}
		fmt.Fprintf(&found, "%%%s%s%s%s", strings.ReplaceAll(m[1], "'", ""), m[2], m[3], strings.ReplaceAll(m[4], "F", "f"))
		into = &after
		rest = rest[len(m[0]):]
	}
	if found.Len() == 0 {
		return nil, fmt.Errorf("%q: no number in it", format)
	}
	whole := before.String() + found.String() + after.String()
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(r.places)), nil)
	return func(to []byte) []byte {
		// 64 bits are what long double has on amd64.
		value := new(big.Float).SetPrec(64).SetRat(new(big.Rat).SetFrac(r.at, scale))
		return fmt.Appendf(to, whole, value)
	}, nil
}

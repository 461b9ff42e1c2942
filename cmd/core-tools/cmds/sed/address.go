package main

import (
	"fmt"
	"regexp"
	"strings"
)

// address chooses lines: one by its number, every step-th from it on, the last,
// or those that match. As the end of a range it may count from the start, or
// stand for the next multiple.
type address struct {
	line, step int
	last       bool
	matching   bool
	pattern    *regexp.Regexp // nil stands for the one used last
	plus       bool
	multiple   bool
}

// addresses reads what may stand before a command.
func (r *reader) addresses(c *command) (err error) {
	if c.from, err = r.address(false); err != nil {
		return err
	}
	if r.skip(" \t"); r.peek() == ',' && c.from != nil {
		r.at++
		r.skip(" \t")
		if c.to, err = r.address(true); err != nil {
			return err
		}
		if c.to == nil {
			return fmt.Errorf("no address after the comma")
		}
	}
	if c.from != nil && !c.from.matching && !c.from.last && c.from.line+c.from.step == 0 && (c.to == nil || !c.to.matching) {
		return fmt.Errorf("line 0 can only start a range that a pattern ends")
	}
	for r.skip(" \t"); r.peek() == '!'; r.skip(" \t!") {
		c.negate = true
	}
	return nil
}

// address reads one; end tells that it ends a range.
func (r *reader) address(end bool) (*address, error) {
	a := &address{}
	var err error
	switch c := r.peek(); {
	case c >= '0' && c <= '9':
		if a.line, err = r.number(0); err == nil && r.peek() == '~' && !end {
			r.at++
			a.step, err = r.number(0)
		}
	case end && (c == '+' || c == '~'):
		r.at++
		a.plus, a.multiple = c == '+', c == '~'
		a.line, err = r.number(0)
	case c == '$':
		r.at++
		a.last = true
	case c == '/' || c == '\\':
		if c == '\\' {
			r.at++
		}
		return a, r.matching(a)
	default:
		return nil, nil //nolint:nilnil // there is none
	}
	return a, err
}

func (r *reader) matching(a *address) error {
	text, err := r.delimited(true)
	if err != nil {
		return err
	}
	a.matching = true
	r.at++
	flags := r.at
	r.skip("IM")
	anyCase, multi := strings.Contains(r.text[flags:r.at], "I"), strings.Contains(r.text[flags:r.at], "M")
	a.pattern, err = r.compile(text, anyCase, multi)
	return err
}

func (a *address) matches(s *state) bool {
	n := s.lines.n
	switch {
	case a.last:
		return !s.lines.more()
	case a.matching:
		return s.find(a.pattern).MatchString(s.text)
	case a.step > 0:
		return n >= a.line && (n-a.line)%a.step == 0
	}
	return n == a.line
}

func (c *command) applies(s *state) bool { return c.chosen(s) != c.negate }

func (c *command) chosen(s *state) bool {
	switch {
	case c.from == nil:
		return true
	case c.to == nil:
		return c.from.matches(s)
	case c.inside:
		return c.stays(s)
	case c.begins(s):
		c.enter(s.lines.n, s.lines.more())
		return true
	}
	return false
}

// begins tells whether a range starts at a line. The line that starts it may have
// been taken by N or n: then the next one does, but not past the range's end.
func (c *command) begins(s *state) bool {
	if c.from.matching || c.from.last || c.from.step > 0 {
		return c.from.matches(s)
	}
	n, to := s.lines.n, c.to
	if c.begun || n < c.from.line {
		return false
	}
	c.begun = true
	number := !to.matching && !to.last && !to.plus && !to.multiple
	return n == c.from.line || !number || n <= to.line
}

// stays tells whether a line belongs to the range that began before it.
func (c *command) stays(s *state) bool {
	switch {
	case c.to.matching, c.to.last:
		c.inside = !c.to.matches(s)
		return true
	}
	c.inside = s.lines.n < c.last
	return s.lines.n <= c.last
}

// enter begins a range at line n, if it has more than that line.
func (c *command) enter(n int, more bool) {
	switch to := c.to; {
	case to.matching:
		c.inside = true
		return
	case to.last:
		c.inside = more
		return
	case to.plus:
		c.last = n + to.line
	case to.multiple && to.line > 0:
		c.last = n + to.line - n%to.line
	case to.multiple:
		c.last = n
	default:
		c.last = to.line
	}
	c.inside = c.last > n
}

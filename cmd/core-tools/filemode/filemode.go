// Package filemode reads modes as chmod takes them, octal or symbolic, and
// applies them to the mode that a file has.
package filemode

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// The bits of a mode, as the kernel has them.
const (
	setuid, setgid, sticky = 0o4000, 0o2000, 0o1000
	allBits                = 0o7777
	execute                = 0o111
)

// Umask is the mask of the process: the bits that new files do not get.
func Umask() uint32 {
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return uint32(mask)
}

// Change is what a mode's text asks for.
type Change []step

// step is one operator and what follows it: of "go+rw-x" there are two.
type step struct {
	who   uint32 // bits that may change; 0 if nobody was named
	op    byte   // '+', '-' or '='
	bits  uint32
	from  uint32 // the bits of u, g or o that are copied, or 0
	ifAny bool   // X: execute for folders, and where somebody may already
	named uint32 // bits written out: a folder's set-id bits change only so
}

// Parse reads an octal mode up to 7777, or clauses such as u=rwx,g+s,-w.
func Parse(text string) (Change, error) {
	if text == "" {
		return nil, errors.New("mode is empty")
	}
	if strings.Trim(text, "01234567") == "" {
		s, err := octal('=', text)
		if err != nil {
			return nil, fmt.Errorf("mode %q: %w", text, err)
		}
		return Change{s}, nil
	}
	var c Change
	for clause := range strings.SplitSeq(text, ",") {
		steps, err := parseClause(clause)
		if err != nil {
			return nil, fmt.Errorf("mode %q: %w", text, err)
		}
		c = append(c, steps...)
	}
	return c, nil
}

func octal(op byte, digits string) (step, error) {
	n, err := strconv.ParseUint(digits, 8, 16)
	if err != nil || n > allBits {
		return step{}, errors.New("at most 7777")
	}
	s := step{who: allBits, op: op, bits: uint32(n), named: allBits}
	if len(digits) < 5 && op == '=' {
		s.named = uint32(n) | 0o1777 // 755 leaves a folder's set-id bits, 00755 does not
	}
	return s, nil
}

// whoBits are the bits of those who are named before an operator.
var whoBits = map[byte]uint32{'u': setuid | 0o700, 'g': setgid | 0o070, 'o': sticky | 0o007, 'a': allBits}

func parseClause(text string) ([]step, error) {
	var who uint32
	i := 0
	for ; i < len(text) && whoBits[text[i]] != 0; i++ {
		who |= whoBits[text[i]]
	}
	if i == len(text) || !isOperator(text[i]) {
		return nil, errors.New("want octal digits or [ugoa][+-=][rwxXst]")
	}
	var steps []step
	for i < len(text) {
		end := i + 1
		for end < len(text) && !isOperator(text[end]) {
			end++
		}
		s, err := parseStep(who, text[i], text[i+1:end])
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
		i = end
	}
	return steps, nil
}

func isOperator(c byte) bool { return c == '+' || c == '-' || c == '=' }

func parseStep(who uint32, op byte, what string) (step, error) {
	if what != "" && who == 0 && strings.Trim(what, "01234567") == "" {
		return octal(op, what)
	}
	s := step{who: who, op: op}
	switch what {
	case "u", "g", "o":
		s.from = whoBits[what[0]] & 0o777
		s.named = 0o777
		return s, nil
	}
	for _, c := range what {
		switch c {
		case 'r':
			s.bits |= 0o444
		case 'w':
			s.bits |= 0o222
		case 'x':
			s.bits |= execute
		case 'X':
			s.ifAny = true
		case 's':
			s.bits |= setuid | setgid
		case 't':
			s.bits |= sticky
		default:
			return s, fmt.Errorf("%q: want of rwxXst, or one of u g o", c)
		}
	}
	s.named = s.bits
	if who != 0 {
		s.named &= who
	}
	return s, nil
}

// Apply gives the mode that a file of mode old gets. The umask counts where
// nobody was named.
func (c Change) Apply(old uint32, isDir bool, umask uint32) uint32 {
	mode := old & allBits
	for _, s := range c {
		kept := uint32(0)
		if isDir {
			kept = (setuid | setgid) &^ s.named
		}
		bits := s.bits
		if s.from != 0 {
			bits = spread(mode & s.from)
		}
		if s.ifAny && (isDir || mode&execute != 0) {
			bits |= execute
		}
		reach := s.who
		if reach == 0 {
			reach = allBits &^ umask
		}
		bits &= reach &^ kept
		switch s.op {
		case '+':
			mode |= bits
		case '-':
			mode &^= bits
		case '=':
			mode = mode&(kept|s.untouched()) | bits
		}
	}
	return mode
}

// untouched are the bits that "=" leaves alone: those of the others.
func (s step) untouched() uint32 {
	if s.who == 0 {
		return 0
	}
	return allBits &^ s.who
}

// spread gives to all three what one of them has.
func spread(bits uint32) (all uint32) {
	for _, r := range []uint32{0o444, 0o222, 0o111} {
		if bits&r != 0 {
			all |= r
		}
	}
	return all
}

// Text writes a mode as ls does: rwxr-sr-t.
func Text(mode uint32) string {
	b := []byte("rwxrwxrwx")
	for i := range b {
		if mode>>(8-i)&1 == 0 {
			b[i] = '-'
		}
	}
	for _, x := range []struct {
		bit     uint32
		at      int
		yes, no byte
	}{{setuid, 2, 's', 'S'}, {setgid, 5, 's', 'S'}, {sticky, 8, 't', 'T'}} {
		if mode&x.bit == 0 {
			continue
		}
		if b[x.at] == 'x' {
			b[x.at] = x.yes
		} else {
			b[x.at] = x.no
		}
	}
	return string(b)
}

// ForNew gives the mode of a pipe or device that is made: as text says, or
// what the umask leaves if there is none.
func ForNew(text string, umask uint32) (uint32, error) {
	const usual = 0o666
	if text == "" {
		return usual &^ umask, nil
	}
	c, err := Parse(text)
	if err != nil {
		return 0, err
	}
	mode := c.Apply(usual, false, umask)
	if mode&^0o777 != 0 {
		return 0, fmt.Errorf("mode %q: only r, w and x", text)
	}
	return mode, nil
}

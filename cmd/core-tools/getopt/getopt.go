// Package getopt reads command lines as people write them: bundled letters
// (-la), a value after its letter at once or as the next word (-n5, -n 5),
// long names (--all, --lines=5), and options after the first operand.
package getopt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Set holds the options of one command.
type Set struct {
	spec     string            // letters; a colon follows those with a value
	long     map[string]string // long name to letter
	values   map[byte][]string
	order    []byte // the letters as they came
	Operands []string
	usage    string
	mistake  int // the exit code of a wrong call
}

// Parse reads os.Args. spec lists the letters, with a colon after one that
// takes a value, two after one whose value may be left out and otherwise follows
// at once (-i.old, --in-place=.old); long maps long names to letters. A spec that starts with "+"
// ends the options at the first operand. On an unknown option, and for --help,
// it prints usage and exits 2 or 0.
func Parse(spec, usage string, long map[string]string) *Set { return ParseOr(2, spec, usage, long) }

// ParseOr is Parse for commands that exit with another code than 2 if they are
// called wrongly: those that run others leave small codes to them.
func ParseOr(mistake int, spec, usage string, long map[string]string) *Set {
	s := &Set{spec: spec, long: long, values: map[byte][]string{}, usage: usage, mistake: mistake}
	if err := s.read(os.Args[1:]); err != nil {
		s.Usage("%v", err)
	}
	return s
}

// Read is Parse for arguments given, without a way to exit: the caller has
// taken care of --help.
func Read(spec string, long map[string]string, args []string) (*Set, error) {
	s := &Set{spec: spec, long: long, values: map[byte][]string{}, mistake: 2}
	return s, s.read(args)
}

// Name is the name that the command was called by.
func Name() string {
	if len(os.Args) == 0 {
		return "?"
	}
	return filepath.Base(os.Args[0])
}

func (s *Set) read(args []string) error {
	stop := strings.HasPrefix(s.spec, "+")
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		switch {
		case a == "--":
			s.Operands = append(s.Operands, args...)
			return nil
		case a == "--help":
			fmt.Println("usage: " + s.usage)
			os.Exit(0)
		case strings.HasPrefix(a, "--"):
			rest, err := s.readLong(a[2:], args)
			if err != nil {
				return err
			}
			args = rest
		case len(a) > 1 && a[0] == '-':
			rest, err := s.readLetters(a[1:], args)
			if err != nil {
				return err
			}
			args = rest
		default:
			s.Operands = append(s.Operands, a)
			if stop {
				s.Operands = append(s.Operands, args...)
				return nil
			}
		}
	}
	return nil
}

func (s *Set) readLong(word string, rest []string) ([]string, error) {
	name, value, has := strings.Cut(word, "=")
	letter, ok := s.long[name]
	if !ok {
		return nil, fmt.Errorf("unknown option --%s", name)
	}
	if !s.takesValue(letter[0]) {
		s.add(letter[0], value)
		return rest, nil
	}
	if !has && !s.optional(letter[0]) {
		if len(rest) == 0 {
			return nil, fmt.Errorf("--%s: needs a value", name)
		}
		value, rest = rest[0], rest[1:]
	}
	s.add(letter[0], value)
	return rest, nil
}

func (s *Set) add(c byte, value string) {
	s.values[c] = append(s.values[c], value)
	s.order = append(s.order, c)
}

func (s *Set) readLetters(word string, rest []string) ([]string, error) {
	// A number stands for the option '#', if there is one: head -5.
	if strings.Trim(word, "0123456789") == "" && strings.Contains(s.spec, "#") {
		s.add('#', word)
		return rest, nil
	}
	for i := range len(word) {
		c := word[i]
		if c == ':' || c == '+' || !strings.Contains(s.spec, string(c)) {
			return nil, fmt.Errorf("unknown option -%c", c)
		}
		if !s.takesValue(c) {
			s.add(c, "")
			continue
		}
		value := word[i+1:]
		if value == "" && !s.optional(c) {
			if len(rest) == 0 {
				return nil, fmt.Errorf("-%c: needs a value", c)
			}
			value, rest = rest[0], rest[1:]
		}
		s.add(c, value)
		return rest, nil
	}
	return rest, nil
}

func (s *Set) takesValue(c byte) bool {
	i := strings.IndexByte(s.spec, c)
	return i >= 0 && i+1 < len(s.spec) && s.spec[i+1] == ':'
}

func (s *Set) optional(c byte) bool {
	return strings.Contains(s.spec, string(c)+"::")
}

// Has tells whether the option was given.
func (s *Set) Has(c byte) bool { return len(s.values[c]) > 0 }

// Last is that of the letters which was given last, or 0: for options of which
// the later one wins.
func (s *Set) Last(letters string) byte {
	for _, c := range slices.Backward(s.order) {
		if strings.IndexByte(letters, c) >= 0 {
			return c
		}
	}
	return 0
}

// Value is the last value of the option, or otherwise if it was not given.
func (s *Set) Value(c byte, otherwise string) string {
	if v := s.values[c]; len(v) > 0 {
		return v[len(v)-1]
	}
	return otherwise
}

// Values are all values of the option, in order.
func (s *Set) Values(c byte) []string { return s.values[c] }

// Each calls a function for those of the letters that were given, in order.
func (s *Set) Each(letters string, f func(letter byte, value string)) {
	seen := map[byte]int{}
	for _, c := range s.order {
		if strings.IndexByte(letters, c) >= 0 {
			f(c, s.values[c][seen[c]])
		}
		seen[c]++
	}
}

// Usage complains and exits 2, or as ParseOr was told.
func (s *Set) Usage(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s: %s\nusage: %s\n", Name(), fmt.Sprintf(format, args...), s.usage)
	os.Exit(s.mistake)
}

// Refuse complains about operands: of a path that is not what it must be it
// tells and exits 1, of a wrong command line as Usage does. nil is no complaint.
func (s *Set) Refuse(err error) {
	var path *fs.PathError
	switch {
	case err == nil:
	case errors.As(err, &path):
		var status Status
		status.Note(err)
		status.Exit()
	default:
		s.Usage("%v", err)
	}
}

// Yes reads an answer, a line and no more: the rest is for others. Without one
// it is no.
func Yes(in io.Reader) bool {
	var text []byte
	var c [1]byte
	for {
		n, err := in.Read(c[:])
		if n > 0 && c[0] != '\n' {
			text = append(text, c[0])
		}
		if err != nil || n > 0 && c[0] == '\n' {
			answer := strings.ToLower(strings.TrimSpace(string(text)))
			return answer == "y" || answer == "yes"
		}
	}
}

// Status collects what went wrong in a command that goes on after a mistake.
type Status struct{ code int }

// Note reports an error, if there is one, and makes the command exit 1.
func (st *Status) Note(err error) {
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", Name(), err)
	st.code = 1
}

// Code is what Exit ends the program with.
func (st *Status) Code() int { return st.code }

// Exit ends the program with 0, or 1 if something was noted.
func (st *Status) Exit() { os.Exit(st.code) }

// Human writes a number of bytes as people read it: 512, 1.5K, 20G.
func Human(n uint64) string {
	if n < 1024 {
		return fmt.Sprint(n)
	}
	v, units := float64(n), "KMGTPE"
	i := -1
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f%c", v, units[i])
	}
	return fmt.Sprintf("%.0f%c", v, units[i])
}

// Duration reads a time as sleep and timeout take it: seconds, or with one of
// the letters s, m, h, d after the number.
func Duration(word string) (time.Duration, error) {
	number, unit := word, time.Second
	if n := len(word); n > 0 {
		if u, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[word[n-1]]; ok {
			number, unit = word[:n-1], u
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%s: not a time: a number with s, m, h or d after it", word)
	}
	return time.Duration(v * float64(unit)), nil
}

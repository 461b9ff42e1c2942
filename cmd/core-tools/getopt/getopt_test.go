package getopt

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	tests := []struct {
		spec     string
		args     []string
		has      string
		value    map[byte]string
		operands []string
		bad      bool
	}{
		{spec: "la", args: []string{"-la", "x"}, has: "la", operands: []string{"x"}},
		{spec: "la", args: []string{"x", "-a"}, has: "a", operands: []string{"x"}},
		{spec: "+la", args: []string{"x", "-a"}, operands: []string{"x", "-a"}},
		{spec: "n:", args: []string{"-n5"}, value: map[byte]string{'n': "5"}},
		{spec: "n:q", args: []string{"-qn", "5", "-"}, has: "q", value: map[byte]string{'n': "5"}, operands: []string{"-"}},
		{spec: "n:#", args: []string{"-12"}, value: map[byte]string{'#': "12"}},
		{spec: "n:", args: []string{"--lines=3", "--", "-n"}, value: map[byte]string{'n': "3"}, operands: []string{"-n"}},
		{spec: "n:", args: []string{"--lines", "3"}, value: map[byte]string{'n': "3"}},
		{spec: "n:", args: []string{"-n"}, bad: true},
		{spec: "n:", args: []string{"-x"}, bad: true},
		{spec: "n:", args: []string{"--other"}, bad: true},
		{spec: "n:", args: []string{"-:"}, bad: true},
	}
	for _, tt := range tests {
		s := &Set{spec: tt.spec, long: map[string]string{"lines": "n"}, values: map[byte][]string{}}
		err := s.read(tt.args)
		if (err != nil) != tt.bad {
			t.Errorf("%q %q: error %v, want one: %v", tt.spec, tt.args, err, tt.bad)
			continue
		}
		for i := range len(tt.has) {
			if !s.Has(tt.has[i]) {
				t.Errorf("%q %q: -%c is not set", tt.spec, tt.args, tt.has[i])
			}
		}
		for c, want := range tt.value {
			if got := s.Value(c, ""); got != want {
				t.Errorf("%q %q: -%c is %q, want %q", tt.spec, tt.args, c, got, want)
			}
		}
		if !tt.bad && !slices.Equal(s.Operands, tt.operands) {
			t.Errorf("%q %q: operands %q, want %q", tt.spec, tt.args, s.Operands, tt.operands)
		}
	}
}

func TestHuman(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 1023: "1023", 1024: "1.0K", 1536: "1.5K", 20 << 30: "20G", 1 << 62: "4.0E"} {
		if got := Human(n); got != want {
			t.Errorf("Human(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for word, want := range map[string]time.Duration{"5": 5 * time.Second, "0.5": time.Second / 2, "2m": 2 * time.Minute, "1d": 24 * time.Hour} {
		if got, err := Duration(word); err != nil || got != want {
			t.Errorf("Duration(%s) = %v, %v, want %v", word, got, err, want)
		}
	}
	for _, word := range []string{"", "x", "-1", "5x"} {
		if got, err := Duration(word); err == nil {
			t.Errorf("Duration(%q) = %v, want an error", word, got)
		}
	}
}

func TestLast(t *testing.T) {
	for args, want := range map[string]byte{"": 0, "-f": 'f', "-fi": 'i', "-if": 'f', "-i -f --each": 'i', "-n 5 -v": 'n', "-v": 0} {
		s, err := Read("fivn:", map[string]string{"each": "i"}, strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Last("fin"); got != want {
			t.Errorf("%q: %q was last, want %q", args, got, want)
		}
	}
}

// An answer is one line; what follows it is left for others.
func TestYes(t *testing.T) {
	in := strings.NewReader("y\n YES \nno\n\nyes please\nY")
	for i, want := range []bool{true, true, false, false, false, true, false} {
		if got := Yes(in); got != want {
			t.Errorf("answer %d: %t", i+1, got)
		}
	}
}

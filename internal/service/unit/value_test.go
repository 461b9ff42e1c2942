package unit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseSpan(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"5min 20s": 5*time.Minute + 20*time.Second, "50": 50 * time.Second, "2h": 2 * time.Hour, "1.5h": 90 * time.Minute, "infinity": Infinity,
		"1y 12month": 2 * 31557600 * time.Second, "55s500ms": 55*time.Second + 500*time.Millisecond, "300ms20s 5day": 300*time.Millisecond + 20*time.Second + 120*time.Hour,
		"5 min 3": 5*time.Minute + 3*time.Second, "0": 0, "20us": 20 * time.Microsecond, "3w": 21 * 24 * time.Hour, ".5s": 500 * time.Millisecond, "1M": 2629800 * time.Second, "1m": time.Minute,
	} {
		if got, err := ParseSpan(in); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "-5s", "5 parsecs", "1.2.3s", ".", "99999999999999999999", "400y", "200y 200y", "5s infinity", "1e3"} {
		if got, err := ParseSpan(bad); err == nil {
			t.Errorf("%q is taken as %v", bad, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string]Limit{
		"65535": {65535, 65535}, "1K:2M": {1024, 2 << 20}, "infinity": {Unlimited, Unlimited}, "4:infinity": {4, Unlimited}, "16E": {}, "2:1": {}, "x": {}, "": {}, "-1": {},
	} {
		got, err := parseLimit("NOFILE", in)
		if (err != nil) != (want == Limit{}) || got != want {
			t.Errorf("limit %q is %v, %v; want %v", in, got, err, want)
		}
	}
	if l, err := parseLimit("CPU", "1min"); err != nil || l.Soft != 60 {
		t.Errorf("CPU limit: %v %v", l, err)
	}
	if l, err := parseLimit("NICE", "-5"); err != nil || l.Soft != 25 {
		t.Errorf("NICE limit: %v %v", l, err)
	}
	for in, want := range map[string]uint32{"0755": 0o755, "2755": 0o2755, "7": 7} {
		if got, err := parseMode(in); err != nil || got != want {
			t.Errorf("mode %q is %o, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "8", "17777", "rwx", "-1"} {
		if _, err := parseMode(bad); err == nil {
			t.Errorf("mode %q is taken", bad)
		}
	}
}

func TestSignals(t *testing.T) {
	for in, want := range map[string]Signal{"SIGTERM": 15, "HUP": 1, "9": 9, "SIGRTMIN+3": 37, "RTMAX-14": 50, "SIGRTMIN": 34, "SIGCLD": 17} {
		if got, err := ParseSignal(in); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "0", "65", "SIGNOPE", "RTMIN+31", "RTMAX-31", "RTMIN-1", "term"} {
		if got, err := ParseSignal(bad); err == nil {
			t.Errorf("%q is taken as %d", bad, got)
		}
	}
	var set ExitSet
	if err := set.add("TEMPFAIL 250 SIGKILL CHDIR"); err != nil {
		t.Fatal(err)
	}
	if !set.HasCode(75) || !set.HasCode(250) || !set.HasCode(200) || !set.HasSignal(9) || set.HasCode(9) {
		t.Errorf("set is %v", set)
	}
	if err := set.add("256"); err == nil {
		t.Error("256 is taken as an exit code")
	}
	if set.add("") != nil || len(set.Codes)+len(set.Signals) != 0 {
		t.Error("an empty value does not clear the set")
	}
}

func TestArgv(t *testing.T) {
	env := []string{"A=one two", "B=x", "E=", "B=y", "Q=a 'b c'"}
	for in, want := range map[string][]string{
		"$A":       {"one", "two"},
		"${A}":     {"one two"},
		"p${A}s":   {"pone twos"},
		"$NONE":    {},
		"${NONE}":  {""},
		"$E":       {},
		"$B":       {"y"},
		"$Q":       {"a", "b c"},
		"$$B":      {"$B"},
		"$A/x":     {"$A/x"},
		"${A":      {"${A"},
		"${1}":     {"${1}"},
		"cost: 5$": {"cost: 5$"},
	} {
		c := Command{Path: "/bin/x", Args: []string{"/bin/x", in}}
		got, err := c.Argv(env)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if d := cmp.Diff(want, got[1:]); d != "" {
			t.Errorf("%q (-want +got):\n%s", in, d)
		}
		c.NoExpand = true
		if got, _ = c.Argv(env); got[1] != in {
			t.Errorf("%q with : became %q", in, got)
		}
	}
	bomb := Command{Path: "/bin/x", Args: []string{"x", strings.Repeat("${A}", 10000)}}
	if _, err := bomb.Argv([]string{"A=" + strings.Repeat("x", 100000)}); err == nil {
		t.Error("a command line without end is taken")
	}
}

func TestParseEnvFile(t *testing.T) {
	text := "# c\n; c\nA=plain value  \nexport B=1\n C = 'single $X \\n\nline' tail\nD=\"dq \\\"x\\\" \\$Y \\z\"\nE=a\\\nb\\ \nF=\n9=x\nno assignment\nG=un\"quo\"ted#not a comment\nH='open"
	got, err := ParseEnvFile([]byte(text))
	want := []string{"A=plain value", "C=single $X \\n\nline tail", `D=dq "x" $Y \z`, "E=ab ", "F=", "G=unquoted#not a comment", "H=open"}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, bad := range []string{"A=\x00", "A=\xff", strings.Repeat("a", mostFileSize+1)} {
		if _, err := ParseEnvFile([]byte(bad)); err == nil {
			t.Errorf("%q is taken", shorten(bad))
		}
	}
}

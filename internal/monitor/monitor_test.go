package monitor

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"silo/api"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// scene is a container with a tree of three processes and one that hides.
func scene(at int64, cpu int64) api.Properties {
	p := func(pid, parent int, name string, ms int64) api.ProcessView {
		return api.ProcessView{PID: pid, PIDInside: pid, Parent: parent, Session: 7, UID: 100000, UserInside: "root", Name: name, Executable: "/bin/" + name, State: "S", Memory: int64(pid) << 20, CPU: ms, Answer: api.Same}
	}
	list := []api.ProcessView{p(100, 99, "sh", 0), p(101, 100, "server", cpu), p(102, 101, "worker", cpu/2), p(103, 100, "ghost", 0)}
	list[3].PIDInside, list[3].Answer = 0, api.Differs
	return api.Properties{
		Name: "web", State: "running", Isolation: "process", Session: 7, At: time.Unix(at, 0), Processes: list,
		Usage: api.Usage{CPU: cpu * 2, Memory: 50 << 20, MemoryLimit: 100 << 20, Processes: 4, ProcessLimit: 8, HostProcessors: 2, HostMemory: 1 << 30},
	}
}

func looked() *Model {
	m := New()
	m.Update(scene(100, 0))
	m.Update(scene(110, 5000))
	return m
}

// order gives the outside numbers as they stand on the screen.
func order(lines []string) (out []string) {
	for _, l := range lines {
		if f := strings.Fields(l); len(f) > 3 && len(f[0]) == 3 && strings.HasPrefix(f[0], "10") {
			out = append(out, f[0])
		}
	}
	return out
}

func TestFrame(t *testing.T) {
	lines := looked().Frame(120, 20)
	text := strings.Join(lines, "\n")
	for _, part := range []string{
		"web  running  isolation process  session 7", "CPU       [###############---------------] 100.0% of 2 processors", "Memory    [###############---------------] 50.0M of 100M",
		"Processes [###############---------------] 4 of 8", "OUTSIDE", "INSIDE", "CPU%v", "/bin/server", "! ghost",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not on the screen:\n%s", part, text)
		}
	}
	if got := order(lines); !slices.Equal(got[:2], []string{"101", "102"}) {
		t.Errorf("order %v, want the busiest first", got)
	}
}

// TestSizes: every size gives a picture that fits, or says that it cannot.
func TestSizes(t *testing.T) {
	m := looked()
	for _, help := range []bool{false, true} {
		m.help = help
		for w := range 170 {
			for h := range 30 {
				lines := m.Frame(w, h)
				if len(lines) > h {
					t.Fatalf("%dx%d: %d lines", w, h, len(lines))
				}
				for _, l := range lines {
					l = strings.NewReplacer(reverse, "", bold, "", plain, "").Replace(l)
					if n := utf8.RuneCountInString(l); n > w {
						t.Fatalf("%dx%d: a line of %d characters: %q", w, h, n, l)
					}
				}
			}
		}
	}
	if got := m.Frame(30, 20)[0]; !strings.HasPrefix(got, "too small: 30x20") {
		t.Errorf("a narrow screen says %q", got)
	}
}

func TestKeys(t *testing.T) {
	press := func(m *Model, keys ...string) *Model {
		t.Helper()
		for _, k := range keys {
			if !m.Key(k) {
				t.Fatalf("key %q ends", k)
			}
		}
		return m
	}
	for name, c := range map[string]struct {
		keys []string
		want []string
	}{
		"by number":   {[]string{">", ">", ">", "r"}, []string{"100", "101", "102", "103"}}, // round the end
		"turned":      {[]string{">", ">", ">"}, []string{"103", "102", "101", "100"}},
		"by memory":   {[]string{"\x1b[C"}, []string{"103", "102", "101", "100"}},
		"tree":        {[]string{">", ">", ">", "r", "t"}, []string{"100", "101", "102", "103"}},
		"filter":      {[]string{"/", "w", "O", "r", "k", "\r"}, []string{"102"}},
		"corrected":   {[]string{"/", "w", "x", "\x7f", "o", "\r"}, []string{"102"}},
		"given up":    {[]string{"/", "w", "\x1b", ">", ">", ">", "r"}, []string{"100", "101", "102", "103"}},
		"cleared":     {[]string{"/", "w", "\r", "\x1b", ">", ">", ">", "r"}, []string{"100", "101", "102", "103"}},
		"nothing":     {[]string{"/", "#", "\r"}, nil},
		"by q in it":  {[]string{"/", "q", "\r"}, nil},
		"scrolled":    {[]string{">", ">", ">", "r", "\x1b[B", "\x1b[B", "\x1b[5~"}, []string{"100", "101", "102", "103"}},
		"beyond":      {[]string{">", ">", ">", "r", "\x1b[6~", "\x1b[6~"}, []string{"100", "101", "102", "103"}},
		"help closed": {[]string{"?", "x", ">", ">", ">", "r"}, []string{"100", "101", "102", "103"}},
	} {
		if got := order(press(looked(), c.keys...).Frame(120, 20)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for _, k := range []string{"q", "\x03", "\x04"} {
		if looked().Key(k) {
			t.Errorf("key %q does not end", k)
		}
	}
	if m := press(looked(), "/"); m.Key("\x03") {
		t.Error("ctrl-c does not end while a filter is typed")
	}
}

// TestScroll: a list that is longer than the screen can be seen to its end.
func TestScroll(t *testing.T) {
	m := looked()
	m.sort, m.up = 0, true
	if got := order(m.Frame(120, 8)); !slices.Equal(got, []string{"100", "101"}) {
		t.Errorf("first page %v", got)
	}
	m.Key("\x1b[6~")
	lines := m.Frame(120, 8)
	if got := order(lines); !slices.Equal(got, []string{"102", "103"}) {
		t.Errorf("last page %v", got)
	}
	if got := lines[len(lines)-1]; !strings.HasPrefix(got, "3-4 of 4") {
		t.Errorf("footer %q", got)
	}
}

func TestHeldAndFailed(t *testing.T) {
	m := looked()
	m.Key(" ")
	m.Update(api.Properties{Name: "other"})
	if text := strings.Join(m.Frame(120, 20), "\n"); !strings.Contains(text, "web") || !strings.Contains(text, "held") {
		t.Errorf("a held picture has changed:\n%s", text)
	}
	m.Key(" ")
	m.Fail(errors.New("the daemon went away"))
	if text := strings.Join(m.Frame(120, 20), "\n"); !strings.Contains(text, "! the daemon went away") {
		t.Errorf("the failure is not shown:\n%s", text)
	}
}

// TestCircle: numbers that lead back to themselves do not hang the tree.
func TestCircle(t *testing.T) {
	m := New()
	p := scene(1, 0)
	p.Processes[0].Parent = 102
	m.Update(p)
	m.tree = true
	if got := order(m.Frame(120, 20)); len(got) != 4 {
		t.Errorf("%v, want each of 4 once", got)
	}
}

func TestCutKeys(t *testing.T) {
	got := Keys("a\x1b[A\x1b[5~ü\x1b")
	if want := []string{"a", "\x1b[A", "\x1b[5~", "ü", "\x1b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

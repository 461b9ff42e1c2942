package agent

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"silo/internal/linux"
	swire "silo/internal/service/wire"
)

// What a service writes arrives whole and in order, in pieces that fit, each of
// whole lines where lines fit.
func TestPump(t *testing.T) {
	long := strings.Repeat("x", 3*swire.MaxLog+7)
	for _, writes := range [][]string{
		{"one\n", "two\n"},
		{"o", "ne", "\ntwo\nthr", "ee\n"},
		{long, "\nshort\n"},
		{"a\n" + long, long + "\nb"},
		{strings.Repeat("line\n", 20000)},
		{"no end"},
		{},
	} {
		r, w, err := linux.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		p := &pump{f: r.PollFile(), service: "a", stream: "stdout", out: func(service, stream string, data []byte) {
			if len(data) == 0 || len(data) > swire.MaxLog || service != "a" || stream != "stdout" {
				t.Errorf("a piece of %d bytes of %s %s", len(data), service, stream)
			}
			got.Write(data)
		}}
		in := w.File()
		go func() {
			for _, s := range writes {
				_, _ = io.WriteString(in, s)
			}
			in.Close()
		}()
		p.run()
		if want := strings.Join(writes, ""); got.String() != want {
			t.Errorf("%.20q…: %d bytes came, want %d", want, got.Len(), len(want))
		}
	}
}

// A line that comes in two writes is one piece.
func TestPumpPutsLinesTogether(t *testing.T) {
	var got []string
	p := &pump{out: func(_, _ string, data []byte) { got = append(got, string(data)) }}
	for _, s := range []string{"a", "b\nc\nd", "e\n", "f"} {
		p.take([]byte(s))
	}
	if want := "ab\n|c\n|de\n"; strings.Join(got, "|") != want {
		t.Errorf("pieces %q, want %q", got, want)
	}
	if string(p.rest) != "f" {
		t.Errorf("rest %q, want f", p.rest)
	}
}

// The parent of a process is read behind a name that looks like more.
func TestParent(t *testing.T) {
	if got, want := parent("self"), os.Getppid(); got == "" || got != strconv.Itoa(want) {
		t.Errorf("parent of this process is %q, want %d", got, want)
	}
	if got := parent("none"); got != "" {
		t.Errorf("parent of no process is %q", got)
	}
}

// A process that starts another and ends, while the list is gone through, hands
// no service's process past the look.
func TestEveryProcess(t *testing.T) {
	alive := []string{"1", "self", "10"}
	var looked []int
	everyProcess(func() []string { return slices.Clone(alive) }, func(pid int) {
		switch pid { // each is gone before the look, and has started the next
		case 10:
			alive[2] = "9"
			return
		case 9:
			alive[2] = "11"
			return
		}
		looked = append(looked, pid)
	})
	if want := []int{1, 11}; !slices.Equal(looked, want) {
		t.Errorf("looked at %v, want %v", looked, want)
	}

	lists, next := 0, 1
	everyProcess(func() []string { lists++; next++; return []string{strconv.Itoa(next)} }, func(int) {})
	if lists != maxScans {
		t.Errorf("a list with something new each time was read %d times, want %d", lists, maxScans)
	}
}

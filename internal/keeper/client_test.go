package keeper

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

func TestDetacher(t *testing.T) {
	const p, q = "\x10", "\x11"
	for _, tt := range []struct {
		name     string
		keys     string
		pieces   []string
		out      string
		held     string
		detached bool
	}{
		{"no keys", "", []string{"a" + p + q}, "a" + p + q, "", false},
		{"both at once", p + q, []string{"ab" + p + q + "c"}, "ab", "", true},
		{"apart", p + q, []string{"a" + p, q}, "a", "", true},
		{"half, then something else", p + q, []string{p, "x"}, p + "x", "", false},
		{"half twice", p + q, []string{p + p + q}, p, "", true},
		{"half is held", p + q, []string{"a" + p}, "a", p, false},
		{"one key", "x", []string{"aaxb"}, "aa", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := detacher{keys: []byte(tt.keys)}
			var out []byte
			detached := false
			for _, piece := range tt.pieces {
				o, now := d.scan([]byte(piece))
				out, detached = append(out, o...), detached || now
			}
			if string(out) != tt.out || string(d.held) != tt.held || detached != tt.detached {
				t.Errorf("passed on %q, held %q, detached %v; want %q, %q, %v", out, d.held, detached, tt.out, tt.held, tt.detached)
			}
		})
	}
}

// stuck makes a client whose time to write is over, as in an upgrade.
func stuck(t *testing.T) (c *client, other *os.File) {
	t.Helper()
	a, b, err := linux.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	k := &Keeper{log: slog.New(slog.DiscardHandler), debts: map[*debt]bool{}}
	c, err = newClient(&process{keeper: k}, linux.NewFD(a, "client"), wire.Attach{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	other = linux.NewFD(b, "other end").PollFile()
	return c, other
}

// TestNothingIsLostAtADeadline: what a deadline keeps back is sent before all
// that comes later, and at the latest by hangUp.
func TestNothingIsLostAtADeadline(t *testing.T) {
	for _, flush := range []bool{false, true} {
		c, other := stuck(t)
		var want strings.Builder
		send := func(text string) {
			want.WriteString(text)
			if err := c.send(1, append(make([]byte, frameHeader), text...)); err != nil {
				t.Fatal(err)
			}
		}
		send("one ")
		send("two ")
		if len(c.pending) != len("one two ") {
			t.Fatalf("%q is kept back", c.pending)
		}
		if flush {
			if err := c.conn.SetWriteDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			c.flush()
			send("three ")
		}
		c.hangUp()
		got, err := io.ReadAll(other)
		if err != nil || !bytes.Equal(got, []byte(want.String())) {
			t.Errorf("flush %v: the other end reads %q, %v; want %q", flush, got, err, want.String())
		}
		c.p.keeper.pumps.Wait()
		other.Close()
	}
}

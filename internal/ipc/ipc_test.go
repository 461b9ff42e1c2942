package ipc

import (
	"encoding/binary"
	"testing"
	"time"

	"silo/internal/linux"
)

// pair gives a connection and the raw socket at its other end.
func pair(t *testing.T) (*Conn, *linux.Socket) {
	t.Helper()
	a, b, err := linux.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := linux.NewSocket(a, "ours")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := linux.NewSocket(b, "theirs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return New(ours), theirs
}

func message(body string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	return append(append(b, 0, 0, 0, 0), body...)
}

// A message that is being received when Stop comes is returned whole, and the
// next Receive, not the one after the next message, is interrupted.
func TestStopInTheMidstOfAMessage(t *testing.T) {
	c, peer := pair(t)
	m := message(`{"Op":"whole"}`)
	for cut := 1; cut < len(m); cut++ {
		if err := peer.Send(m[:cut]); err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		var w Message
		go func() {
			_, err := c.Receive(&w)
			got <- err
		}()
		time.Sleep(time.Millisecond) // most times it has read the first part; either order must do
		c.Stop()
		if err := peer.Send(m[cut:]); err != nil {
			t.Fatal(err)
		}
		err := <-got
		if Interrupted(err) { // it had not begun
			c.Resume()
			_, err = c.Receive(&w)
			c.Stop()
		}
		if err != nil || w.Op != "whole" {
			t.Fatalf("cut at %d: %q, %v", cut, w.Op, err)
		}
		if err := peer.Send(message(`{"Op":"next"}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Receive(&w); !Interrupted(err) {
			t.Fatalf("cut at %d: after Stop another message is received: %q, %v", cut, w.Op, err)
		}
		c.Resume()
		if _, err := c.Receive(&w); err != nil || w.Op != "next" {
			t.Fatalf("cut at %d: after Resume: %q, %v", cut, w.Op, err)
		}
	}
}

// Half a message ends the wait for its rest.
func TestStopOfHalfAMessage(t *testing.T) {
	c, peer := pair(t)
	if err := peer.Send(message(`{"Op":"whole"}`)[:10]); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := c.Receive(&Message{})
		got <- err
	}()
	time.Sleep(10 * time.Millisecond)
	c.Stop()
	select {
	case err := <-got:
		if err == nil || Interrupted(err) {
			t.Errorf("half a message gives %v", err)
		}
	case <-time.After(5 * restTime):
		t.Error("half a message is waited for without end")
	}
}

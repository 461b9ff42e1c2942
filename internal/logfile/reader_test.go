package logfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"silo/internal/linux"
	"silo/internal/testenv"
)

// smallFS mounts a tmpfs of a size that a test can fill.
func smallFS(t *testing.T, size string) string {
	t.Helper()
	testenv.NeedRoot(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func readAll(t *testing.T, path string, o ReadOptions) (out []Record) {
	t.Helper()
	r, err := NewReader(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		rec, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rec)
	}
}

func lines(rs []Record) (out []string) {
	for _, r := range rs {
		out = append(out, string(r.Line))
	}
	return out
}

// tenLines writes lines 0 to 9, one a second, over several files.
func tenLines(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	w := newWriter(t, path, Options{MaxSize: 200, MaxFiles: 9})
	for i := range 10 {
		w.Write("stdout", t0.Add(time.Duration(i)*time.Second), fmt.Appendf(nil, "%d\n", i))
	}
	w.Close()
	if _, err := os.Stat(path + ".2"); err != nil {
		t.Fatal("the test wants three files: ", err)
	}
	return path
}

func TestSelect(t *testing.T) {
	path := tenLines(t)
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	tests := []struct {
		name string
		o    ReadOptions
		want string
	}{
		{"all", ReadOptions{Tail: -1}, "0123456789"},
		{"none", ReadOptions{Tail: 0}, ""},
		{"one", ReadOptions{Tail: 1}, "9"},
		{"over files", ReadOptions{Tail: 7}, "3456789"},
		{"exactly all", ReadOptions{Tail: 10}, "0123456789"},
		{"more than there is", ReadOptions{Tail: 100}, "0123456789"},
		{"since", ReadOptions{Tail: -1, Since: at(7)}, "789"},
		{"until", ReadOptions{Tail: -1, Until: at(2)}, "012"},
		{"since and until", ReadOptions{Tail: -1, Since: at(2), Until: at(4)}, "234"},
		{"tail then until", ReadOptions{Tail: 3, Until: at(8)}, "78"},
		{"follow a finished one", ReadOptions{Tail: 2, Follow: true, Done: closed()}, "89"},
		{"follow to the past", ReadOptions{Tail: -1, Follow: true, Until: at(1)}, "01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.ReplaceAll(strings.Join(lines(readAll(t, path, tt.o)), ""), "\n", "")
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestDamagedLinesAreLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	good := func(s string) string { return string(appendRecord(nil, "", "stdout", t0, []byte(s))) }
	data := good("a\n") + "\n" + `{"log":"x` + "\n" + "\x00\x00\x00\n" + `{}` + "\n" + good("b") + `{"log":"torn","str`
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, path, ReadOptions{Tail: -1})
	want := []Record{{Stream: "stdout", Time: t0, Line: []byte("a\n")}, {Stream: "stdout", Time: t0, Line: []byte("b"), Partial: true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := lines(readAll(t, path, ReadOptions{Tail: 1})); len(got) != 1 || got[0] != "b" {
		t.Errorf("tail 1: %q", got)
	}
}

func TestNoLogYet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if got := readAll(t, path, ReadOptions{Tail: 5}); got != nil {
		t.Errorf("got %v", got)
	}
	done := make(chan struct{})
	go func() {
		w, _ := NewWriter(path, Options{})
		w.Write("stdout", t0, []byte("late\n"))
		w.Close()
		close(done)
	}()
	got := lines(readAll(t, path, ReadOptions{Tail: -1, Follow: true, Done: done}))
	if d := cmp.Diff([]string{"late\n"}, got); d != "" {
		t.Error(d)
	}
}

// TestFollowAcrossRotation has followers, with inotify and by polling, race
// a writer that rotates every few lines, held back so that no follower can
// fall behind by more files than are kept.
func TestFollowAcrossRotation(t *testing.T) {
	for _, poll := range []bool{false, true} {
		total := 600
		if poll {
			total = 20 // each five lines wait for the poll
		}
		t.Run(fmt.Sprintf("poll=%v", poll), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			w := newWriter(t, path, Options{MaxSize: 500, MaxFiles: 4})
			done := make(chan struct{})
			seen := make(chan struct{}, 5) // how far the writer may run ahead: about one file
			if poll {
				without := errors.New("no watch")
				watchDir = func(string) (*linux.DirWatch, error) { return nil, without }
				defer func() { watchDir = linux.WatchDir }()
			}
			r, err := NewReader(path, ReadOptions{Tail: -1, Follow: true, Done: done})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			go func() {
				defer close(done)
				for i := range total {
					seen <- struct{}{}
					w.Write("stdout", t0, fmt.Appendf(nil, "line %d\n", i))
				}
			}()
			for i := range total {
				rec, err := r.Next(t.Context())
				if err != nil {
					t.Fatal(i, err)
				}
				if want := fmt.Sprintf("line %d\n", i); string(rec.Line) != want {
					t.Fatalf("got %q, want %q", rec.Line, want)
				}
				<-seen
			}
			if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("after the last: %v", err)
			}
		})
	}
}

// slowFollower writes lines to a log of which two small files are kept, and
// removes it; who follows it has opened each file, but reads only then.
func slowFollower(t *testing.T, total int) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	w := newWriter(t, path, Options{MaxSize: 500, MaxFiles: 2})
	done := make(chan struct{})
	r, err := NewReader(path, ReadOptions{Tail: -1, Follow: true, Done: done})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	knowsNewest := func() bool {
		now, err := os.Stat(path)
		if err != nil {
			return false
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		newest, err := r.files[len(r.files)-1].f.Stat()
		return err == nil && os.SameFile(newest, now)
	}
	for i := range total {
		w.Write("stdout", t0, fmt.Appendf(nil, "line %d\n", i))
		for deadline := time.Now().Add(10 * time.Second); !knowsNewest(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a new file was not opened")
			}
		}
	}
	w.Close()
	if err := errors.Join(os.Remove(path), os.Remove(path+".1")); err != nil {
		t.Fatal(err)
	}
	close(done)
	var got []Record
	for {
		rec, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return lines(got)
		}
		if err != nil {
			t.Fatal(err)
		}
		rec.Line = slices.Clone(rec.Line)
		got = append(got, rec)
	}
}

func TestSlowFollower(t *testing.T) {
	got := slowFollower(t, 100)
	for i := range 100 {
		if want := fmt.Sprintf("line %d\n", i); i >= len(got) || got[i] != want {
			t.Fatalf("line %d of %d is not %q", i, len(got), want)
		}
	}
	if len(got) != 100 {
		t.Errorf("%d lines, want 100", len(got))
	}
}

// What waits to be read is bounded, and what is lost by that is said.
func TestSlowFollowerIsBounded(t *testing.T) {
	defer func(n int64) { maxWaiting = n }(maxWaiting)
	maxWaiting = 1500
	got := slowFollower(t, 100)
	gap := slices.Index(got, gapText)
	if gap < 1 || got[0] != "line 0\n" || got[len(got)-1] != "line 99\n" || len(got) > 60 {
		t.Fatalf("%d lines, the gap at %d: %q", len(got), gap, got)
	}
	if slices.Index(got[gap+1:], gapText) >= 0 {
		t.Errorf("more than one gap: %q", got)
	}
}

func TestFollowEndsWithContext(t *testing.T) {
	path := tenLines(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := NewReader(path, ReadOptions{Tail: 0, Follow: true, Done: make(chan struct{})})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	cancel()
	wg.Wait()
}

// FuzzReader reads any bytes as a log: no panic, and what encoding/json reads
// as records comes out.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"log":"a\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}`+"\n"), 3)
	f.Add([]byte("\n\n{}\n{\"log\":1}\n"), -1)
	f.Fuzz(func(t *testing.T, data []byte, tail int) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got := readAll(t, path, ReadOptions{Tail: tail})
		if tail >= 0 && len(got) > tail {
			t.Errorf("%d records with tail %d", len(got), tail)
		}
	})
}

// FuzzWriteRead writes any bytes in any pieces and reads them back.
func FuzzWriteRead(f *testing.F) {
	f.Add([]byte("hello\nworld"), 3)
	f.Add([]byte(strings.Repeat("€", maxLine)), 1000)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		path := filepath.Join(t.TempDir(), "log")
		w := newWriter(t, path, Options{MaxSize: -1})
		for rest := data; len(rest) > 0; {
			n := min(len(rest), max(1, piece))
			if err := w.Write("stdout", t0, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		w.Close()
		got := strings.Join(lines(readAll(t, path, ReadOptions{Tail: -1})), "")
		quoted, _ := json.Marshal(string(data))
		var want string
		json.Unmarshal(quoted, &want)
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

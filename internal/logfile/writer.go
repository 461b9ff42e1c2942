// Package logfile writes and reads the output of containers in Docker's
// json-file format: one JSON record a line, rotated by size. Writing is made
// for the keeper (small, no dependencies, never waits for anything but the
// kernel), reading for the API. Which container a file belongs to, and who
// may read it, is for others.
package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// maxLine is how much of a line goes into one record, as in Docker; longer
// lines are cut into partial records, which have no newline at their end.
const maxLine = 16 << 10

// Writer appends to a log file. Its methods may be called at the same time.
//
// A write that the file system refuses (full disk, quota) loses that output
// but nothing else: the count of lost bytes is kept and written as a record
// of the stream stderr, with the first write that succeeds again.
type Writer struct {
	path string
	opts Options

	mu    sync.Mutex
	f     *os.File
	size  int64
	torn  bool // the file may end inside a record
	lost  int64
	cause error
	rest  map[string]*rest
	buf   []byte
}

// rest is the end of a stream that no newline has closed yet.
type rest struct {
	data []byte
	time time.Time // when its first byte was written
}

// shrunk gives r's buffer emptied, or none if it is large: a keeper has two
// for each container.
func (r *rest) shrunk() []byte {
	if cap(r.data) > 4<<10 {
		return nil
	}
	return r.data[:0]
}

// Make makes an empty log at path for a writer to come: that takes longer than
// to open one.
func Make(path string) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// NewWriter opens or makes the log at path (mode 0640) and appends to it.
// What a killed writer left unfinished is closed, so that the next record
// starts a line.
func NewWriter(path string, o Options) (*Writer, error) {
	w := &Writer{path: path, opts: o.withDefaults(), rest: map[string]*rest{}}
	f, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if w.size, err = f.Seek(0, io.SeekEnd); err == nil && w.size > 0 {
		var last [1]byte
		_, err = f.ReadAt(last[:], w.size-1)
		w.torn = last[0] != '\n'
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open log %s: %w", path, err)
	}
	w.f = f
	return w, nil
}

func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
}

// Write adds raw output of a stream ("stdout" or "stderr") that arrived at t.
// Whole lines are written at once, with one system call; the rest waits for
// its newline, Flush or Close. An error means that output was lost, never
// that the Writer is of no more use.
func (w *Writer) Write(stream string, t time.Time, p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return fs.ErrClosed
	}
	r := w.rest[stream]
	if r == nil {
		r = &rest{}
		w.rest[stream] = r
	}
	batch, raw := w.buf[:0], 0
	for len(p) > 0 {
		if len(r.data) == 0 {
			r.time = t
		}
		end := bytes.IndexByte(p, '\n') + 1 // 0 if there is none
		n := end
		if n == 0 {
			n = len(p)
		}
		if room := maxLine - len(r.data); n > room {
			n, end = room, 0
		}
		line := p[:n]
		if len(r.data) > 0 {
			r.data = append(r.data, line...)
			line = r.data
		}
		p = p[n:]
		switch {
		case end > 0:
			batch, raw = appendRecord(batch, "", stream, r.time, line), raw+len(line)
			r.data = r.shrunk()
		case len(line) == maxLine:
			cut := runeCut(line)
			batch, raw = appendRecord(batch, "", stream, r.time, line[:cut]), raw+cut
			r.data = append(r.data[:0], line[cut:]...)
		default:
			if len(r.data) == 0 {
				r.data = append(r.data, line...)
			}
		}
	}
	return w.put(batch, raw)
}

// ServiceAttr is the name of the attribute that tells which service of a
// container wrote a record.
const ServiceAttr = "service"

// WriteFrom adds output of one of the container's services. What has no
// newline at its end becomes a partial record at once: the caller puts lines
// together, so that a container with many services takes no memory here.
func (w *Writer) WriteFrom(service, stream string, t time.Time, p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return fs.ErrClosed
	}
	batch, raw := w.buf[:0], len(p)
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n') + 1
		if n == 0 {
			n = len(p)
		}
		if n > maxLine {
			n = runeCut(p[:maxLine])
		}
		batch = appendRecord(batch, service, stream, t, p[:n])
		p = p[n:]
	}
	return w.put(batch, raw)
}

// runeCut gives the length of line without a character that is cut at its end.
func runeCut(line []byte) int {
	for back := 1; back < utf8.UTFMax && back < len(line); back++ {
		if tail := line[len(line)-back:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return len(line) - back
			}
			break
		}
	}
	return len(line)
}

// Flush writes what no newline has closed yet as partial records; reading
// them back gives the same bytes whatever is written next.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *Writer) flush() error {
	if w.f == nil {
		return fs.ErrClosed
	}
	batch, raw := w.buf[:0], 0
	for _, stream := range []string{"stdout", "stderr"} {
		if r := w.rest[stream]; r != nil && len(r.data) > 0 {
			batch, raw = appendRecord(batch, "", stream, r.time, r.data), raw+len(r.data)
			r.data = nil
		}
	}
	return w.put(batch, raw)
}

// Close flushes and closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return nil
	}
	err := w.flush()
	if cerr := w.f.Close(); err == nil {
		err = cerr
	}
	w.f = nil
	return err
}

// put writes a batch of records that stand for raw bytes of output.
func (w *Writer) put(batch []byte, raw int) error {
	if cap(batch) <= 64<<10 {
		w.buf = batch[:0] // else a burst would be paid for as long as the container lives
	} else {
		w.buf = nil
	}
	if raw == 0 {
		return nil
	}
	if w.opts.MaxSize > 0 && w.size >= w.opts.MaxSize {
		w.rotate()
	}
	if w.torn || w.lost > 0 {
		batch = append(w.marker(), batch...)
	}
	n, err := w.f.Write(batch)
	w.size += int64(n)
	if err == nil {
		w.torn, w.lost, w.cause = false, 0, nil
		return nil
	}
	if n > 0 {
		w.torn = batch[n-1] != '\n'
	}
	w.lost += int64(raw)
	w.cause = err
	return fmt.Errorf("write log: %w", err)
}

// marker is what must come before the next record.
func (w *Writer) marker() []byte {
	var m []byte
	if w.torn {
		m = append(m, '\n')
	}
	if w.lost > 0 {
		cause := w.cause
		if pe := (*fs.PathError)(nil); errors.As(cause, &pe) {
			cause = pe.Err
		}
		text := "silo: about " + strconv.FormatInt(w.lost, 10) + " bytes of output are missing here: " + cause.Error() + "\n"
		m = appendRecord(m, "", "stderr", time.Now(), []byte(text))
	}
	return m
}

// rotate renames path to path.1 and so on, dropping the oldest. If no new
// file can be made the old one is kept in use.
func (w *Writer) rotate() {
	next := w.path + ".new"
	os.Remove(next)
	f, err := open(next)
	if err != nil {
		return
	}
	if w.opts.MaxFiles > 1 {
		for i := w.opts.MaxFiles - 1; i > 1; i-- {
			_ = os.Rename(numbered(w.path, i-1), numbered(w.path, i))
		}
		// The last step cannot leave a gap that matters: readers hold the old
		// file open and look for path again.
		err = os.Rename(w.path, numbered(w.path, 1))
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(next, w.path)
	}
	if err != nil {
		f.Close()
		os.Remove(next)
		return
	}
	w.f.Close()
	w.f, w.size, w.torn = f, 0, false
}

func numbered(path string, i int) string { return path + "." + strconv.Itoa(i) }

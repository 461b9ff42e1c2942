package logfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"silo/internal/linux"
)

// Record is one line of output, or a part of one.
type Record struct {
	Stream string // stdout or stderr
	Time   time.Time
	Line   []byte // with its newline
	// Partial: Line has no newline, the next record of the stream goes on
	// with it (or the stream ended so).
	Partial bool
	Attrs   map[string]string // what is known besides; ServiceAttr names the service that wrote it
}

// ReadOptions select records.
type ReadOptions struct {
	Tail int // at most the last so many records that exist now; below 0 is all
	// Service selects what one service wrote. Tail then counts its records.
	Service string
	Since   time.Time
	Until   time.Time // zero: no end
	Follow  bool      // wait for more, until Done is closed and all is read
	Done    <-chan struct{}
}

// Reader reads a log from its oldest file to the newest and, if it follows,
// on through rotations. Damaged lines are left out.
type Reader struct {
	path string
	o    ReadOptions

	mu    sync.Mutex // guards files
	files []*segment // oldest first, which is read; the last is the newest that was seen
	buf   []byte     // bytes read but not delivered
	start int        // of what is left in buf
	skip  int        // records of the service that are left out yet

	watch   *linux.DirWatch // nil if there is none
	stop    chan struct{}   // ends track
	tracked chan struct{}   // track has ended
}

// segment is one file of a log. limit is its size when the reader was made. gap
// tells that files before it were lost.
type segment struct {
	f          *os.File
	off, limit int64
	gap        bool
}

// NewReader opens the log at path; a log that does not exist yet is empty.
func NewReader(path string, o ReadOptions) (*Reader, error) {
	r := &Reader{path: path, o: o}
	if o.Follow {
		// Before the files are opened, so that no change goes unseen. Without
		// a watch, wait looks from time to time.
		r.watch, _ = watchDir(filepath.Dir(path))
	}
	err := r.open()
	if err == nil && o.Tail >= 0 && o.Service == "" {
		err = r.skipToTail(o.Tail)
	}
	if err == nil && o.Tail >= 0 && o.Service != "" {
		err = r.skipOwn(o.Tail)
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("read log: %w", err)
	}
	if o.Follow {
		r.stop, r.tracked = make(chan struct{}), make(chan struct{})
		go r.track()
	}
	return r, nil
}

// skipOwn counts the records of the one service that exist now, so that Next
// leaves out all but the last n.
func (r *Reader) skipOwn(n int) error {
	all := r.o
	all.Tail, all.Follow = -1, false
	past, err := NewReader(r.path, all)
	if err != nil {
		return err
	}
	defer past.Close()
	for {
		switch _, err := past.Next(context.Background()); {
		case errors.Is(err, io.EOF):
			r.skip = max(0, r.skip-n)
			return nil
		case err != nil:
			return err
		}
		r.skip++
	}
}

// Close frees the files.
func (r *Reader) Close() error {
	if r.stop != nil {
		close(r.stop)
		<-r.tracked
		r.stop = nil
	}
	r.closeFiles()
	if r.watch != nil {
		w := r.watch
		r.watch = nil
		return w.Close()
	}
	return nil
}

func (r *Reader) closeFiles() {
	for _, s := range r.files {
		s.f.Close()
	}
	r.files = nil
}

// open opens all files of the log. A rotation meanwhile shows as one file
// under two numbers, or as a missing newest file: then it starts again.
func (r *Reader) open() error {
	for range 100 {
		again, err := r.tryOpen()
		if err != nil {
			return err
		}
		if !again {
			return nil
		}
		r.closeFiles()
	}
	return errors.New(r.path + " is rotated faster than it can be opened")
}

func (r *Reader) tryOpen() (again bool, err error) {
	for i := 0; ; i++ {
		name := r.path
		if i > 0 {
			name = numbered(r.path, i)
		}
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			if i == 0 {
				_, err = os.Lstat(numbered(r.path, 1))
				return err == nil, nil // between the two renames of a rotation
			}
			return false, nil
		}
		if err != nil {
			return false, err
		}
		fi, err := f.Stat()
		if err != nil {
			f.Close()
			return false, err
		}
		for _, s := range r.files {
			if other, err := s.f.Stat(); err == nil && os.SameFile(fi, other) {
				f.Close()
				return true, nil
			}
		}
		r.files = append([]*segment{{f: f, limit: fi.Size()}}, r.files...)
	}
}

// skipToTail moves the start so that n records are left.
func (r *Reader) skipToTail(n int) error {
	for i := len(r.files) - 1; i >= 0; i-- {
		off, found, err := tailOffset(r.files[i].f, r.files[i].limit, n)
		if err != nil {
			return err
		}
		r.files[i].off = off
		if n -= found; n <= 0 {
			for _, s := range r.files[:i] {
				s.f.Close()
			}
			r.files = r.files[i:]
			return nil
		}
	}
	return nil
}

// tailOffset finds where the last n lines of the first size bytes start, and
// how many there are (fewer than n if the file is shorter). An unfinished
// line at the end belongs to what is to come and is not counted.
func tailOffset(f io.ReaderAt, size int64, n int) (off int64, found int, err error) {
	buf := make([]byte, 64<<10)
	lines := 0 // newlines seen
	for end := size; end > 0; {
		begin := max(0, end-int64(len(buf)))
		b := buf[:end-begin]
		if _, err := f.ReadAt(b, begin); err != nil && err != io.EOF {
			return 0, 0, err
		}
		for i := len(b); i > 0; {
			i = bytes.LastIndexByte(b[:i], '\n')
			if i < 0 {
				break
			}
			if lines++; lines > n {
				return begin + int64(i) + 1, n, nil
			}
		}
		end = begin
	}
	return 0, lines, nil
}

// Buffered tells that the next record can be had without reading the file:
// a good time to flush is when it is false.
func (r *Reader) Buffered() bool { return bytes.IndexByte(r.buf[r.start:], '\n') >= 0 }

// Next gives the next record. Its Line is valid until the next call. The end
// is io.EOF; it comes with Follow only when Done is closed, or Until passed.
func (r *Reader) Next(ctx context.Context) (Record, error) {
	for {
		line, err := r.line(ctx)
		if err != nil {
			return Record{}, err
		}
		rec, ok := decode(line)
		switch {
		case !ok, rec.Time.Before(r.o.Since), r.o.Service != "" && rec.Attrs[ServiceAttr] != r.o.Service:
		case !r.o.Until.IsZero() && rec.Time.After(r.o.Until):
			return Record{}, io.EOF
		case r.skip > 0:
			r.skip--
		default:
			return rec, nil
		}
	}
}

func decode(line []byte) (Record, bool) {
	var j struct {
		Log    string    `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`

		Attrs map[string]string `json:"attrs"`
	}
	if len(line) == 0 || json.Unmarshal(line, &j) != nil || j.Stream == "" {
		return Record{}, false
	}
	return Record{Stream: j.Stream, Time: j.Time, Line: []byte(j.Log), Partial: len(j.Log) == 0 || j.Log[len(j.Log)-1] != '\n', Attrs: j.Attrs}, true
}

// line gives the next whole line of the log, without its newline.
func (r *Reader) line(ctx context.Context) ([]byte, error) {
	searched := r.start
	for {
		if i := bytes.IndexByte(r.buf[searched:], '\n'); i >= 0 {
			l := r.buf[r.start : searched+i]
			r.start = searched + i + 1
			return l, nil
		}
		if r.start > 0 {
			r.buf = append(r.buf[:0], r.buf[r.start:]...)
			r.start = 0
		}
		searched = len(r.buf)
		if err := r.fill(ctx); err != nil {
			return nil, err
		}
	}
}

// fill reads at least one more byte, waiting for it if need be.
func (r *Reader) fill(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		finished := r.finished() // asked before the last look at the file
		known, _ := r.oldest()
		for {
			oldest, more := r.oldest()
			if oldest == nil {
				break
			}
			n, err := r.read(oldest)
			if err != nil || n > 0 {
				return err
			}
			if !more {
				break
			}
			if r.drop(); len(r.buf) > 0 {
				return nil
			}
		}
		if !r.o.Follow {
			return io.EOF
		}
		if err := r.advance(); err != nil {
			return err
		}
		if s, more := r.oldest(); more || s != nil && s != known {
			continue // track may have found the next file since
		}
		if finished {
			return io.EOF
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// oldest is the file to read, nil without one. more tells that another has
// followed it, so that nothing more will be written to it.
func (r *Reader) oldest() (s *segment, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.files) == 0 {
		return nil, false
	}
	return r.files[0], len(r.files) > 1
}

// drop leaves the oldest file; an unfinished line at its end will never be
// finished. If files between it and the next were lost, a record says so.
func (r *Reader) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[0].f.Close()
	r.files = r.files[1:]
	r.buf, r.start = r.buf[:0], 0
	if r.files[0].gap {
		r.buf = appendRecord(r.buf, r.o.Service, "stderr", time.Now(), []byte(gapText))
	}
}

// read reads on in s. Without Follow it stops at the size it had at first, or
// a fast writer would be read for ever.
func (r *Reader) read(s *segment) (int, error) {
	want := int64(64 << 10)
	if !r.o.Follow {
		want = min(want, s.limit-s.off)
	}
	if want <= 0 {
		return 0, nil
	}
	have := len(r.buf)
	r.buf = append(r.buf, make([]byte, want)...)
	n, err := s.f.ReadAt(r.buf[have:], s.off)
	r.buf = r.buf[:have+n]
	s.off += int64(n)
	if n == 0 && err == io.EOF {
		// Someone emptied the file under us: start again with what comes.
		if fi, serr := s.f.Stat(); serr == nil && fi.Size() < s.off {
			s.off, s.limit, r.buf = 0, 0, r.buf[:r.start]
		}
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

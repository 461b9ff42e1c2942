package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"silo/internal/errs"
)

const (
	streamBuffer  = 256 << 10
	streamBuffers = 4
)

// stream reads a tar ahead of its user and computes its digest, both in a
// goroutine of its own: inflating and hashing run beside writing.
type stream struct {
	ctx      context.Context
	src      io.ReadCloser
	progress func(int64)
	limit    int64

	full  chan []byte // nil after the last
	free  chan []byte
	stop  chan struct{}
	ended chan struct{}
	sum   hash.Hash // the goroutine's until ended
	err   error     // … too: why it ended

	rest  []byte // of buf, yet to be read
	buf   []byte
	total int64
}

func newStream(ctx context.Context, src io.ReadCloser, limit int64, progress func(int64)) *stream {
	s := &stream{
		ctx: ctx, src: src, limit: limit, progress: progress,
		full: make(chan []byte, streamBuffers), free: make(chan []byte, streamBuffers),
		stop: make(chan struct{}), ended: make(chan struct{}), sum: sha256.New(),
	}
	for range streamBuffers {
		s.free <- make([]byte, streamBuffer)
	}
	go s.fill()
	return s
}

func (s *stream) fill() {
	defer close(s.ended)
	for {
		var b []byte
		select {
		case b = <-s.free:
		case <-s.stop:
			return
		}
		n, err := 0, error(nil)
		for n < len(b) && err == nil {
			var m int
			m, err = s.src.Read(b[n:])
			n += m
		}
		s.sum.Write(b[:n])
		if n > 0 {
			s.full <- b[:n] // has room for every buffer
		}
		if err == nil {
			continue
		}
		s.err = err
		close(s.full)
		return
	}
}

// Read is for one goroutine.
func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.buf != nil {
			s.free <- s.buf[:streamBuffer]
			s.buf = nil
		}
		select {
		case b, ok := <-s.full:
			if !ok {
				<-s.ended
				return 0, s.err
			}
			s.rest, s.buf = b, b
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
		if err := s.ctx.Err(); err != nil {
			return 0, err
		}
		if s.total += int64(len(s.rest)); s.total > s.limit {
			return 0, errs.Invalidf("the tar is longer than the limit of %d bytes", s.limit)
		}
		s.progress(s.total)
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// digest gives the digest of all that the source held; call it after io.EOF.
func (s *stream) digest() string {
	<-s.ended
	return "sha256:" + hex.EncodeToString(s.sum.Sum(nil))
}

// Close ends the reading and closes the source.
func (s *stream) Close() error {
	close(s.stop)
	<-s.ended
	return s.src.Close()
}

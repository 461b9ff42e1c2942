package early

import (
	"syscall"
	"unsafe"
)

const (
	// mostHead bounds the head of an answer, in bytes.
	mostHead = 16 << 10
	// mostStream bounds what is read of a stream at once, in bytes.
	mostStream = 64 << 10
	// mostFrame bounds a frame, as in package client.
	mostFrame = 1 << 20
	// frameHead is the head of a frame: the stream, three zeros, the size in
	// four bytes, the most significant first.
	frameHead = 8
	// endStream is the number of the frame with the exit code, as in package api.
	endStream = 4
	// pipeRoom is what a pipe that is ready takes without waiting (PIPE_BUF of
	// pipe(7)), in bytes.
	pipeRoom = 4096
)

// unanswered is a result of steps that leave the rest to the Go program.
const unanswered = -1

// stream is the answer to a request.
type stream struct {
	fd        int
	proxy     *proxy
	container string

	// in holds the head of the answer for good, in in[:head]. What was read
	// after it and not used yet is in[from:to]. Within a frame there is room
	// for its head before from.
	in             []byte
	head, from, to int

	kind byte // 2: standard error
	left int  // bytes of the frame that are still to come
}

// answer reads the answer's head and copies the stream to its end.
func (s *stream) answer() int {
	for s.head == 0 {
		if s.to >= mostHead || !s.fill() {
			return s.handOver()
		}
		s.head = headEnd(s.in[:s.to])
	}
	text := s.in[:s.head]
	s.from = s.head
	if s.head > mostHead || at(text, "HTTP/1.1 101 ") != 0 {
		return s.handOver()
	}
	if s.proxy.fd >= 0 {
		if s.container = hexAfter(text, "\r\nSilo-Container: "); s.container == "" {
			return s.handOver()
		}
		s.proxy.known(s.container)
	}
	if at(text, "\r\nSilo-Warnings:") >= 0 {
		return s.handOver()
	}
	return s.copy()
}

// copy copies frames until the one with the exit code, which is the result.
func (s *stream) copy() int {
	for {
		if !s.need(frameHead) {
			return s.handOver()
		}
		h := s.in[s.from : s.from+frameHead]
		size := int(h[4])<<24 | int(h[5])<<16 | int(h[6])<<8 | int(h[7])
		if h[0] == endStream {
			if size != 4 || !s.need(frameHead+4) {
				return s.handOver()
			}
			return int(s.in[s.from+frameHead+3]) // an exit code has a byte
		}
		if size > mostFrame {
			return s.handOver()
		}
		s.kind, s.left = h[0], size
		s.from += frameHead
		if code := s.output(); code != 0 {
			return code
		}
	}
}

// output writes the frame to standard output or error. Other results than 0
// end the stream.
func (s *stream) output() int {
	fd := 1
	if s.kind == 2 {
		fd = 2
	}
	for s.left > 0 {
		if s.from == s.to && !s.need(1) {
			return s.handOver()
		}
		n := s.put(fd, s.in[s.from:min(s.to, s.from+s.left)])
		switch {
		case n == -int(syscall.EPIPE):
			return 128 + int(syscall.SIGPIPE)
		case n <= 0:
			return s.handOver()
		}
		s.from += n
		s.left -= n
	}
	return 0
}

// put writes some of b. It waits until there is room, so that signals can come
// meanwhile.
func (s *stream) put(fd int, b []byte) int {
	for {
		if s.proxy.fd >= 0 {
			if await(fd, pollOut, s.proxy.ready()) {
				s.proxy.next(s.container)
				continue
			}
			b = b[:min(len(b), pipeRoom)]
		}
		n := write(fd, b)
		if n != -int(syscall.EAGAIN) {
			return n
		}
		if s.proxy.fd < 0 {
			await(fd, pollOut, -1)
		}
	}
}

// need reads until n bytes are there, which must be few.
func (s *stream) need(n int) bool {
	for s.to-s.from < n {
		if len(s.in)-s.from < 2*frameHead || s.from == s.to {
			s.makeRoom()
		}
		if !s.fill() {
			return false
		}
	}
	return true
}

// makeRoom moves what is unused down to the head, leaving room for the head of
// a frame. It is called when most of the buffer has been used, or all was.
func (s *stream) makeRoom() {
	n := s.to - s.from
	if n > 0 {
		copy(s.in[s.head+frameHead:], s.in[s.from:s.to])
	}
	s.from = s.head + frameHead
	s.to = s.from + n
}

// fill reads once. It is false at the end, and if the connection broke.
func (s *stream) fill() bool {
	for s.proxy.fd >= 0 && await(s.fd, pollIn, s.proxy.ready()) {
		s.proxy.next(s.container)
	}
	n := read(s.fd, s.in[s.to:])
	if n <= 0 {
		return false
	}
	s.to += n
	return true
}

// handOver leaves the rest of the answer to the Go program: the head, what is
// left of a frame that was begun, and what was read after it.
func (s *stream) handOver() int {
	if s.left > 0 {
		s.from -= frameHead
		h := s.in[s.from : s.from+frameHead]
		h[0], h[1], h[2], h[3] = s.kind, 0, 0, 0
		h[4], h[5], h[6], h[7] = byte(s.left>>24), byte(s.left>>16), byte(s.left>>8), byte(s.left)
	}
	n := s.head + copy(s.in[s.head:], s.in[s.from:s.to])
	handed.fd, handed.read, handed.ok = s.fd, s.in[:n], true
	s.proxy.pass(s.container)
	s.proxy.release()
	return unanswered
}

// headEnd gives the length of the head of an answer, 0 if it is not there in
// full.
func headEnd(b []byte) int {
	const blank = "\r\n\r\n"
	if i := at(b, blank); i >= 0 {
		return i + len(blank)
	}
	return 0
}

// at is bytes.Index.
func at(b []byte, s string) int {
	for i := 0; i+len(s) <= len(b); i++ {
		same := 0
		for same < len(s) && b[i+same] == s[same] {
			same++
		}
		if same == len(s) {
			return i
		}
	}
	return -1
}

// hexAfter gives the hexadecimal digits that follow a text, up to the end of
// the line; it is empty if there are others.
func hexAfter(b []byte, s string) string {
	from := at(b, s)
	if from < 0 {
		return ""
	}
	from += len(s)
	to := from
	for to < len(b) && (b[to] >= '0' && b[to] <= '9' || b[to] >= 'a' && b[to] <= 'f') {
		to++
	}
	if to == from || to == len(b) || b[to] != '\r' {
		return ""
	}
	return unsafe.String(&b[from], to-from)
}

package early

// mostText bounds an answer of text with its head, in bytes: a table of some
// 1500 containers. Only what is used of the memory costs anything.
const mostText = 256 << 10

// text reads an answer that must be text, whole: nothing is printed of one that
// is not.
func (s *stream) text() bool {
	for s.head == 0 {
		if s.to >= mostHead || !s.fill() {
			return false
		}
		s.head = headEnd(s.in[:s.to])
	}
	head := s.in[:s.head]
	if at(head, "HTTP/1.1 200 ") != 0 || at(head, "\r\nContent-Type: text/plain; charset=utf-8\r\n") < 0 {
		return false
	}
	s.from, s.left = s.head, numberAfter(head, "\r\nContent-Length: ")
	if s.left < 0 || s.left > len(s.in)-s.from {
		return false
	}
	for s.to < s.from+s.left {
		if !s.fill() {
			return false
		}
	}
	return true
}

// print writes the text. What cannot be written the Go program tries once more,
// and tells why it cannot.
func (s *stream) print() int {
	for s.left > 0 {
		n := s.put(1, s.in[s.from:s.from+s.left])
		if n <= 0 {
			unwritten = s.in[s.from : s.from+s.left]
			return unanswered
		}
		s.from += n
		s.left -= n
	}
	return 0
}

// numberAfter gives the number that follows a text, up to the end of the line;
// it is -1 if there is something else, or more than 9 digits.
func numberAfter(b []byte, s string) int {
	from := at(b, s)
	if from < 0 {
		return -1
	}
	from += len(s)
	n := 0
	for i := from; i < len(b) && i <= from+9; i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			n = 10*n + int(c-'0')
		case c == '\r' && i > from:
			return n
		default:
			return -1
		}
	}
	return -1
}

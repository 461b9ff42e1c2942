package monitor

import "unicode/utf8"

// Key does what a key asks; false ends. Keys are as a terminal sends them.
func (m *Model) Key(key string) bool {
	if key == "\x03" {
		return false
	}
	if m.typing {
		m.typeFilter(key)
		return true
	}
	if m.help {
		m.help = false
		return true
	}
	switch key {
	case "q", "Q", "\x04":
		return false
	case "?", "h":
		m.help = true
	case "<", ",", "\x1b[D":
		m.sort = (m.sort + len(columns()) - 1) % len(columns())
	case ">", ".", "\x1b[C":
		m.sort = (m.sort + 1) % len(columns())
	case "r":
		m.up = !m.up
	case "t":
		m.tree = !m.tree
	case "/":
		m.typing, m.filter = true, ""
	case "\x1b":
		m.filter = ""
	case " ":
		m.held = !m.held
	default:
		m.scroll(key)
	}
	return true
}

// scroll moves the list; Frame keeps it within what there is.
func (m *Model) scroll(key string) {
	const page = 10
	switch key {
	case "\x1b[A", "k":
		m.top--
	case "\x1b[B", "j":
		m.top++
	case "\x1b[5~":
		m.top -= page
	case "\x1b[6~":
		m.top += page
	case "\x1b[H", "g":
		m.top = 0
	}
	m.top = max(0, m.top)
}

func (m *Model) typeFilter(key string) {
	switch key {
	case "\r", "\n":
		m.typing = false
	case "\x1b":
		m.typing, m.filter = false, ""
	case "\x7f", "\b":
		if _, n := utf8.DecodeLastRuneInString(m.filter); n > 0 {
			m.filter = m.filter[:len(m.filter)-n]
		}
	default:
		if r, n := utf8.DecodeRuneInString(key); n == len(key) && r >= ' ' && r != utf8.RuneError && len(m.filter) < 64 {
			m.filter += key
		}
	}
}

// Keys cuts what was read from a terminal into keys: control sequences stay
// whole.
func Keys(data string) (out []string) {
	for len(data) > 0 {
		n := 1
		if len(data) > 2 && data[0] == 0x1b && data[1] == '[' {
			n = 2
			for n < len(data) && (data[n] < 0x40 || data[n] > 0x7e) {
				n++
			}
			n = min(n+1, len(data))
		} else if _, size := utf8.DecodeRuneInString(data); size > 0 {
			n = size
		}
		out = append(out, data[:n])
		data = data[n:]
	}
	return out
}

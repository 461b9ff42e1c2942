// Package events holds the event log of a container: what a message sent to
// the syslog socket says, and the files in which events are kept, with a
// bound on their size. Messages come from anybody and may hold anything.
package events

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is one entry of the log. Who sent it (PID, UID) is the kernel's word,
// not the message's.
type Event struct {
	Index    int64     `json:"index"`
	Time     time.Time `json:"time"`
	Level    string    `json:"level"`
	Facility string    `json:"facility"`
	Source   string    `json:"source"`
	Message  string    `json:"message"`
	PID      int       `json:"pid"`
	UID      int       `json:"uid"`
}

// Levels are the severities of syslog, the worst first.
var Levels = []string{"emergency", "alert", "critical", "error", "warning", "notice", "information", "debug"}

// Facilities are the parts of a system that syslog tells apart.
var Facilities = []string{
	"kernel", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// Level gives the number of a severity by its name, also as syslog shortens it.
func Level(name string) (int, bool) {
	name = strings.ToLower(name)
	if long, ok := map[string]string{"emerg": "emergency", "panic": "emergency", "crit": "critical", "err": "error", "warn": "warning", "info": "information"}[name]; ok {
		name = long
	}
	for i, l := range Levels {
		if l == name {
			return i, true
		}
	}
	return 0, false
}

// Facility gives the number of a facility by its name.
func Facility(name string) (int, bool) {
	if name == "kern" {
		name = "kernel"
	}
	for i, f := range Facilities {
		if f == strings.ToLower(name) {
			return i, true
		}
	}
	return 0, false
}

const (
	mostMessage = 8 << 10 // bytes of a message that are kept
	mostSource  = 64
	noPriority  = 13 // user.notice, as RFC 3164 has it for a message without
)

// Parse reads one message as RFC 5424 or RFC 3164 describe it, and as libraries
// write it to a local socket, without a host name. What does not fit is kept
// as the message. The time is now: the sender's word is not taken for it.
func Parse(data []byte, now time.Time) Event {
	data = bytes.TrimRight(data, "\x00\r\n ")
	priority, text := priority(data)
	e := Event{Time: now, Level: Levels[priority&7], Facility: Facilities[priority>>3]}
	if rest, ok := strings.CutPrefix(text, "1 "); ok && e.structured(rest) {
		return e.bounded()
	}
	e.traditional(text)
	return e.bounded()
}

// priority reads "<13>".
func priority(data []byte) (int, string) {
	end := bytes.IndexByte(data, '>')
	if len(data) == 0 || data[0] != '<' || end < 2 || end > 4 {
		return noPriority, string(data)
	}
	n, err := strconv.ParseUint(string(data[1:end]), 10, 16)
	if err != nil || n >= uint64(len(Facilities)*8) {
		return noPriority, string(data)
	}
	return int(n), string(data[end+1:])
}

// structured reads what follows the version in RFC 5424: time, host, program,
// process, message id, structured data, message; "-" for what is missing.
func (e *Event) structured(text string) bool {
	var f [5]string
	for i := range f {
		var ok bool
		if f[i], text, ok = strings.Cut(text, " "); !ok || f[i] == "" {
			return false
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, f[0]); err != nil && f[0] != "-" {
		return false
	}
	text, ok := skipData(text)
	if !ok {
		return false
	}
	if f[2] != "-" {
		e.Source = f[2]
	}
	e.Message = strings.TrimPrefix(text, "\ufeff")
	return true
}

// skipData leaves out structured data: "-" or [id name="value"]…, in whose
// values a backslash hides a quote.
func skipData(text string) (string, bool) {
	if text == "-" {
		return "", true
	}
	if rest, ok := strings.CutPrefix(text, "- "); ok {
		return rest, true
	}
	if !strings.HasPrefix(text, "[") {
		return "", false
	}
	quoted, inside := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && inside:
			quoted = !quoted
		case quoted:
		case c == '[' && !inside:
			inside = true
		case c == ']' && inside:
			inside = false
			if i+1 == len(text) {
				return "", true
			}
		case !inside && c == ' ':
			return text[i+1:], true
		case !inside:
			return "", false
		}
	}
	return "", false
}

// traditional reads RFC 3164: a time, perhaps a host, a tag, a message.
func (e *Event) traditional(text string) {
	if len(text) > len(time.Stamp) {
		if _, err := time.Parse(time.Stamp, text[:len(time.Stamp)]); err == nil && text[len(time.Stamp)] == ' ' {
			text = text[len(time.Stamp)+1:]
			// Only a host name can stand before the tag.
			if host, rest, ok := strings.Cut(text, " "); ok && !strings.HasSuffix(host, ":") {
				if tag, _, ok := strings.Cut(rest, ":"); ok && isTag(tag) && isTag(host) {
					text = rest
				}
			}
		}
	}
	tag, message, ok := strings.Cut(text, ":")
	if !ok || !isTag(tag) {
		e.Message = text
		return
	}
	e.Source, _, _ = strings.Cut(tag, "[")
	e.Message = strings.TrimPrefix(message, " ")
}

// isTag tells whether text can be the tag before a message: a name, perhaps
// with a number in brackets.
func isTag(s string) bool {
	if s == "" || len(s) > mostSource {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return s[0] != '[' && s[0] != '<'
}

// bounded cuts what is too long and makes it valid text.
func (e Event) bounded() Event {
	e.Source = cut(e.Source, mostSource)
	e.Message = cut(e.Message, mostMessage)
	return e
}

func cut(s string, most int) string {
	if len(s) > most {
		s = s[:most]
		for range utf8.UTFMax - 1 { // the bytes of a character that was cut
			if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n != 1 {
				break
			}
			s = s[:len(s)-1]
		}
		s += "…"
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

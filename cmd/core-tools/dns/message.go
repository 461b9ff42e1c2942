// Package dns reads and changes messages of the domain name system as far as
// a cache needs: whose question it is, how long an answer holds, how old it
// has become. Messages come from anybody; nothing in them is trusted.
package dns

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Types and codes that a cache must know.
const (
	TypeSOA     = 6
	TypeOPT     = 41
	NoError     = 0
	FormatError = 1
	ServerFail  = 2
	NameError   = 3 // no such name

	headerSize = 12
	flagQR     = 1 << 15
	flagTC     = 1 << 9
	flagRD     = 1 << 8
	flagRA     = 1 << 7
	flagCD     = 1 << 4
	flagDO     = 1 << 15 // in the flags of an OPT record
)

// Question is what a query asks, with what else changes the answer.
type Question struct {
	Name             string // letters in lower case, labels as in the message
	Type, Class      uint16
	Recursion        bool // RD
	Checking         bool // CD
	Extended, Secure bool // has an OPT record; its DO flag
	Size             int  // of an answer that the asker takes over UDP
	raw              []byte
}

// Key is the same for questions with the same answer.
func (q Question) Key() string {
	var b strings.Builder
	b.WriteString(q.Name)
	var tail [5]byte
	binary.BigEndian.PutUint16(tail[:], q.Type)
	binary.BigEndian.PutUint16(tail[2:], q.Class)
	for i, set := range []bool{q.Recursion, q.Checking, q.Extended, q.Secure} {
		if set {
			tail[4] |= 1 << i
		}
	}
	b.Write(tail[:])
	return b.String()
}

var (
	errShort    = errors.New("message too short")
	errNotQuery = errors.New("not a query with one question")
	errName     = errors.New("bad name")
)

// ID is the number of a message, 0 for one that has none.
func ID(m []byte) uint16 {
	if len(m) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(m)
}

// SetID changes the number of a message.
func SetID(m []byte, id uint16) { binary.BigEndian.PutUint16(m, id) }

func flags(m []byte) uint16 { return binary.BigEndian.Uint16(m[2:]) }

func count(m []byte, section int) int {
	return int(binary.BigEndian.Uint16(m[4+2*section:]))
}

// ParseQuery reads a standard query with one question.
func ParseQuery(m []byte) (Question, error) {
	var q Question
	if len(m) < headerSize {
		return q, errShort
	}
	f := flags(m)
	if f&flagQR != 0 || f>>11&0xf != 0 || count(m, 0) != 1 || count(m, 1) != 0 || count(m, 2) != 0 {
		return q, errNotQuery
	}
	end, err := q.read(m)
	if err != nil {
		return q, err
	}
	q.Recursion, q.Checking, q.Size = f&flagRD != 0, f&flagCD != 0, 512
	err = records(m, end, count(m, 3), func(r record) {
		if r.kind == TypeOPT && !q.Extended {
			q.Extended, q.Secure = true, r.ttl&flagDO != 0
			q.Size = max(512, int(r.class))
		}
	})
	return q, err
}

// read takes the question of a message and gives where it ends.
func (q *Question) read(m []byte) (int, error) {
	at := headerSize
	for {
		if at >= len(m) {
			return 0, errShort
		}
		n := int(m[at])
		if n > 63 { // a question has nothing before it to point to
			return 0, errName
		}
		at += 1 + n
		if n == 0 {
			break
		}
	}
	if at-headerSize > 255 {
		return 0, errName
	}
	if at+4 > len(m) {
		return 0, errShort
	}
	q.raw = m[headerSize : at+4]
	name := []byte(string(m[headerSize:at]))
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	q.Name = string(name)
	q.Type, q.Class = binary.BigEndian.Uint16(m[at:]), binary.BigEndian.Uint16(m[at+2:])
	return at + 4, nil
}

// record is one resource record.
type record struct {
	kind, class uint16
	ttl         uint32
	ttlAt       int // where its time to live stands
	data        []byte
}

// records calls f for so many records from a place on.
func records(m []byte, at, n int, f func(record)) error {
	_, err := walk(m, at, n, f)
	return err
}

func walk(m []byte, at, n int, f func(record)) (int, error) {
	for range n {
		var err error
		if at, err = skipName(m, at); err != nil {
			return 0, err
		}
		if at+10 > len(m) {
			return 0, errShort
		}
		size := int(binary.BigEndian.Uint16(m[at+8:]))
		if at+10+size > len(m) {
			return 0, errShort
		}
		f(record{
			kind: binary.BigEndian.Uint16(m[at:]), class: binary.BigEndian.Uint16(m[at+2:]),
			ttl: binary.BigEndian.Uint32(m[at+4:]), ttlAt: at + 4, data: m[at+10 : at+10+size],
		})
		at += 10 + size
	}
	return at, nil
}

// skipName gives where a name ends; what a pointer in it points to does not
// matter here.
func skipName(m []byte, at int) (int, error) {
	for at < len(m) {
		switch n := int(m[at]); {
		case n == 0:
			return at + 1, nil
		case n&0xc0 == 0xc0:
			if at+2 > len(m) {
				return 0, errShort
			}
			return at + 2, nil
		case n > 63:
			return 0, errName
		default:
			at += 1 + n
		}
	}
	return 0, errShort
}

// Query writes the question for a server, with a number and without anything
// else that the asker said: size is what may come back over UDP.
func (q Question) Query(id uint16, size int) []byte {
	m := make([]byte, headerSize, headerSize+len(q.raw)+11)
	var f uint16
	if q.Recursion {
		f |= flagRD
	}
	if q.Checking {
		f |= flagCD
	}
	binary.BigEndian.PutUint16(m, id)
	binary.BigEndian.PutUint16(m[2:], f)
	binary.BigEndian.PutUint16(m[4:], 1)
	m = append(m, q.raw...)
	if q.Extended {
		m[11] = 1
		opt := [11]byte{1: 0, 2: TypeOPT}
		binary.BigEndian.PutUint16(opt[3:], uint16(size))
		if q.Secure {
			binary.BigEndian.PutUint16(opt[7:], flagDO)
		}
		m = append(m, opt[:]...)
	}
	return m
}

// Answers checks that a message answers the question under a number.
func (q Question) Answers(m []byte, id uint16) bool {
	if len(m) < headerSize || ID(m) != id || flags(m)&flagQR == 0 || count(m, 0) != 1 {
		return false
	}
	var r Question
	if _, err := r.read(m); err != nil {
		return false
	}
	return r.Name == q.Name && r.Type == q.Type && r.Class == q.Class
}

// Truncated tells whether a message says that it is not whole.
func Truncated(m []byte) bool { return len(m) >= headerSize && flags(m)&flagTC != 0 }

// Code is the response code of a message.
func Code(m []byte) int { return int(flags(m) & 0xf) }

// forever is the largest time to live that counts (RFC 2181: the top bit
// makes it 0).
const forever = 1<<31 - 1

// Lifetime is for how many seconds an answer holds: the least of its records';
// for "no such name" and "no such data" what the zone's SOA record says (RFC
// 2308). 0 is not to be kept.
func Lifetime(m []byte) uint32 {
	if len(m) < headerSize || Truncated(m) {
		return 0
	}
	code := Code(m)
	if code != NoError && code != NameError {
		return 0
	}
	var q Question
	at, err := q.read(m)
	if err != nil {
		return 0
	}
	least, negative, soa := uint32(forever), uint32(0), false
	ttl := func(r record) uint32 {
		if r.ttl > forever {
			return 0
		}
		return r.ttl
	}
	answered := false
	at, err = walk(m, at, count(m, 1), func(r record) {
		answered = answered || r.kind == q.Type || q.Type == 255
		least = min(least, ttl(r))
	})
	if err == nil {
		at, err = walk(m, at, count(m, 2), func(r record) {
			least = min(least, ttl(r))
			if r.kind == TypeSOA && len(r.data) >= 20 {
				soa, negative = true, min(ttl(r), binary.BigEndian.Uint32(r.data[len(r.data)-4:]))
			}
		})
	}
	if err == nil {
		at, err = walk(m, at, count(m, 3), func(r record) {
			if r.kind != TypeOPT { // whose field of that name is none
				least = min(least, ttl(r))
			}
		})
	}
	switch {
	case err != nil || at != len(m):
		return 0
	case code == NoError && answered:
		return least
	case soa:
		return min(least, negative)
	}
	return 0
}

// Age takes seconds off the time to live of every record.
func Age(m []byte, seconds uint32) {
	var q Question
	at, err := q.read(m)
	if err != nil {
		return
	}
	all := count(m, 1) + count(m, 2) + count(m, 3)
	_ = records(m, at, all, func(r record) { // Lifetime has read it before
		if r.kind == TypeOPT {
			return
		}
		left := r.ttl - min(r.ttl, seconds)
		binary.BigEndian.PutUint32(m[r.ttlAt:], left)
	})
}

// Fit gives a message that is not larger than size: without its records and
// marked as cut if need be, so that the asker comes again over TCP.
func Fit(m []byte, q Question, size int) []byte {
	if len(m) <= size {
		return m
	}
	short := append([]byte{}, m[:headerSize]...)
	short = append(short, q.raw...)
	binary.BigEndian.PutUint16(short[2:], flags(m)|flagTC)
	copy(short[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	return short
}

// Restore puts the asker's own spelling of the name and number into an answer.
func Restore(m []byte, q Question, id uint16) {
	SetID(m, id)
	if len(m) >= headerSize+len(q.raw) {
		copy(m[headerSize:], q.raw)
	}
}

// Refusal answers a query that cannot be, or was not, answered. A message too
// short to have a number, and one that is an answer itself, get none.
func Refusal(query []byte, code int) []byte {
	if len(query) < headerSize || flags(query)&flagQR != 0 {
		return nil
	}
	m := append([]byte{}, query[:headerSize]...)
	f := flags(query)&(0xf<<11|flagRD|flagCD) | flagQR | flagRA | uint16(code)
	binary.BigEndian.PutUint16(m[2:], f)
	copy(m[4:], make([]byte, 8))
	var q Question
	if _, err := q.read(query); err == nil && count(query, 0) == 1 {
		m[5] = 1
		m = append(m, q.raw...)
	}
	return m
}

package service

import (
	"bytes"
	"sync"

	"silo/internal/service/wire"
)

// A service's last lines are kept for who asks how it is doing.
const (
	ringLines = 10
	ringLine  = 256 // bytes kept of a line
	maxRings  = 256 // services whose lines are kept
)

// lines passes output on and remembers the last of it.
type lines struct {
	out   func(service, stream string, data []byte)
	mu    sync.Mutex
	rings map[string]*ring

	ownMu   sync.Mutex
	pending []own
	lost    int
	busy    bool
}

// own is a line of the manager itself.
type own struct{ service, text string }

// maxOwn bounds the manager's lines that wait for the keeper: it does not wait
// itself.
const maxOwn = 256

type ring struct {
	list [ringLines]string
	next int
}

// Output takes in what a service wrote: whole lines, or parts of at most
// wire.MaxLog bytes. It may wait for the keeper.
func (m *Manager) Output(service, stream string, data []byte) {
	m.lines.remember(service, data)
	m.lines.out(service, stream, data)
}

func (l *lines) remember(service string, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rings[service]
	if r == nil {
		if len(l.rings) >= maxRings {
			return
		}
		r = &ring{}
		l.rings[service] = r
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	for skip := bytes.Count(data, []byte("\n")) + 1 - ringLines; skip > 0; skip-- { // they would be overwritten
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		r.list[r.next] = string(line[:min(len(line), ringLine)])
		r.next = (r.next + 1) % ringLines
		data = rest
	}
}

// last gives the last lines of a service.
func (l *lines) last(service string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rings[service]
	if r == nil {
		return nil
	}
	for i := range ringLines {
		if s := r.list[(r.next+i)%ringLines]; s != "" {
			out = append(out, s)
		}
	}
	return out
}

// own writes a line of the manager's without waiting.
func (l *lines) own(service, text string) {
	l.remember(service, []byte(text))
	l.ownMu.Lock()
	defer l.ownMu.Unlock()
	if len(l.pending) >= maxOwn {
		l.lost++
		return
	}
	l.pending = append(l.pending, own{service, text})
	if !l.busy {
		l.busy = true
		go l.flush()
	}
}

func (l *lines) flush() {
	for {
		l.ownMu.Lock()
		list, lost := l.pending, l.lost
		l.pending, l.lost = nil, 0
		l.busy = len(list) > 0 || lost > 0
		busy := l.busy
		l.ownMu.Unlock()
		if !busy {
			return
		}
		for _, o := range list {
			for text := []byte(o.text); len(text) > 0; {
				n := min(len(text), wire.MaxLog)
				l.out(o.service, "stderr", text[:n])
				text = text[n:]
			}
		}
		if lost > 0 {
			l.out("silo", "stderr", []byte("silo: lines of the supervisor are missing here\n"))
		}
	}
}

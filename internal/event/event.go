// Package event hands the events of the daemon to whoever listens, and keeps
// the last ones for those who come late. Nobody who publishes waits for a
// listener. What an event means, and who may see it, belongs to others.
package event

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"

	"silo/internal/filter"
)

const (
	kept    = 256  // past events that can still be asked for, as in Docker
	backlog = 1024 // events that a listener may be behind before it is dropped
)

// ActionDropped is the last event of a listener that read too slowly; its
// type is daemon.
const ActionDropped events.Action = "dropped"

// Bus is a source of events. The zero Bus is ready for use.
type Bus struct {
	mu        sync.Mutex
	past      []events.Message // oldest first
	listeners map[*listener]struct{}
}

type listener struct {
	f    filter.Args
	out  chan events.Message
	gone bool
}

// Publish delivers m to all listeners at once. A zero time is filled in with
// now, an empty scope with local.
func (b *Bus) Publish(m events.Message) {
	if m.TimeNano == 0 {
		m.TimeNano = time.Now().UnixNano()
	}
	m.Time = m.TimeNano / int64(time.Second)
	if m.Scope == "" {
		m.Scope = "local"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.past) == kept {
		b.past = append(b.past[:0], b.past[1:]...)
	}
	b.past = append(b.past, m)
	for l := range b.listeners {
		if !Matches(l.f, m) {
			continue
		}
		// One place is left free for the last word.
		if len(l.out) < cap(l.out)-1 {
			l.out <- m
			continue
		}
		l.out <- dropped(m.TimeNano)
		b.remove(l)
	}
}

func dropped(at int64) events.Message {
	return events.Message{
		Type: events.DaemonEventType, Action: ActionDropped, Scope: "local", Time: at / int64(time.Second), TimeNano: at,
		Actor: events.Actor{Attributes: map[string]string{"reason": "the listener reads too slowly: events are missing from here on"}},
	}
}

// remove ends a listener. b.mu is held.
func (b *Bus) remove(l *listener) {
	if !l.gone {
		l.gone = true
		delete(b.listeners, l)
		close(l.out)
	}
}

// Subscribe delivers what matches f: kept events from since on (none if it is
// zero), then new ones until until (zero: for ever) or the end of ctx, when
// the channel is closed. Nothing is lost between the two. A listener that
// falls too far behind gets ActionDropped and the end.
func (b *Bus) Subscribe(ctx context.Context, since, until time.Time, f filter.Args) <-chan events.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &listener{f: f, out: make(chan events.Message, kept+backlog+1)}
	if !since.IsZero() {
		for _, m := range b.past {
			if m.TimeNano >= since.UnixNano() && (until.IsZero() || m.TimeNano <= until.UnixNano()) && Matches(f, m) {
				l.out <- m
			}
		}
	}
	left := time.Until(until)
	if !until.IsZero() && left <= 0 {
		close(l.out)
		return l.out
	}
	if b.listeners == nil {
		b.listeners = map[*listener]struct{}{}
	}
	b.listeners[l] = struct{}{}
	end := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.remove(l)
	}
	if until.IsZero() {
		context.AfterFunc(ctx, end)
		return l.out
	}
	timer := time.AfterFunc(left, end)
	context.AfterFunc(ctx, func() { timer.Stop(); end() })
	return l.out
}

// Matches tells whether m passes the filters, by Docker's rules: exact for
// type, scope and event, by prefix of id or name for objects, labels among
// the attributes.
func Matches(f filter.Args, m events.Message) bool {
	if len(f) == 0 {
		return true
	}
	for _, key := range []events.Type{events.ContainerEventType, events.DaemonEventType, events.NetworkEventType, events.VolumeEventType, events.PluginEventType} {
		if k := string(key); !f.Prefix(k, m.Actor.ID) && !f.Prefix(k, m.Actor.Attributes["name"]) {
			return false
		}
	}
	return matchAction(f, string(m.Action)) &&
		f.Exact("type", string(m.Type)) &&
		f.Exact("scope", m.Scope) &&
		matchImage(f, m) &&
		f.Labels(m.Actor.Attributes)
}

// matchAction is exact, but for the actions that go on after a colon.
func matchAction(f filter.Args, action string) bool {
	for _, open := range []string{"health_status", "exec_create", "exec_start"} {
		if slices.Contains(f["event"], open) {
			return f.Prefix("event", action)
		}
	}
	return f.Exact("event", action)
}

// matchImage knows an image by id or name, with its tag or without.
func matchImage(f filter.Args, m events.Message) bool {
	name := m.Actor.Attributes["image"]
	if m.Type == events.ImageEventType {
		name = m.Actor.Attributes["name"]
	}
	return f.Exact("image", m.Actor.ID) || f.Exact("image", name) || f.Exact("image", untagged(m.Actor.ID)) || f.Exact("image", untagged(name))
}

func untagged(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

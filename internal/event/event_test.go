package event

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/events"

	"silo/internal/filter"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func msg(action string, at int64) events.Message {
	return events.Message{Type: events.ContainerEventType, Action: events.Action(action), Actor: events.Actor{ID: "abc"}, TimeNano: at}
}

func actions(c <-chan events.Message) (out []string) {
	for m := range c {
		out = append(out, string(m.Action))
	}
	return out
}

func TestPastAndLive(t *testing.T) {
	var b Bus
	for i := range int64(4) {
		b.Publish(msg(fmt.Sprint("past", i), i+1))
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := b.Subscribe(ctx, time.Unix(0, 3), time.Time{}, nil)
	live := b.Subscribe(ctx, time.Time{}, time.Time{}, nil)
	b.Publish(msg("new", 9))
	first := <-live
	if first.Scope != "local" || first.Time != 0 || first.TimeNano != 9 {
		t.Errorf("got %+v", first)
	}
	cancel()
	if d := cmp.Diff([]string{"past2", "past3", "new"}, actions(c)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string(nil), actions(live)); d != "" {
		t.Error(d)
	}
	b.Publish(msg("nobody", 10)) // listeners are gone
}

func TestUntil(t *testing.T) {
	var b Bus
	for i := range int64(4) {
		b.Publish(msg(fmt.Sprint(i+1), i+1))
	}
	c := b.Subscribe(t.Context(), time.Unix(0, 2), time.Unix(0, 3), nil)
	if d := cmp.Diff([]string{"2", "3"}, actions(c)); d != "" {
		t.Error(d)
	}
	c = b.Subscribe(t.Context(), time.Time{}, time.Now().Add(10*time.Millisecond), nil)
	if got := actions(c); got != nil { // must end by itself
		t.Error(got)
	}
}

func TestRingKeepsTheLast(t *testing.T) {
	var b Bus
	for i := range int64(1000) {
		b.Publish(msg(fmt.Sprint(i), i+1))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := b.Subscribe(ctx, time.Unix(0, 1), time.Time{}, nil)
	got := actions(c)
	if len(got) != kept || got[0] != "744" || got[kept-1] != "999" {
		t.Errorf("%d from %s", len(got), got[0])
	}
}

func TestSlowListenerIsDropped(t *testing.T) {
	var b Bus
	c := b.Subscribe(t.Context(), time.Time{}, time.Time{}, nil)
	for i := range int64(10_000) {
		b.Publish(msg(fmt.Sprint(i), i+1)) // nobody reads: must not wait
	}
	got := actions(c) // ends: the channel is closed
	if last := got[len(got)-1]; last != string(ActionDropped) || len(got) != cap(c) {
		t.Errorf("%d events, the last is %s", len(got), last)
	}
	for i, a := range got[:len(got)-1] {
		if a != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, a)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	var b Bus
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			c := b.Subscribe(ctx, time.Unix(0, 1), time.Now().Add(time.Minute), nil)
			for range 10 {
				b.Publish(msg("x", 0))
				<-c
			}
			cancel()
			for range c {
			}
		})
	}
	wg.Wait()
	if len(b.listeners) != 0 {
		t.Errorf("%d listeners left", len(b.listeners))
	}
}

func TestMatches(t *testing.T) {
	start := events.Message{Type: events.ContainerEventType, Action: "start", Scope: "local", Actor: events.Actor{
		ID: "0123456789ab", Attributes: map[string]string{"name": "web", "image": "reg:5000/core:1", "tier": "front"},
	}}
	exec := events.Message{Type: events.ContainerEventType, Action: "exec_start: sh", Actor: events.Actor{ID: "0123456789ab"}}
	pull := events.Message{Type: events.ImageEventType, Action: "pull", Actor: events.Actor{ID: "core:latest", Attributes: map[string]string{"name": "core"}}}
	tests := []struct {
		f    filter.Args
		m    events.Message
		want bool
	}{
		{nil, start, true},
		{filter.Args{"container": {"web"}}, start, true},
		{filter.Args{"container": {"0123"}}, start, true},
		{filter.Args{"container": {"db"}}, start, false},
		{filter.Args{"event": {"start"}}, start, true},
		{filter.Args{"event": {"st"}}, start, false},
		{filter.Args{"event": {"stop", "start"}}, start, true},
		{filter.Args{"event": {"exec_start"}}, exec, true},
		{filter.Args{"event": {"exec_create"}}, exec, false},
		{filter.Args{"event": {"exec_start: sh"}}, exec, true},
		{filter.Args{"type": {"container"}}, start, true},
		{filter.Args{"type": {"image"}}, start, false},
		{filter.Args{"scope": {"swarm"}}, start, false},
		{filter.Args{"image": {"reg:5000/core"}}, start, true},
		{filter.Args{"image": {"reg:5000/core:1"}}, start, true},
		{filter.Args{"image": {"reg"}}, start, false},
		{filter.Args{"image": {"core"}}, pull, true},
		{filter.Args{"image": {"core:latest"}}, pull, true},
		{filter.Args{"image": {"nano"}}, pull, false},
		{filter.Args{"label": {"tier"}}, start, true},
		{filter.Args{"label": {"tier=front"}}, start, true},
		{filter.Args{"label": {"tier=back"}}, start, false},
		{filter.Args{"volume": {"v"}}, start, false},
		{filter.Args{"type": {"container"}, "event": {"die"}}, start, false},
	}
	for _, tt := range tests {
		if got := Matches(tt.f, tt.m); got != tt.want {
			t.Errorf("%v on %s %s: %v", tt.f, tt.m.Type, tt.m.Action, got)
		}
	}
}

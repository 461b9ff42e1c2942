package engine

import (
	"context"
	"net/netip"
	"time"

	"silo/internal/errs"
	"silo/internal/network"
)

// How long a container waits for an address that is about to become free, and
// how often it looks.
const (
	addressPatience = 5 * time.Second
	addressPause    = 5 * time.Millisecond
)

// plugIn plugs a container in. Its address, or the last one, may be that of a
// standby, or of a run that has ended and is still being taken down: nobody who
// looks at the containers sees those, so they make room.
func (e *Engine) plugIn(ctx context.Context, c network.PlugConfig) (network.Endpoint, error) {
	for end := time.Now().Add(addressPatience); ; {
		ep, err := e.net.Plug(ctx, c)
		ip, mac := c.IP, c.MAC
		switch {
		case errs.Is(err, errs.Conflict):
		case errs.Is(err, errs.Unavailable): // no address is free: any will do
			ip, mac = netip.Addr{}, nil
		default:
			return ep, err
		}
		if time.Now().After(end) || !e.makeRoom(c.ID, e.net.Holders(ip, mac)) {
			return ep, err
		}
		select {
		case <-time.After(addressPause):
		case <-ctx.Done():
			return ep, err
		}
	}
}

// makeRoom takes away one standby of those who hold an address, or else hurries
// what is being taken down. It tells whether an address may become free.
func (e *Engine) makeRoom(own string, holders []string) (hope bool) {
	for _, id := range holders {
		if e.standby.drop(id) {
			return true
		}
		e.mu.Lock()
		c := e.containers[id]
		e.mu.Unlock()
		if c == nil { // a standby in the making, or one that was removed
			hope = hope || id != own
			continue
		}
		c.mu.Lock()
		ended := c.box == nil
		c.mu.Unlock()
		if ended && id != own {
			signal(c.hurry)
			hope = true
		}
	}
	return hope
}

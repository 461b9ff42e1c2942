package engine

import (
	"context"
	"time"

	"silo/internal/linux"
)

// endPatience bounds how long the end of a command that has ended is awaited.
const endPatience = 5 * time.Second

// awaitEnd waits for what the keeper tells of an exec that has ended: clients
// ask for its code the moment their stream ends, and would take one that still
// runs for one that has succeeded.
func (x *execution) awaitEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	if x.begun != nil {
		x.mu.Lock()
		ran := x.ran
		x.mu.Unlock()
		if !ran {
			return
		}
		select {
		case <-x.begun:
		case <-x.done:
			return
		case <-ctx.Done():
			return
		}
	}
	x.mu.Lock()
	pid := x.pid
	x.mu.Unlock()
	if pid == 0 || !linux.Gone(pid) {
		return
	}
	select {
	case <-x.done:
	case <-ctx.Done():
	}
}

// beginPatience bounds how long a start that is under way is awaited.
const beginPatience = 2 * time.Second

// stateBegun is state once a start that is under way is over: a client hears of
// its command from the keeper, and may ask for something to be done with it
// before silod has noted that it runs.
func (c *Container) stateBegun() stateRecord {
	c.mu.Lock()
	begun := c.begun
	c.mu.Unlock()
	if begun != nil {
		select {
		case <-begun:
		case <-time.After(beginPatience):
		}
	}
	return c.state()
}

// headPatience is how long a client may take to read the head of an answer.
const headPatience = 200 * time.Millisecond

// awaitHeadRead waits until a client has read the head of the answer to it.
// Some (docker-py, dockerode) drop what comes along with the head; no output
// is to be in their way, however fast a command is.
func awaitHeadRead(ctx context.Context, fd *linux.FD) {
	ctx, cancel := context.WithTimeout(ctx, headPatience)
	defer cancel()
	for pause := 50 * time.Microsecond; ctx.Err() == nil; pause = min(2*pause, 5*time.Millisecond) {
		if n, err := linux.Unread(fd); err != nil || n == 0 {
			return
		}
		time.Sleep(pause)
	}
}

package engine

import "context"

// abortStart ends a start that waits for services, and tells whether there was
// one.
func (e *Engine) abortStart(ctx context.Context, c *Container) (bool, error) {
	c.mu.Lock()
	waking := c.waking
	if waking {
		c.aborted, c.stopping = true, true
	}
	c.mu.Unlock()
	if !waking {
		return false, nil
	}
	if err := e.keep().End(ctx, c.record().ID); err != nil {
		return true, err
	}
	if !c.lock(ctx.Done()) { // until what it has made is undone
		return true, ctx.Err()
	}
	c.unlock()
	return true, nil
}

// isWaking tells that a start waits for services.
func (c *Container) isWaking() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waking
}

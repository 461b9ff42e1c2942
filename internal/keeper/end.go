package keeper

import "silo/internal/keeper/wire"

// agentGone handles the end of an agent's channel: in order after "end",
// otherwise the agent was killed, and the rest of the container with it.
func (c *container) agentGone(err error) error {
	k := c.keeper
	c.answersNoMore()
	k.mu.Lock()
	starting := c.starting
	k.mu.Unlock()
	if starting != nil { // whether it has run is told by then
		<-starting
	}
	k.mu.Lock()
	state := c.state
	k.mu.Unlock()
	switch state {
	case wire.Exited:
		return nil
	case wire.Parked:
		c.takeOutputs().close()
		c.killCgroup()
		k.mu.Lock()
		delete(k.containers, c.id)
		k.mu.Unlock()
		c.ch.Close()
		k.tell("gone", wire.Target{ID: c.id})
		return err
	}
	c.killCgroup()
	c.finish("the container's agent was killed")
	return err
}

// finish tells the container's end, once, after all its output.
func (c *container) finish(reason string) {
	k := c.keeper
	k.mu.Lock()
	if c.state != wire.Running {
		k.mu.Unlock()
		return
	}
	main, execs := c.main, make([]*process, 0, len(c.execs))
	for _, p := range c.execs {
		execs = append(execs, p)
	}
	k.mu.Unlock()
	main.drain(mainDrain)
	main.closeLog()
	for _, p := range execs {
		p.drain(execDrain)
	}
	exit := c.makeExit(reason)
	k.mu.Lock()
	c.state, c.exit, c.held = wire.Exited, &exit, main.takeHeld()
	exit.Held = len(c.held) > 0
	clear(c.execs)
	k.mu.Unlock()
	k.tell("exit", exit)
	for _, p := range execs {
		p.sendEnd(killedCode)
		p.close()
	}
	main.close()
}

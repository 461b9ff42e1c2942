package keeper

// killedCode is the exit code of what SIGKILL has ended.
const killedCode = 128 + 9

// release tells the exit code to the clients who wait for it.
func (k *Keeper) release(id string) {
	k.mu.Lock()
	var held []*client
	code := 0
	if c := k.containers[id]; c != nil && c.exit != nil {
		held, code = c.held, c.exit.Code
		c.held = nil
	}
	k.mu.Unlock()
	for _, cl := range held {
		cl.sendEnd(code)
		cl.hangUp()
	}
}

package agent

import "testing"

// Neither one user's connections nor requests that wait keep out the others.
func TestClients(t *testing.T) {
	c := newClients()
	for range maxClientsEach {
		if !c.enter(1000) {
			t.Fatal("too few of one user")
		}
	}
	if c.enter(1000) || !c.enter(1001) || !c.enter(0) {
		t.Error("one too many of a user, or another is kept out")
	}
	c.leave(1000)
	if !c.enter(1000) {
		t.Error("one has left and none may follow")
	}
	c.leave(1001)
	if len(c.of) != 2 {
		t.Errorf("counts are kept of %d users, want 2", len(c.of))
	}

	hold, begun := make(chan struct{}), make(chan struct{})
	for range maxWaiting {
		c.slots <- struct{}{} // blocks if a waiting one kept its slot
		go c.wait(func() { begun <- struct{}{}; <-hold })
		<-begun
	}
	c.slots <- struct{}{}
	if c.wait(func() {}) {
		t.Error("one too many waits")
	}
	close(hold)
	<-c.slots
	for range maxWaiting { // each takes its slot again
		<-c.slots
	}
}

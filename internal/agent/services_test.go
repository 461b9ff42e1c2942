package agent

import "testing"

// Requests that wait keep out no others.
func TestClients(t *testing.T) {
	c := newClients()
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

package keeper

import (
	"strings"
	"testing"
	"time"

	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/linux"
)

// Who asks an agent waits for its answer, for its end, or as long as it wants.
func TestAsk(t *testing.T) {
	ours, theirs, err := linux.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	sock, err := linux.NewSocket(ours, "channel")
	if err != nil {
		t.Fatal(err)
	}
	c := &container{keeper: &Keeper{}, ch: ipc.New(sock), waiting: map[uint64]chan answer{}, gone: make(chan struct{})}
	defer c.ch.Close()
	defer linux.CloseAll([]int{theirs})
	if _, err := c.ask("exec", nil, nil, 20*time.Millisecond, func() {}); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("an agent that is silent: %v", err)
	}
	reply := func() {
		c.keeper.mu.Lock()
		defer c.keeper.mu.Unlock()
		for _, to := range c.waiting {
			to <- answer{}
		}
	}
	// Its last answer counts though nothing follows it.
	if _, err := c.ask("exec", nil, nil, 0, func() { reply(); c.answersNoMore() }); err != nil {
		t.Errorf("an agent that answered and ended: %v", err)
	}
	if _, err := c.ask("exec", nil, nil, 0, func() {}); !errs.Is(err, errs.Conflict) {
		t.Errorf("an agent that has ended: %v", err)
	}
	if len(c.waiting) != 0 {
		t.Errorf("%d are left waiting", len(c.waiting))
	}
}

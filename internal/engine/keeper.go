package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/internal/keeper"
	"silo/internal/keeper/remote"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	"silo/internal/record"
	"silo/internal/version"
)

// connectKeeper finds the keeper of this exec root or starts one, and makes
// it execute this build's program if it is of another.
func (e *Engine) connectKeeper(ctx context.Context) error {
	socket := filepath.Join(e.o.Run, wire.SocketName)
	k, h, err := e.greetKeeper(ctx, socket)
	if err != nil {
		return err
	}
	if err := e.ownKeeper(h); err != nil {
		k.Close()
		return err
	}
	if h.Build != version.Build() || h.Version != wire.Version {
		if k, err = e.upgradeKeeper(ctx, k, socket); err != nil {
			return err
		}
	}
	e.mu.Lock()
	e.keeper = k
	e.mu.Unlock()
	go e.listen(k)
	return nil
}

// ownKeeper refuses a keeper with containers of another data root, which would
// be taken for nobody's and ended, and notes that the exec root is ours.
func (e *Engine) ownKeeper(h wire.Hello) error {
	path := filepath.Join(e.o.Run, "data-root")
	owner, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && len(h.Containers) > 0 && !sameFolder(string(owner), e.o.Data) {
		return fmt.Errorf("exec root %s has running containers of data root %s: end them with a silod of that one, or give --exec-root", e.o.Run, owner)
	}
	return record.WriteFile(path, []byte(e.o.Data), 0o600, record.Volatile)
}

func sameFolder(a, b string) bool {
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return a == b || err1 == nil && err2 == nil && os.SameFile(first, second)
}

// greetKeeper connects to a keeper that answers. One that has just been
// killed may still take a connection, and then resets it.
func (e *Engine) greetKeeper(ctx context.Context, socket string) (k *remote.Keeper, h wire.Hello, err error) {
	for range 100 {
		if k, err = remote.Dial(socket); err != nil {
			if k, err = e.startKeeper(ctx, socket); err != nil {
				return nil, h, err
			}
		}
		if h, err = k.Hello(ctx); err == nil {
			return k, h, nil
		}
		k.Close()
		time.Sleep(10 * time.Millisecond)
	}
	return nil, h, err
}

// startKeeper runs silo-keeper in a session of its own, away from silod's
// terminal and descriptors.
func (e *Engine) startKeeper(ctx context.Context, socket string) (*remote.Keeper, error) {
	cmd := exec.Command(filepath.Join(e.o.BinDir, "silo-keeper"), "--socket", socket, "--agent", filepath.Join(e.o.BinDir, "silo-agent"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = "/"
	log, err := os.OpenFile(filepath.Join(e.o.Run, "keeper.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start silo-keeper: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for range 500 {
		if k, err := remote.Dial(socket); err == nil {
			return k, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("start silo-keeper: it ended at once: %v: see %s", err, log.Name())
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("start silo-keeper: it does not answer on %s: see %s", socket, log.Name())
}

// upgradeTime bounds the wait for a keeper's own requests and streams to come to
// rest; its bounds for streams add up to less.
const upgradeTime = 20 * time.Second

// upgradeKeeper makes a keeper execute this build's program in place: its
// containers, terminals and logs go on.
func (e *Engine) upgradeKeeper(ctx context.Context, k *remote.Keeper, socket string) (*remote.Keeper, error) {
	program, err := linux.Open(filepath.Join(e.o.BinDir, "silo-keeper"), linux.ORdonly, 0)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	agent, err := keeper.AgentFD(filepath.Join(e.o.BinDir, "silo-agent"))
	if err != nil {
		return nil, err
	}
	defer agent.Close()
	limited, cancel := context.WithTimeout(ctx, upgradeTime)
	defer cancel()
	if err := k.Upgrade(limited, program, agent); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("it did not come to rest in %s: a request of its own hangs: start silod again, or end the container that does not answer", upgradeTime)
		}
		return nil, fmt.Errorf("upgrade silo-keeper: %w", err)
	}
	for range 500 {
		next, err := remote.Dial(socket)
		if err == nil {
			if h, err := next.Hello(ctx); err == nil { // the request before has ended with the old program
				if h.Version != wire.Version {
					next.Close()
					return nil, fmt.Errorf("upgrade silo-keeper: the one in %s is of build %s and speaks version %d, silod %d: install both of one build", e.o.BinDir, h.Build, h.Version, wire.Version)
				}
				e.log.Info("silo-keeper upgraded in place", "build", h.Build, "containers", len(h.Containers))
				return next, nil
			}
			next.Close()
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil, errors.New("upgrade silo-keeper: the new program does not answer")
}

// listen takes in the keeper's events until it is gone.
func (e *Engine) listen(k *remote.Keeper) {
	for ev := range k.Events() {
		switch ev.Op {
		case "exit":
			e.exitSeen(ev.Exit)
		case "execexit":
			e.execSeen(ev.Exit)
		case "servicefailed":
			e.background(func() { e.serviceFailed(ev.Exit.ID, ev.Failed) })
		case "gone":
			e.background(func() { e.standby.drop(ev.Exit.ID) })
		case "detach":
			if x, err := e.findExec(ev.Exit.Exec); err == nil {
				e.emit(x.c, events.ActionExecDetach, map[string]string{"execID": x.id})
			} else if c, err := e.find(ev.Exit.ID); err == nil {
				e.emit(c, events.ActionDetach, nil)
			}
		}
	}
	e.mu.Lock()
	closing := e.closing
	e.mu.Unlock()
	if !closing && e.ctx.Err() == nil {
		e.background(e.keeperLost)
	}
}

// keeperLost starts another keeper in place of one that has ended. Its
// containers have ended with it: their agents end when their channel does.
func (e *Engine) keeperLost() {
	e.log.Error("silo-keeper has ended: its containers end with it")
	ctx, cancel := context.WithTimeout(e.ctx, 30*time.Second)
	defer cancel()
	if err := e.connectKeeper(ctx); err != nil {
		e.log.Error("start another silo-keeper: silod cannot run containers", "err", err)
		return
	}
	if err := e.keepResolver(ctx); err != nil {
		e.log.Warn("keep the name server's sockets", "err", err)
	}
	for _, c := range e.all() {
		st := c.state()
		if st.State == container.StateRunning || st.State == container.StatePaused {
			x := wire.Exit{Target: wire.Target{ID: c.record().ID}, Code: 137, Signal: 9, At: time.Now(), Reason: "silo-keeper was killed"}
			e.background(func() { e.ended(c, x) })
		} else {
			c.mu.Lock()
			b := c.box
			c.box = nil
			c.mu.Unlock()
			if b != nil { // parked for a container that was not started
				e.background(func() { e.destroySandbox(b, false) })
			}
		}
	}
	e.standby.dropAll()
}

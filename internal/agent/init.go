package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"silo/internal/agent/wire"
	"silo/internal/linux"
)

// initName is the name under which the agent's program is process 1 of a PID
// namespace (--init): it starts the command, passes signals on, and reaps.
const initName = "silo-init"

// initFD is where it finds what to run.
const initFD = 3

// initOrder is what the agent has already looked up for the init.
type initOrder struct {
	Command  wire.Command
	Program  string
	Env      []string
	UID, GID uint32
	Groups   []uint32
}

func initSpec(c wire.Command, u user, program string, env []string) (*linux.FD, error) {
	data, err := json.Marshal(initOrder{c, program, env, u.uid, u.gid, u.groups})
	if err != nil {
		return nil, err
	}
	fd, err := linux.Memfd("init order", data)
	if err != nil {
		return nil, fmt.Errorf("hand the command to init: %w", err)
	}
	return fd, nil
}

func initMain() int {
	code, err := runInit()
	if err == nil {
		return code
	}
	fmt.Fprintln(os.Stderr, initName+":", err)
	var s *linux.StepError
	if errors.As(err, &s) && s.Err == syscall.ENOENT {
		return 127
	}
	return 126
}

func runInit() (int, error) {
	f := os.NewFile(initFD, "init order")
	data, err := io.ReadAll(io.LimitReader(f, 16<<20))
	f.Close()
	if err != nil {
		return 0, err
	}
	var o initOrder
	if err := json.Unmarshal(data, &o); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	steps := commandSteps(o.Command, user{uid: o.UID, gid: o.GID, groups: o.Groups}, nil)
	if o.Command.TTY { // a process group of its own in front of the terminal
		steps = append(linux.StepsForeground(), steps...)
	}
	fork := linux.Fork{Steps: append(steps, linux.StepExec(o.Program, o.Command.Args, o.Env))}
	main, err := fork.Start()
	if err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if n, ok := s.(syscall.Signal); ok && n != syscall.SIGCHLD && n != syscall.SIGURG {
				_ = linux.Kill(main, n)
			}
		}
	}()
	for {
		pid, ws, ok := linux.WaitAny(false)
		if !ok {
			return 0, errors.New("no child is left, the command among them")
		}
		if pid == main {
			code, _ := linux.ExitCode(ws)
			return code, nil
		}
	}
}

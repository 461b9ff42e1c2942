package keeper

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"silo/internal/linux"
	"silo/internal/version"
)

// gcPercent keeps the heap close to what is in use: the keeper lives long and
// allocates little.
const gcPercent = 100

// Main runs silo-keeper and returns its exit code.
func Main(args []string) int {
	debug.SetGCPercent(gcPercent)
	linux.HalfProcessors()
	linux.SetLateTimers()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("program", "silo-keeper")
	k, err := open(args, log)
	if err == nil {
		err = k.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "silo-keeper:", err)
		return 1
	}
	return 0
}

func open(args []string, log *slog.Logger) (*Keeper, error) {
	if len(args) == 1 && strings.HasPrefix(args[0], RestoreFlag) {
		return Restore(args[0], version.Build(), log)
	}
	flags := flag.NewFlagSet("silo-keeper", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	socket := flags.String("socket", "", "path of the socket for silod")
	agentPath := flags.String("agent", "", "path of the silo-agent program")
	if err := flags.Parse(args); err != nil || *socket == "" || *agentPath == "" {
		return nil, fmt.Errorf("it is started by silod, as: silo-keeper --socket PATH --agent PATH")
	}
	exe, err := AgentFD(*agentPath)
	if err != nil {
		return nil, err
	}
	listener, err := linux.ListenUnix(*socket, 0o600)
	if err != nil {
		return nil, err
	}
	return New(Options{Build: version.Build(), Listener: listener, Agent: exe, Log: log})
}

// AgentFD copies the agent's program into a sealed memfd: nothing can change
// it, least of all a container through /proc/self/exe.
func AgentFD(path string) (*linux.FD, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load agent: %w", err)
	}
	fd, err := linux.Memfd("silo-agent", data)
	if err != nil {
		return nil, fmt.Errorf("load agent: %w", err)
	}
	return fd, nil
}

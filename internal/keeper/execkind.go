package keeper

import (
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/keeper/wire"
)

// checkExec refuses an exec that does not say what to run.
func checkExec(r wire.Exec, fds *ipc.FDs) error {
	if r.Command.ID == "" {
		return errs.Invalidf("keeper: exec without an id")
	}
	programs := 0
	switch r.Op {
	case "", "inside":
	case "program":
		programs = 1
	default:
		return errs.New(errs.NotSupported, "keeper: unknown kind of exec %q", r.Op)
	}
	if len(fds.List) != programs {
		return errs.Invalidf("keeper: exec of kind %q came with %d programs, want %d", r.Op, len(fds.List), programs)
	}
	return nil
}

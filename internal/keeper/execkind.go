package keeper

import (
	"silo/internal/errs"
	"silo/internal/ipc"
)

// checkExec refuses an exec that does not say what to run.
func checkExec(op, id string, fds *ipc.FDs) error {
	if id == "" {
		return errs.Invalidf("keeper: exec without an id")
	}
	programs := 0
	switch op {
	case "", "inside":
	case "program":
		programs = 1
	default:
		return errs.New(errs.NotSupported, "keeper: unknown kind of exec %q", op)
	}
	if len(fds.List) != programs {
		return errs.Invalidf("keeper: exec of kind %q came with %d programs, want %d", op, len(fds.List), programs)
	}
	return nil
}

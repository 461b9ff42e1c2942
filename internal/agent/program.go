package agent

import (
	"silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/linux"
)

// further executes a command beside the container's own: exec looks its
// program up in the image, program is handed it, inside is the reader of
// facts, which is this program under another name. The last two need nothing
// of the image.
func (a *agent) further(op string, c wire.Command, fds *ipc.FDs) (any, *linux.FD, error) {
	if op == "exec" {
		return a.exec(c, nil, fds)
	}
	if len(c.Args) == 0 {
		return nil, nil, errs.Invalidf("no command specified")
	}
	if op == "inside" {
		return a.exec(c, a.self, fds)
	}
	program, err := fds.Next("the program")
	if err != nil {
		return nil, nil, err
	}
	defer program.Close()
	return a.exec(c, program, fds)
}

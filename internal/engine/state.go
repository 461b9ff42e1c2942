package engine

import (
	"fmt"
	"slices"

	"github.com/moby/moby/api/types/container"

	"silo/internal/errs"
)

// transitions is the life of a container as Docker's API names its states.
// docs/reference/states.md is drawn from it.
//
// removing is left only by the record itself. broken is what a container with
// a damaged record is shown as ("dead" in the API): it can only be removed.
var transitions = map[container.ContainerState][]container.ContainerState{
	container.StateCreated:    {container.StateRunning, container.StateRemoving},
	container.StateRunning:    {container.StatePaused, container.StateExited, container.StateRestarting},
	container.StatePaused:     {container.StateRunning, container.StateExited},
	container.StateRestarting: {container.StateRunning, container.StateExited, container.StateRemoving},
	container.StateExited:     {container.StateRunning, container.StateRestarting, container.StateRemoving, container.StateExited},
	container.StateDead:       {container.StateRemoving},
	container.StateRemoving:   {},
}

// stateWords says what each state means, for the drawing.
var stateWords = map[container.ContainerState]string{
	container.StateCreated:    "made, never started",
	container.StateRunning:    "its command runs",
	container.StatePaused:     "its processes are frozen",
	container.StateRestarting: "ended, and its restart policy waits to start it",
	container.StateExited:     "its command has ended",
	container.StateDead:       "its record is damaged",
	container.StateRemoving:   "being taken away",
}

// transition is the one place where a container's state changes. The caller
// holds c.mu.
func (c *Container) transition(to container.ContainerState) error {
	from := c.st.State
	if !slices.Contains(transitions[from], to) {
		return errs.Conflictf("container %s is %s: it cannot become %s", c.rec.Name, from, to)
	}
	c.st.State = to
	return nil
}

// StateDrawing draws the table of transitions as a Mermaid diagram.
func StateDrawing() string {
	order := []container.ContainerState{
		container.StateCreated, container.StateRunning, container.StatePaused,
		container.StateRestarting, container.StateExited, container.StateDead, container.StateRemoving,
	}
	out := "stateDiagram-v2\n    [*] --> created\n"
	for _, from := range order {
		for _, to := range transitions[from] {
			out += fmt.Sprintf("    %s --> %s\n", from, to)
		}
	}
	out += "    removing --> [*]\n"
	for _, s := range order {
		out += fmt.Sprintf("    %s: %s (%s)\n", s, s, stateWords[s])
	}
	return out
}

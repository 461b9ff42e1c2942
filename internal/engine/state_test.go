package engine

import (
	"os"
	"slices"
	"testing"

	"github.com/moby/moby/api/types/container"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const statesFile = "../../docs/reference/states.md"

func statesDocument() string {
	return "# States of a container\n\nGenerated from the table in internal/engine/state.go by `make gen`.\n\n```mermaid\n" + StateDrawing() + "```\n"
}

func TestStateDrawingIsCurrent(t *testing.T) {
	want := statesDocument()
	if os.Getenv("SILO_GEN") == "1" {
		if err := os.WriteFile(statesFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(statesFile)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the table says (%v): run make gen", statesFile, err)
	}
}

func TestTransitions(t *testing.T) {
	for from, list := range transitions {
		for to := range transitions {
			c := &Container{rec: &configRecord{Name: "c"}, st: stateRecord{State: from}}
			err := c.transition(to)
			if allowed := slices.Contains(list, to); allowed != (err == nil) {
				t.Errorf("%s → %s: allowed %v, error %v", from, to, allowed, err)
			}
			if err != nil && c.st.State != from {
				t.Errorf("a refused transition changed %s to %s", from, c.st.State)
			}
		}
	}
	if len(transitions[container.StateRemoving]) != 0 {
		t.Error("removing is final")
	}
}

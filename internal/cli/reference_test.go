package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestReferenceIsUpToDate(t *testing.T) {
	const path = "../../docs/reference/cli.md"
	if *update {
		if err := os.MkdirAll("../../docs/reference", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, Reference(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), string(Reference())); d != "" {
		t.Errorf("%s is out of date: go run ./internal/cli/gen\n%s", path, d)
	}
}

// TestEveryCommandHasAnExample keeps the help texts useful, and their lines
// short enough for a terminal of 100 columns.
func TestEveryCommandHasAnExample(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no description", c.CommandPath())
		}
		if !c.HasSubCommands() && c.Example == "" && !c.Hidden {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for l := range strings.SplitSeq(c.Long+"\n"+c.Example, "\n") {
			if len(l) > 100 {
				t.Errorf("%s: a long line: %s", c.CommandPath(), l)
			}
		}
		for _, s := range c.Commands() {
			visit(s)
		}
	}
	visit(Tree())
}

// TestFastPathIsTheSameTree runs commands that are built alone: flags and
// errors must be those of the whole tree.
func TestFastPathIsTheSameTree(t *testing.T) {
	a := &app{out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	for _, e := range table() {
		alone, whole := a.tree(e.name), a.tree("")
		var one, two strings.Builder
		for w, root := range map[*strings.Builder]*cobra.Command{&one: alone, &two: whole} {
			c, _, err := root.Find([]string{e.name})
			if err != nil {
				t.Fatal(err)
			}
			Describe(w, c, 0)
		}
		if d := cmp.Diff(two.String(), one.String()); d != "" {
			t.Errorf("%s: %s", e.name, d)
		}
	}
}

func TestCommandName(t *testing.T) {
	for in, want := range map[string]string{
		"ps": "ps", "-H x ps -a": "ps", "--host x run": "run", "--host=x run": "run", "-Hx run": "run", "--help": "", "": "", "help run": "help",
	} {
		if got := commandName(strings.Fields(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// help prints the help text of a command.
func help(c *cobra.Command, _ []string) {
	Describe(c.OutOrStdout(), c, width(c.OutOrStdout()))
}

// helpCommand is `silo help COMMAND`.
func helpCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "help [COMMAND]", Short: "Show the help of a command", Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if at, rest, err := c.Root().Find(args); err == nil && len(rest) == 0 {
				for _, sub := range at.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, sub.Name())
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		about, rest, err := c.Root().Find(args)
		switch {
		case err != nil || len(rest) > 0 && about == c.Root():
			return a.noCommand(c.Root(), args)
		case len(rest) > 0 && about.HasSubCommands():
			return seeHelp(about, fmt.Errorf("unknown command %q", strings.Join(args, " ")))
		}
		help(about, nil)
		return nil
	}
	return c
}

// Describe writes the help text of a command, wrapped at a width; 0 does not
// wrap.
func Describe(w io.Writer, c *cobra.Command, width int) {
	fmt.Fprintf(w, "Usage:  %s\n\n%s\n", useLine(c), c.Short)
	if c.Long != "" {
		fmt.Fprintf(w, "\n%s\n", c.Long)
	}
	if len(c.Aliases) > 0 {
		fmt.Fprintf(w, "\nAliases:\n  %s\n", strings.Join(append([]string{c.Name()}, c.Aliases...), ", "))
	}
	if c.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", indent(c.Example))
	}
	describeCommands(w, c)
	if f := c.LocalFlags(); f.HasAvailableFlags() {
		fmt.Fprintf(w, "\nOptions:\n%s", flagUsages(f, width))
	}
	if f := c.InheritedFlags(); f.HasAvailableFlags() {
		fmt.Fprintf(w, "\nGlobal options:\n%s", flagUsages(f, width))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nRun '%s COMMAND --help' for more about a command.\n", c.CommandPath())
	}
}

func flagUsages(f *pflag.FlagSet, width int) string {
	return f.FlagUsagesWrapped(width)
}

func describeCommands(w io.Writer, c *cobra.Command) {
	heading := ""
	for _, sub := range orderedCommands(c) {
		if !sub.IsAvailableCommand() || sub.Name() == "help" {
			continue
		}
		g := sub.Annotations["group"]
		if g == "" || c.HasParent() {
			g = "Commands"
		}
		if g != heading {
			fmt.Fprintf(w, "\n%s:\n", g)
			heading = g
		}
		fmt.Fprintf(w, "  %-11s %s\n", sub.Name(), sub.Short)
	}
}

// orderedCommands gives the commands of the root in the order of the table,
// any others sorted.
func orderedCommands(c *cobra.Command) []*cobra.Command {
	subs := c.Commands()
	if c.HasParent() {
		return subs
	}
	byName := map[string]*cobra.Command{}
	for _, s := range subs {
		byName[s.Name()] = s
	}
	var out []*cobra.Command
	for _, e := range table() {
		if s := byName[e.name]; s != nil {
			out = append(out, s)
		}
	}
	return out
}

// useLine is how to call a command, in full.
func useLine(c *cobra.Command) string {
	if c.HasParent() {
		return c.Parent().CommandPath() + " " + c.Use
	}
	return c.Use
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ")
}

// seeHelp adds the way out to an error about how a command was called.
func seeHelp(c *cobra.Command, err error) error {
	return fmt.Errorf("%w\nSee '%s --help'.", err, c.CommandPath())
}

// width gives the columns of the terminal that w is, 0 if it is none.
func width(w io.Writer) int {
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

// minArgs, exactArgs and maxArgs check the number of arguments.
func minArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return seeHelp(c, fmt.Errorf("'%s' takes at least %s", c.CommandPath(), arguments(n)))
		}
		return nil
	}
}

func exactArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return seeHelp(c, fmt.Errorf("'%s' takes %s", c.CommandPath(), arguments(n)))
		}
		return nil
	}
}

func maxArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n && n == 0 {
			return seeHelp(c, fmt.Errorf("'%s' takes no arguments", c.CommandPath()))
		}
		if len(args) > n {
			return seeHelp(c, fmt.Errorf("'%s' takes at most %s", c.CommandPath(), arguments(n)))
		}
		return nil
	}
}

func arguments(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

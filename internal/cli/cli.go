// Package cli is Silo's command line: flags, terminals, tables and exit codes.
// It talks to silod only through package client and keeps nothing.
//
// Each command is one file, cmd_NAME.go; the table below lists them. Only the
// command that was asked for is built, because start-up is most of the time
// that a short command takes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/internal/cli/early"
)

// build makes one command.
type build func(*app) *cobra.Command

// entry is one line of the table of commands.
type entry struct {
	name  string
	group string // heading in the help text
	build build
	// under names the management groups that hold the command too, as
	// "container" or "container ls" if it has another name there.
	under []string
}

const (
	groupRun    = "Run containers"
	groupLook   = "Look at containers"
	groupLife   = "Change containers"
	groupImages = "Images"
	groupParts  = "Networks, volumes, disks, sessions and services"
	groupSystem = "The engine"
)

// table lists the commands in the order of the help text.
func table() []entry {
	return []entry{
		{"run", groupRun, cmdRun, []string{"container"}},
		{"create", groupRun, cmdCreate, []string{"container"}},
		{"start", groupRun, cmdStart, []string{"container"}},
		{"exec", groupRun, cmdExec, []string{"container"}},
		{"attach", groupRun, cmdAttach, []string{"container"}},
		{"tools", groupRun, cmdTools, nil},

		{"ps", groupLook, cmdPs, []string{"container ls"}},
		{"logs", groupLook, cmdLogs, []string{"container"}},
		{"inspect", groupLook, cmdInspect, nil},
		{"top", groupLook, cmdTop, []string{"container"}},
		{"stats", groupLook, cmdStats, []string{"container"}},
		{"monitor", groupLook, cmdMonitor, nil},
		{"properties", groupLook, cmdProperties, nil},
		{"port", groupLook, cmdPort, []string{"container"}},
		{"wait", groupLook, cmdWait, []string{"container"}},
		{"events", groupLook, cmdEvents, []string{"system"}},

		{"stop", groupLife, cmdStop, []string{"container"}},
		{"restart", groupLife, cmdRestart, []string{"container"}},
		{"kill", groupLife, cmdKill, []string{"container"}},
		{"pause", groupLife, cmdPause, []string{"container"}},
		{"unpause", groupLife, cmdUnpause, []string{"container"}},
		{"update", groupLife, cmdUpdate, []string{"container"}},
		{"rename", groupLife, cmdRename, []string{"container"}},
		{"rm", groupLife, cmdRm, []string{"container"}},

		{"images", groupImages, cmdImages, []string{"image ls"}},
		{"pull", groupImages, cmdPull, []string{"image"}},
		{"push", groupImages, cmdPush, []string{"image"}},
		{"import", groupImages, cmdImport, []string{"image"}},
		{"load", groupImages, cmdLoad, []string{"image"}},
		{"save", groupImages, cmdSave, []string{"image"}},
		{"tag", groupImages, cmdTag, []string{"image"}},
		{"rmi", groupImages, cmdRmi, []string{"image rm"}},
		{"history", groupImages, cmdHistory, []string{"image"}},

		{"network", groupParts, cmdNetwork, nil},
		{"volume", groupParts, cmdVolume, nil},
		{"disk", groupParts, cmdDisk, nil},
		{"session", groupParts, cmdSession, nil},
		{"service", groupParts, cmdService, nil},
		{"container", groupParts, cmdContainer, nil},
		{"image", groupParts, cmdImage, nil},

		{"info", groupSystem, cmdInfo, []string{"system"}},
		{"version", groupSystem, cmdVersion, nil},
		{"doctor", groupSystem, cmdDoctor, nil},
		{"tour", groupSystem, cmdTour, nil},
		{"system", groupSystem, cmdSystem, nil},
		{"completion", groupSystem, cmdCompletion, nil},
	}
}

// app is one run of the command line.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	host string // -H
	c    *client.Client
	term *terminal
}

// Main runs the command line of this process and gives its exit code.
func Main(args []string) int {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	return a.run(context.Background(), args)
}

// run runs one command line.
func (a *app) run(ctx context.Context, args []string) (code int) {
	a.term = newTerminal(a)
	defer a.term.restore()
	err := a.execute(ctx, args)
	if a.c != nil {
		a.c.Close()
	}
	a.term.restore()
	return a.report(err)
}

// execute finds the command and runs it. A command that has no others below it
// is run here, in cobra's order, without what cobra does first to find it: help
// and completion commands, and a search for flags among the arguments.
func (a *app) execute(ctx context.Context, args []string) error {
	if rest := early.Unwritten(); len(rest) > 0 {
		_, err := a.out.Write(rest)
		return err
	}
	name := commandName(args)
	root := a.tree(name)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	if subs := root.Commands(); len(subs) == 1 && len(args) > 0 && args[0] == name && !subs[0].HasSubCommands() {
		return runCommand(ctx, subs[0], args[1:])
	}
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// runCommand runs one command with the arguments after its name.
func runCommand(ctx context.Context, c *cobra.Command, args []string) error {
	c.SetContext(ctx)
	if err := c.ParseFlags(args); err != nil {
		return c.FlagErrorFunc()(c, err)
	}
	if wanted, _ := c.Flags().GetBool("help"); wanted {
		help(c, nil)
		return nil
	}
	args = c.Flags().Args()
	if err := c.ValidateArgs(args); err != nil {
		return err
	}
	return c.RunE(c, args)
}

// exitError is an error that decides the exit code. An empty message prints
// nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit makes an error that ends with a code and prints err, if there is one.
func exit(code int, err error) error { return &exitError{code: code, err: err} }

// usagef is an error about how the command was called.
func usagef(format string, args ...any) error { return fmt.Errorf(format, args...) }

// report prints err and gives the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	code := 1
	if e, ok := errors.AsType[*exitError](err); ok {
		code = e.code
		if e.err == nil {
			return code
		}
	}
	if quiet(err) {
		return 128 + int(syscall.SIGPIPE)
	}
	fmt.Fprintf(a.err, "silo: %s\n", strings.TrimRight(err.Error(), "\n"))
	return code
}

// quiet tells whether err is only that nobody reads the output any more.
func quiet(err error) bool {
	_, path := errors.AsType[*os.PathError](err)
	return path && errors.Is(err, syscall.EPIPE)
}

// client gives the connection to the daemon.
func (a *app) client() (*client.Client, error) {
	if a.c != nil {
		return a.c, nil
	}
	host, explicit := a.host, true
	if host == "" {
		host = a.getenv("SILO_HOST")
	}
	if host == "" {
		host, explicit = client.DefaultHost, false
	}
	c, err := client.New(host)
	if err != nil {
		return nil, err
	}
	if !explicit {
		c.OnUnreachable = a.startDaemon
	}
	if fd, read, ok := early.Sent(); ok {
		c.Resume(fd, read)
	}
	a.c = c
	return c, nil
}

// commandName gives the first word of args that is not a global flag.
func commandName(args []string) string {
	for i := 0; i < len(args); i++ {
		switch s := args[i]; {
		case s == "-H" || s == "--host":
			i++
		case strings.HasPrefix(s, "-"):
		default:
			return s
		}
	}
	return ""
}

// tree makes the root command with the named command, or with all of them if
// there is none of that name.
func (a *app) tree(name string) *cobra.Command {
	root := &cobra.Command{
		Use:           "silo [OPTIONS] COMMAND [ARG...]",
		Short:         "Run containers that the host can see through",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		Args:          cobra.ArbitraryArgs,
		RunE:          a.noCommand,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetVersionTemplate("silo version {{.Version}}\n")
	root.SetHelpFunc(help)
	root.SetUsageFunc(func(c *cobra.Command) error { help(c, nil); return nil })
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return exit(125, seeHelp(c, err))
	})
	root.PersistentFlags().StringVarP(&a.host, "host", "H", "", "Daemon to talk to (default $SILO_HOST or "+client.DefaultHost+")")
	root.PersistentFlags().BoolP("help", "h", false, "Show this help")
	root.Flags().BoolP("version", "v", false, "Print the version and exit")
	entries := table()
	for _, e := range entries {
		if e.name == name {
			entries = []entry{e}
			break
		}
	}
	for _, e := range entries {
		c := e.build(a)
		c.Annotations = map[string]string{"group": e.group}
		root.AddCommand(c)
	}
	if name == "" || len(entries) > 1 {
		root.SetHelpCommand(helpCommand(a))
	} else {
		root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true})
	}
	return root
}

// noCommand answers a command line without a command that exists.
func (a *app) noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		help(c, nil)
		return nil
	}
	msg := fmt.Sprintf("unknown command %q", args[0])
	if s := c.SuggestionsFor(args[0]); len(s) > 0 {
		msg += ": did you mean " + strings.Join(s, " or ") + "?"
	}
	return errors.New(msg + "\nSee 'silo --help'.")
}

// group makes a management command that holds others.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name + " COMMAND", Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			help(c, nil)
			return nil
		}
		return seeHelp(c, fmt.Errorf("unknown command %q", name+" "+args[0]))
	}
	c.AddCommand(commands...)
	return c
}

// members builds the commands of the table that belong under a group.
func (a *app) members(group string) []*cobra.Command {
	var out []*cobra.Command
	for _, e := range table() {
		for _, u := range e.under {
			where, other, _ := strings.Cut(u, " ")
			if where != group {
				continue
			}
			c := e.build(a)
			if other != "" {
				_, rest, _ := strings.Cut(c.Use, " ")
				c.Use = strings.TrimSpace(other + " " + rest)
				c.Aliases = append(c.Aliases, e.name)
			}
			out = append(out, c)
		}
	}
	return out
}

// Tree gives the whole command tree, for the generator of the reference.
func Tree() *cobra.Command {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	return a.tree("")
}

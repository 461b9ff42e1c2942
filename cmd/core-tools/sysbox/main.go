// Command sysbox is one static program with the commands that look at a system
// from inside: what it is, who runs in it, what it serves, how it is reached.
// The image core has links to it by the commands' names; as it needs nothing
// of an image, Silo runs it in containers of other images too:
//
//	systeminfo          by a link of that name
//	sysbox systeminfo   by its own
//
// Commands that list things share the options of package table.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // the image has no other
	"unsafe"

	"coretools.silo/passwd"
	"coretools.silo/procfs"
	_ "coretools.silo/signals" // Ctrl-\ ends a command, and prints nothing
	"coretools.silo/table"
)

// command is one of the commands.
type command struct {
	name   string
	usage  string // what follows the name
	brief  string
	tables bool // takes the options of package table
	run    func(*call, []string) error
}

// call is one run of a command: what it reads and writes.
type call struct {
	command
	root     procfs.Root
	in       io.Reader
	out      io.Writer
	errs     io.Writer
	places   int // width of the terminal, 0 if the output is none
	getenv   func(string) string
	options  table.Options
	accounts *passwd.Names
}

func main() { os.Exit(start(os.Args)) }

func start(args []string) int {
	if len(args) == 0 {
		return 2
	}
	c := call{in: os.Stdin, out: os.Stdout, errs: os.Stderr, places: terminalWidth(os.Stdout), getenv: os.Getenv}
	name := filepath.Base(args[0])
	if name == "sysbox" {
		if len(args) < 2 || args[1] == "--help" {
			list(os.Stdout)
			return 0
		}
		name, args = args[1], args[1:]
	}
	return c.do(name, args[1:])
}

// do runs a command by name and gives its exit code: 2 for a command line that
// is wrong, 1 for what went wrong.
func (c *call) do(name string, args []string) int {
	all := commands()
	i := slices.IndexFunc(all, func(x command) bool { return strings.EqualFold(x.name, name) })
	if i < 0 {
		fmt.Fprintf(c.errs, "sysbox: %s: no such command: sysbox alone lists them\n", table.Clean(name))
		return 127
	}
	c.command = all[i]
	if slices.Contains(args, "--help") || slices.Contains(args, "/?") {
		fmt.Fprintf(c.out, "usage: %s\n%s\n", c.synopsis(), c.brief)
		return 0
	}
	var err error
	if c.tables {
		args, err = c.options.Cut(args)
		if err != nil {
			err = usageError{err}
		}
	}
	if err == nil {
		err = c.run(c, args)
	}
	var exit exitCode
	var usage usageError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // whoever read has gone
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &usage):
		fmt.Fprintf(c.errs, "%s: %v\nusage: %s\n", c.name, err, c.synopsis())
		return 2
	}
	fmt.Fprintf(c.errs, "%s: %v\n", c.name, err)
	return 1
}

func (c *command) synopsis() string {
	s := strings.TrimSpace(c.name + " " + c.usage)
	if c.tables {
		s += " " + table.Usage
	}
	return s
}

// exitCode ends a command that has said all there is to say.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func badUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// none refuses operands.
func none(args []string) error {
	if len(args) > 0 {
		return badUsage("%q: takes no such word", args[0])
	}
	return nil
}

// names knows the users and groups of the system.
func (c *call) names() *passwd.Names {
	if c.accounts == nil {
		c.accounts = passwd.LoadFrom(string(c.root))
	}
	return c.accounts
}

// write shows a table as the options say.
func (c *call) write(t *table.Table) error {
	err := c.options.Write(c.out, t, c.places)
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		return usageError{err}
	}
	return err
}

// asTable tells whether an option of package table was given, to a command
// that has another way to show itself.
func (c *call) asTable() bool {
	o := c.options
	return o.JSON || o.Table || len(o.Sort)+len(o.Where)+len(o.Select) > 0
}

func list(w io.Writer) {
	fmt.Fprint(w, "usage: sysbox COMMAND [ARGUMENT...]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-22s %s\n", c.name, c.brief)
	}
}

// terminalWidth is how many places a line of the terminal has, 0 for what is
// no terminal. A terminal that says 0 is taken for an old one.
func terminalWidth(f *os.File) int {
	var size struct{ rows, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	switch {
	case errno != 0:
		return 0
	case size.columns == 0:
		return 80
	}
	return int(size.columns)
}

func commands() []command {
	return slices.Concat(systemCommands, networkCommands, accountCommands, filterCommands)
}

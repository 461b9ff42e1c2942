package main

import (
	"fmt"
	"os"
	"strings"

	"coretools.silo/table"
)

var filterCommands = []command{
	{"sort-object", "COLUMN[,desc]...", "order rows of JSON that a command with --json wrote", true, sortObject},
	{"where-object", "EXPRESSION...", "keep rows of JSON for which all expressions hold", true, whereObject},
	{"select-object", "COLUMN...", "keep columns of JSON", true, selectObject},
}

func sortObject(c *call, args []string) error {
	return c.filter(args, func() { c.options.Sort = append(c.options.Sort, args...) })
}

func whereObject(c *call, args []string) error {
	// Without quotes the shell made several words of one expression.
	return c.filter(args, func() { c.options.Where = append(c.options.Where, joinWords(args)...) })
}

func selectObject(c *call, args []string) error {
	return c.filter(args, func() { c.options.Select = append(c.options.Select, strings.Join(args, ",")) })
}

// joinWords puts expressions together again that lie in several words: a word
// starts a new one only if it has an operator and the one before it is whole.
func joinWords(words []string) (all []string) {
	open := false
	for _, w := range words {
		joins := strings.EqualFold(w, "and") || w == "&&"
		if len(all) > 0 && (open || joins || !strings.ContainsAny(w, "=<>~") || !whole(all[len(all)-1])) {
			all[len(all)-1] += " " + w
		} else {
			all = append(all, w)
		}
		open = joins
	}
	return all
}

// whole tells whether an expression has a value at its end.
func whole(expression string) bool {
	parsed, err := table.ParseWhere(expression)
	return err == nil && parsed[len(parsed)-1].Value != ""
}

// filter reads JSON, changes it, and writes it on: a table on a terminal or
// with --table, else JSON.
func (c *call) filter(args []string, set func()) error {
	if len(args) == 0 {
		return badUsage("says nothing to do")
	}
	if f, ok := c.in.(*os.File); ok && terminalWidth(f) > 0 {
		return badUsage("reads from a pipe: get-process --json | %s ...", c.name)
	}
	t, err := table.Read(c.in)
	if err != nil {
		return fmt.Errorf("standard input: %v: want the output of a command with --json", err)
	}
	set()
	if len(t.Columns) == 0 { // of no rows nothing is known, not even the names
		c.options.Sort, c.options.Where, c.options.Select = nil, nil, nil
	}
	if c.places == 0 && !c.options.Table {
		c.options.JSON = true
	}
	return c.write(t)
}

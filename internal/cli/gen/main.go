// Command gen writes the reference of the command line,
// docs/reference/cli.md, from the commands themselves.
package main

import (
	"fmt"
	"os"

	"silo/internal/cli"
)

func main() {
	path := "docs/reference/cli.md"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := os.WriteFile(path, cli.Reference(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

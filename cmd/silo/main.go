// Command silo is Silo's command line.
package main

import (
	"os"

	"silo/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:]))
}

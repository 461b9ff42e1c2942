// Command silod is the daemon: it serves the Docker Engine API and runs
// containers. See package daemon for its flags.
package main

import (
	"os"

	"silo/internal/daemon"
)

func main() { os.Exit(daemon.Main(os.Args[1:])) }

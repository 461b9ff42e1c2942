// Command silo-keeper is the parent of all agents. silod starts it; see
// package keeper.
package main

import (
	"os"

	"silo/internal/keeper"
)

func main() { os.Exit(keeper.Main(os.Args[1:])) }

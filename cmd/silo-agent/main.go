// Command silo-agent is the execution agent inside a container. silo-keeper
// starts it; see package agent.
package main

import (
	"os"

	"silo/internal/agent"
)

func main() { os.Exit(agent.Main()) }

// Command clear clears the terminal.
package main

import "fmt"

func main() { fmt.Print("\x1b[H\x1b[2J\x1b[3J") }

// Command dirname prints paths without their last part.
package main

import (
	"fmt"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("z", "dirname [-z] path ...", map[string]string{"zero": "z"})
	if len(opt.Operands) == 0 {
		opt.Usage("no path named")
	}
	end := "\n"
	if opt.Has('z') {
		end = "\x00"
	}
	for _, path := range opt.Operands {
		fmt.Print(folder(path) + end)
	}
}

// folder changes nothing in what is left: a/../b is in a/.., which may be
// elsewhere than "." if a is a link.
func folder(path string) string {
	last := strings.TrimRight(path, "/")
	if last == "" && path != "" {
		return "/"
	}
	at := strings.LastIndexByte(last, '/')
	if at < 0 {
		return "."
	}
	if dir := strings.TrimRight(last[:at], "/"); dir != "" {
		return dir
	}
	return "/"
}

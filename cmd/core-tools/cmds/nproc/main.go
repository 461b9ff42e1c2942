// Command nproc prints the number of processors that it may run on.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("a", "nproc [--all]", map[string]string{"all": "a"})
	n := runtime.NumCPU()
	if opt.Has('a') {
		if data, err := os.ReadFile("/proc/stat"); err == nil {
			n = strings.Count(string(data), "\ncpu")
		}
	}
	fmt.Println(n)
}

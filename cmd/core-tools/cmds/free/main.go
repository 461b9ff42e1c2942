// Command free shows how much memory is in use, in KiB or in a unit of choice.
package main

import (
	"fmt"
	"os"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("bkmgh", "free [-b | -k | -m | -g | -h]", map[string]string{"human": "h", "mebi": "m"})
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		fmt.Fprintln(os.Stderr, "free:", err)
		os.Exit(1)
	}
	kib := map[string]uint64{}
	for line := range strings.Lines(string(data)) {
		var name string
		var value uint64
		if _, err := fmt.Sscanf(line, "%s %d", &name, &value); err == nil {
			kib[strings.TrimSuffix(name, ":")] = value
		}
	}
	show := func(n uint64) string {
		switch {
		case opt.Has('h'):
			return getopt.Human(n << 10)
		case opt.Has('b'):
			return fmt.Sprint(n << 10)
		case opt.Has('m'):
			return fmt.Sprint(n >> 10)
		case opt.Has('g'):
			return fmt.Sprint(n >> 20)
		}
		return fmt.Sprint(n)
	}
	cache := kib["Buffers"] + kib["Cached"] + kib["SReclaimable"]
	used := kib["MemTotal"] - kib["MemAvailable"]
	fmt.Printf("%-5s %12s %12s %12s %12s %12s %12s\n", "", "total", "used", "free", "shared", "buff/cache", "available")
	fmt.Printf("%-5s %12s %12s %12s %12s %12s %12s\n", "Mem:", show(kib["MemTotal"]), show(used), show(kib["MemFree"]),
		show(kib["Shmem"]), show(cache), show(kib["MemAvailable"]))
	fmt.Printf("%-5s %12s %12s %12s\n", "Swap:", show(kib["SwapTotal"]), show(kib["SwapTotal"]-kib["SwapFree"]), show(kib["SwapFree"]))
}

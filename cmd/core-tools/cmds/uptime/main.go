// Command uptime tells the time, since when the system runs, and its load. The
// start is that of the kernel, which containers share with their host.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("ps", "uptime [-p | -s]", map[string]string{"pretty": "p", "since": "s"})
	data, err := os.ReadFile("/proc/uptime")
	var seconds float64
	if err == nil {
		_, err = fmt.Sscan(string(data), &seconds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "uptime:", err)
		os.Exit(1)
	}
	up := time.Duration(seconds * float64(time.Second))
	days, hours, minutes := int(up.Hours())/24, int(up.Hours())%24, int(up.Minutes())%60
	switch {
	case opt.Has('s'):
		fmt.Println(time.Now().Add(-up).Format(time.DateTime))
	case opt.Has('p'):
		fmt.Printf("up %d days, %d hours, %d minutes\n", days, hours, minutes)
	default:
		load, _ := os.ReadFile("/proc/loadavg")
		f := append(strings.Fields(string(load)), "?", "?", "?")
		fmt.Printf(" %s up %d days, %2d:%02d,  load average: %s, %s, %s\n", time.Now().Format(time.TimeOnly), days, hours, minutes, f[0], f[1], f[2])
	}
}

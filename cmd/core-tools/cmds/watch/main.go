// Command watch runs a command again and again and shows its output.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("+n:t", "watch [-t] [-n seconds] command [argument ...]", map[string]string{"interval": "n", "no-title": "t"})
	if len(opt.Operands) == 0 {
		opt.Usage("no command")
	}
	seconds, err := strconv.ParseFloat(opt.Value('n', "2"), 64)
	if err != nil || seconds < 0.1 {
		opt.Usage("-n: seconds from 0.1 up")
	}
	text := strings.Join(opt.Operands, " ")
	host, _ := os.Hostname()
	for {
		out, err := exec.Command("sh", "-c", text).CombinedOutput()
		fmt.Print("\x1b[H\x1b[2J")
		if !opt.Has('t') {
			fmt.Printf("Every %gs: %s    %s: %s\n\n", seconds, text, host, time.Now().Format(time.UnixDate))
		}
		os.Stdout.Write(out)
		if err != nil {
			fmt.Println(err)
		}
		time.Sleep(time.Duration(seconds * float64(time.Second)))
	}
}

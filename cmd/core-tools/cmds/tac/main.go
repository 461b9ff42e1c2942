// Command tac prints files from the last line to the first.
package main

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("", "tac [file ...]", nil)
	names := opt.Operands
	if len(names) == 0 {
		names = []string{"-"}
	}
	var status getopt.Status
	for _, name := range names {
		status.Note(file(os.Stdout, name))
	}
	status.Exit()
}

func file(out io.Writer, name string) error {
	in := os.Stdin
	if name != "-" {
		var err error
		if in, err = os.Open(name); err != nil {
			return err
		}
		defer in.Close()
	}
	return reverse(out, in)
}

// reverse prints the lines backwards; each keeps the end that it has.
func reverse(out io.Writer, in io.Reader) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	for _, line := range slices.Backward(strings.SplitAfter(string(text), "\n")) {
		w.WriteString(line)
	}
	return w.Flush()
}

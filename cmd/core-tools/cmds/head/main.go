// Command head prints the first lines or bytes of files.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("n:c:qv#", "head [-n lines | -c bytes] [-qv] [file ...]", map[string]string{"lines": "n", "bytes": "c", "quiet": "q"})
	lines, err := strconv.ParseInt(opt.Value('n', opt.Value('#', "10")), 10, 64)
	if err != nil {
		opt.Usage("-n: not a number")
	}
	bytes, err := strconv.ParseInt(opt.Value('c', "-1"), 10, 64)
	if err != nil {
		opt.Usage("-c: not a number")
	}
	files := opt.Operands
	if len(files) == 0 {
		files = []string{"-"}
	}
	var status getopt.Status
	for i, name := range files {
		f := os.Stdin
		if name != "-" {
			if f, err = os.Open(name); err != nil {
				status.Note(err)
				continue
			}
		}
		if (len(files) > 1 || opt.Has('v')) && !opt.Has('q') {
			if i > 0 {
				fmt.Println()
			}
			fmt.Printf("==> %s <==\n", name)
		}
		status.Note(head(os.Stdout, f, lines, bytes))
		f.Close()
	}
	status.Exit()
}

// head copies the first lines, or bytes if that is not -1; a negative number
// of lines means all but that many.
func head(to io.Writer, r io.Reader, lines, bytes int64) error {
	if bytes >= 0 {
		_, err := io.CopyN(to, r, bytes)
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	in, out := bufio.NewReader(r), bufio.NewWriter(to)
	var held []string
	for n := int64(0); lines < 0 || n < lines; n++ {
		line, err := in.ReadString('\n')
		if lines < 0 && line != "" {
			if held = append(held, line); int64(len(held)) > -lines {
				out.WriteString(held[0])
				held = held[1:]
			}
		} else {
			out.WriteString(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	return out.Flush()
}

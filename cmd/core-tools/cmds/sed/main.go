// Command sed edits a stream of lines by a script, as POSIX describes it, with
// what GNU sed added that scripts rely on: -i, -s, -z, addresses like 1~2, 0,/x/
// and /x/,+3, the commands F, Q, T and z, the flags I and M, and \U and its like
// in replacements. Patterns are basic ones, with -E extended ones.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.ParseOr(1, "nErszi::e:f:", "sed [-nErsz] [-i[suffix]] [-e script] [-f file] [script] [file ...]",
		map[string]string{
			"quiet": "n", "silent": "n", "regexp-extended": "E", "separate": "s", "null-data": "z", "in-place": "i",
			"expression": "e", "file": "f",
		})
	text, files := scripts(opt)
	script, err := parse(text, opt.Has('E') || opt.Has('r'))
	if err != nil {
		opt.Usage("%v", err)
	}
	e := &editor{script: script, quiet: opt.Has('n') || script.quiet, end: '\n'}
	if opt.Has('z') {
		e.end = 0
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	stdout := &output{Writer: bufio.NewWriter(os.Stdout)}
	if err := e.create(stdout); err != nil {
		fatal(err)
	}
	switch {
	case opt.Has('i'):
		for _, f := range files {
			e.note(e.inPlace(f, opt.Value('i', "")))
		}
	case opt.Has('s'):
		for _, f := range files {
			e.note(e.run(e.lines(f), stdout))
		}
	default:
		e.note(e.run(e.lines(files...), stdout))
	}
	if err := e.flush(); err != nil {
		fatal(err)
	}
	os.Exit(e.code)
}

// scripts joins the texts of -e and -f in their order, or takes the first word
// for the script.
func scripts(opt *getopt.Set) (string, []string) {
	var texts []string
	opt.Each("ef", func(letter byte, value string) {
		if letter == 'f' {
			data, err := readFile(value)
			if err != nil {
				opt.Usage("%v", err)
			}
			value = strings.TrimSuffix(string(data), "\n")
		}
		texts = append(texts, value)
	})
	files := opt.Operands
	if len(texts) == 0 {
		if len(files) == 0 {
			opt.Usage("no script")
		}
		texts, files = files[:1], files[1:]
	}
	return strings.Join(texts, "\n"), files
}

func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "sed:", err)
	os.Exit(4)
}

// note reports what goes wrong with one file; the others are still edited.
func (e *editor) note(err error) {
	switch {
	case err == nil:
	case errors.Is(err, syscall.EPIPE):
		fatal(err)
	default:
		fmt.Fprintln(os.Stderr, "sed:", err)
		e.code = max(e.code, 2)
	}
}

// lines reads files; one that cannot be read is reported and passed over.
func (e *editor) lines(files ...string) *lines {
	if e.quit {
		files = nil
	}
	return &lines{files: files, end: e.end, before: e.flush, open: func(name string) (io.ReadCloser, error) {
		if e.inside = name; name == "-" {
			return os.Stdin, nil
		}
		f, err := os.Open(name)
		if err == nil {
			if info, bad := f.Stat(); bad == nil && info.IsDir() {
				f.Close()
				err = fmt.Errorf("%s: %w", name, syscall.EISDIR)
			}
		}
		e.note(err)
		return f, err
	}}
}

// inPlace writes the result beside the file and then puts it in its place, with
// the file's owner and mode. With a suffix the file as it was stays under that
// name.
func (e *editor) inPlace(name, suffix string) error {
	if e.quit {
		return nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: only a regular file can be edited in place", name)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".sed-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := tmp.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if err := tmp.Chmod(info.Mode()); err != nil {
		return err
	}
	out := &output{Writer: bufio.NewWriter(tmp)}
	if err := e.run(e.lines(name), out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if suffix != "" {
		if err := os.Rename(name, backup(name, suffix)); err != nil {
			return err
		}
	}
	return os.Rename(tmp.Name(), name)
}

// backup is the name of the file as it was: a star in the suffix stands for the
// file's name.
func backup(name, suffix string) string {
	base := filepath.Base(name)
	if strings.Contains(suffix, "*") {
		base = strings.ReplaceAll(suffix, "*", base)
	} else {
		base += suffix
	}
	if strings.Contains(base, "/") {
		return base
	}
	return filepath.Join(filepath.Dir(name), base)
}

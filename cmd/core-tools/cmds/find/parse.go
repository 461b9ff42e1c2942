package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coretools.silo/getopt"
	"coretools.silo/passwd"
)

// predicate is a test or an action on a file.
type predicate func(*file) bool

// parser reads an expression: tests side by side mean "and", -o is "or", ! is
// "not", parentheses group.
type parser struct {
	words   []string
	options *options
	status  *getopt.Status
	acts    bool // an action was named: nothing is printed by itself
	atEnd   []func()
}

func (p *parser) parse() (predicate, error) {
	if len(p.words) == 0 {
		return show("\n"), nil
	}
	test, err := p.or()
	if err != nil {
		return nil, err
	}
	if len(p.words) > 0 {
		return nil, fmt.Errorf("%s: not expected here", p.words[0])
	}
	if p.acts {
		return test, nil
	}
	print := show("\n")
	return func(f *file) bool { return test(f) && print(f) }, nil
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *parser) or() (predicate, error) {
	left, err := p.and()
	for err == nil && (p.next() == "-o" || p.next() == "-or") {
		p.words = p.words[1:]
		var right predicate
		if right, err = p.and(); err == nil {
			l := left
			left = func(f *file) bool { return l(f) || right(f) }
		}
	}
	return left, err
}

func (p *parser) and() (predicate, error) {
	left, err := p.not()
	for err == nil && p.next() != "" && p.next() != "-o" && p.next() != "-or" && p.next() != ")" {
		if p.next() == "-a" || p.next() == "-and" {
			p.words = p.words[1:]
		}
		var right predicate
		if right, err = p.not(); err == nil {
			l := left
			left = func(f *file) bool { return l(f) && right(f) }
		}
	}
	return left, err
}

func (p *parser) not() (predicate, error) {
	switch p.next() {
	case "!", "-not":
		p.words = p.words[1:]
		test, err := p.not()
		return func(f *file) bool { return !test(f) }, err
	case "(":
		p.words = p.words[1:]
		test, err := p.or()
		if err == nil && p.next() != ")" {
			return nil, fmt.Errorf("( without )")
		}
		if err == nil {
			p.words = p.words[1:]
		}
		return test, err
	case "":
		return nil, fmt.Errorf("the expression ends too soon")
	}
	word := p.words[0]
	p.words = p.words[1:]
	return p.primary(word)
}

func (p *parser) value(word string) (string, error) {
	if len(p.words) == 0 {
		return "", fmt.Errorf("%s: needs a value", word)
	}
	v := p.words[0]
	p.words = p.words[1:]
	return v, nil
}

// primary reads one test or action.
func (p *parser) primary(word string) (predicate, error) {
	yes := func(*file) bool { return true }
	switch word {
	case "-print":
		p.acts = true
		return show("\n"), nil
	case "-print0":
		p.acts = true
		return show("\x00"), nil
	case "-prune":
		return func(f *file) bool { f.prune = true; return true }, nil
	case "-true":
		return yes, nil
	case "-depth":
		p.options.depthFirst = true
		return yes, nil
	case "-xdev", "-mount":
		p.options.xdev = true
		return yes, nil
	case "-empty":
		return isEmpty, nil
	case "-delete":
		p.acts, p.options.depthFirst = true, true
		return func(f *file) bool {
			err := os.Remove(f.path)
			p.status.Note(err)
			return err == nil
		}, nil
	case "-exec":
		return p.command()
	}
	value, err := p.value(word)
	if err != nil {
		return nil, err
	}
	switch word {
	case "-name", "-iname", "-path", "-wholename", "-lname":
		return glob(word, value), nil
	case "-type":
		return kind(value)
	case "-maxdepth":
		p.options.maxDepth, err = strconv.Atoi(value)
		return yes, err
	case "-mindepth":
		p.options.minDepth, err = strconv.Atoi(value)
		return yes, err
	case "-perm":
		return perm(value)
	case "-user", "-uid", "-group", "-gid":
		return owner(word, value)
	case "-newer":
		info, err := os.Stat(value)
		return func(f *file) bool { return f.info.ModTime().After(info.ModTime()) }, err
	case "-size", "-links", "-inum", "-mtime", "-mmin":
		return amount(word, value)
	}
	return nil, fmt.Errorf("%s: unknown test or action", word)
}

func show(end string) predicate {
	return func(f *file) bool { fmt.Print(f.path + end); return true }
}

func isEmpty(f *file) bool {
	if f.info.IsDir() {
		entries, err := os.ReadDir(f.path)
		return err == nil && len(entries) == 0
	}
	return f.info.Mode().IsRegular() && f.info.Size() == 0
}

func glob(word, pattern string) predicate {
	return func(f *file) bool {
		text := f.info.Name()
		switch word {
		case "-path", "-wholename":
			// Match treats / apart; here * goes across it.
			ok, err := filepath.Match(strings.ReplaceAll(pattern, "/", "\x01"), strings.ReplaceAll(f.path, "/", "\x01"))
			return ok && err == nil
		case "-lname":
			text, _ = os.Readlink(f.path)
		case "-iname":
			text, pattern = strings.ToLower(text), strings.ToLower(pattern)
		}
		ok, err := filepath.Match(pattern, text)
		return ok && err == nil
	}
}

func kind(letters string) (predicate, error) {
	kinds := map[string]fs.FileMode{
		"f": 0, "d": fs.ModeDir, "l": fs.ModeSymlink, "p": fs.ModeNamedPipe, "s": fs.ModeSocket,
		"b": fs.ModeDevice, "c": fs.ModeDevice | fs.ModeCharDevice,
	}
	var want []fs.FileMode
	for _, l := range strings.Split(letters, ",") {
		k, ok := kinds[l]
		if !ok {
			return nil, fmt.Errorf("-type %s: use f, d, l, p, s, b or c", l)
		}
		want = append(want, k)
	}
	return func(f *file) bool {
		for _, k := range want {
			if f.info.Mode().Type() == k {
				return true
			}
		}
		return false
	}, nil
}

func perm(word string) (predicate, error) {
	bits, err := strconv.ParseUint(strings.TrimLeft(word, "-/"), 8, 12)
	if err != nil {
		return nil, fmt.Errorf("-perm %s: an octal mode, with - for all of its bits or / for any", word)
	}
	return func(f *file) bool {
		have := uint64(stat(f.info).Mode & 0o7777)
		switch word[0] {
		case '-':
			return have&bits == bits
		case '/':
			return have&bits != 0
		}
		return have == bits
	}, nil
}

func owner(word, value string) (predicate, error) {
	names := passwd.Load()
	if word == "-user" || word == "-uid" {
		u, err := names.Find(value)
		if n, bad := strconv.ParseUint(value, 10, 32); bad == nil {
			u.UID, err = uint32(n), nil
		}
		return func(f *file) bool { return stat(f.info).Uid == u.UID }, err
	}
	gid, err := names.GroupID(value)
	return func(f *file) bool { return stat(f.info).Gid == gid }, err
}

// amount compares a number: +n is more, -n is less.
func amount(word, value string) (predicate, error) {
	number, unit := strings.TrimLeft(value, "+-"), int64(512)
	if word == "-size" && number != "" {
		units := map[byte]int64{'c': 1, 'w': 2, 'b': 512, 'k': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
		if u, ok := units[number[len(number)-1]]; ok {
			number, unit = number[:len(number)-1], u
		}
	}
	want, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s %s: not a number", word, value)
	}
	now := time.Now()
	return func(f *file) bool {
		var have int64
		switch word {
		case "-size":
			have = (f.info.Size() + unit - 1) / unit
		case "-links":
			have = int64(stat(f.info).Nlink)
		case "-inum":
			have = int64(stat(f.info).Ino)
		case "-mtime":
			have = int64(now.Sub(f.info.ModTime()).Hours() / 24)
		case "-mmin":
			have = int64(now.Sub(f.info.ModTime()).Minutes())
		}
		switch value[0] {
		case '+':
			return have > want
		case '-':
			return have < want
		}
		return have == want
	}, nil
}

// command reads -exec up to ; or {} +.
func (p *parser) command() (predicate, error) {
	p.acts = true
	var args []string
	for len(p.words) > 0 {
		word := p.words[0]
		p.words = p.words[1:]
		switch {
		case word == ";":
			return func(f *file) bool {
				own := make([]string, len(args))
				for i, a := range args {
					own[i] = strings.ReplaceAll(a, "{}", f.path)
				}
				return p.execute(own)
			}, nil
		case word == "+" && len(args) > 1 && args[len(args)-1] == "{}":
			args = args[:len(args)-1]
			var paths []string
			run := func() {
				if len(paths) > 0 {
					p.execute(append(append([]string{}, args...), paths...))
				}
				paths = nil
			}
			p.atEnd = append(p.atEnd, run)
			return func(f *file) bool {
				if paths = append(paths, f.path); len(paths) == 1000 {
					run()
				}
				return true
			}, nil
		}
		args = append(args, word)
	}
	return nil, fmt.Errorf("-exec: ends with ; or {} +")
}

func (p *parser) execute(args []string) bool {
	if len(args) == 0 {
		return false
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		p.status.Note(err)
	}
	return err == nil
}

func stat(info fs.FileInfo) *syscall.Stat_t {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st
	}
	return &syscall.Stat_t{}
}

func device(info fs.FileInfo) uint64 { return stat(info).Dev }

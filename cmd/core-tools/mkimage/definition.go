package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// definition is one image as images/NAME.txt describes it.
type definition struct {
	name     string
	title    string
	from     *definition
	programs []program
	boxes    []box
	labels   map[string]string
	files    []string            // folders of the definitions, laid over the root
	wants    map[string][]string // target to units that it starts
	start    string              // the target that is started
	over     map[string]string   // name to the program that takes it from the image below
}

// program is a command with a file of its own.
type program struct {
	name  string
	entry bool     // starts at its own assembly, without the Go runtime
	links []string // further names
}

// box is one multi-call program.
type box struct {
	name     string
	commands []string // import paths; the last part is the command's name
	links    map[string][]string
}

const (
	ownPath  = "coretools.silo/cmds/"
	corePath = "github.com/u-root/u-root/cmds/core/"
	expPath  = "github.com/u-root/u-root/cmds/exp/"
)

// readDefinition reads dir/name.txt and what it is built on.
func readDefinition(dir, name string) (*definition, error) {
	path := filepath.Join(dir, name+".txt")
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := &definition{name: name, labels: map[string]string{}, wants: map[string][]string{}, over: map[string]string{}}
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		words := strings.Fields(scan.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := d.line(dir, words); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	return d, scan.Err()
}

func (d *definition) line(dir string, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("%s: needs a value", words[0])
	}
	switch rest := words[1:]; words[0] {
	case "title":
		d.title = strings.Join(rest, " ")
	case "from":
		from, err := readDefinition(dir, rest[0])
		d.from = from
		return err
	case "program":
		d.programs = append(d.programs, program{name: rest[0]})
	case "entry":
		d.programs = append(d.programs, program{name: rest[0], entry: true})
	case "box":
		d.boxes = append(d.boxes, box{name: rest[0], links: map[string][]string{}})
	case "core":
		return d.add(corePath, rest)
	case "exp":
		return d.add(expPath, rest)
	case "own":
		return d.add(ownPath, rest)
	case "link":
		return d.link(rest[0], rest[1:])
	case "over":
		for _, name := range rest[1:] {
			d.over[name] = rest[0]
		}
	case "label":
		d.labels[rest[0]] = strings.Join(rest[1:], " ")
	case "default":
		d.start = rest[0]
	case "files":
		d.files = append(d.files, rest...)
	case "wants":
		d.wants[rest[0]] = append(d.wants[rest[0]], rest[1:]...)
	default:
		return fmt.Errorf("%s: unknown word", words[0])
	}
	return nil
}

func (d *definition) add(path string, names []string) error {
	if len(d.boxes) == 0 {
		return fmt.Errorf("commands before the first box")
	}
	b := &d.boxes[len(d.boxes)-1]
	for _, n := range names {
		b.commands = append(b.commands, path+n)
	}
	return nil
}

func (d *definition) link(name string, links []string) error {
	for i, p := range d.programs {
		if p.name == name {
			d.programs[i].links = append(p.links, links...)
			return nil
		}
	}
	for _, b := range d.boxes {
		if slices.ContainsFunc(b.commands, func(c string) bool { return filepath.Base(c) == name }) {
			b.links[name] = append(b.links[name], links...)
			return nil
		}
	}
	return fmt.Errorf("link %s: no such command above", name)
}

// Command help shows the manual: help lists all topics, help TOPIC shows one.
// Topics stand in the files of /usr/share/help.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"coretools.silo/getopt"
)

// folder holds the manual, one file for each layer of the image.
const folder = "/usr/share/help"

// topic is a section of the manual.
type topic struct {
	group     string
	names     []string
	arguments string
	text      []string
}

func main() {
	opt := getopt.Parse("", "help [TOPIC...]", nil)
	topics := read(folder)
	if len(topics) == 0 {
		fmt.Fprintln(os.Stderr, "help: no manual in", folder)
		os.Exit(1)
	}
	if len(opt.Operands) == 0 {
		fmt.Print(overview(topics))
		return
	}
	var status getopt.Status
	for i, name := range opt.Operands {
		t, ok := find(topics, name)
		if !ok {
			status.Note(fmt.Errorf("%q: no such topic: help alone lists them", name))
			continue
		}
		if i > 0 {
			fmt.Println()
		}
		fmt.Print(t)
	}
	status.Exit()
}

// read reads all files of the manual in order of name.
func read(dir string) []topic {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil
	}
	slices.Sort(paths)
	var all []topic
	for _, p := range paths {
		if data, err := os.ReadFile(p); err == nil {
			all = append(all, parse(string(data))...)
		}
	}
	return all
}

// parse reads "# GROUP", "= NAME, NAME | ARGUMENTS", and the lines of text
// below, of which the first says in short what the topic is about.
func parse(text string) []topic {
	var all []topic
	group := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if g, ok := strings.CutPrefix(line, "# "); ok {
			group = g
			continue
		}
		if head, ok := strings.CutPrefix(line, "= "); ok {
			names, arguments, _ := strings.Cut(head, " |")
			all = append(all, topic{group: group, names: strings.Split(names, ", "), arguments: strings.TrimSpace(arguments)})
			continue
		}
		if n := len(all); n > 0 {
			all[n-1].text = append(all[n-1].text, line)
		}
	}
	for i := range all {
		for t := &all[i]; len(t.text) > 0 && t.text[len(t.text)-1] == ""; {
			t.text = t.text[:len(t.text)-1]
		}
	}
	return all
}

func find(topics []topic, name string) (topic, bool) {
	for _, t := range topics {
		if slices.ContainsFunc(t.names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return t, true
		}
	}
	return topic{}, false
}

// mostWide is the width of the names in the overview; more of them get a line
// of their own.
const mostWide = 24

// overview lists the topics by group, a line each.
func overview(topics []topic) string {
	var b strings.Builder
	b.WriteString("help TOPIC tells more; most commands also take --help.\n")
	var groups []string
	wide := 0
	for _, t := range topics {
		if !slices.Contains(groups, t.group) {
			groups = append(groups, t.group)
		}
		if n := len(strings.Join(t.names, ", ")); n <= mostWide {
			wide = max(wide, n)
		}
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s\n", g)
		for _, t := range topics {
			if t.group == g {
				brief := ""
				if len(t.text) > 0 {
					brief = t.text[0]
				}
				names := strings.Join(t.names, ", ")
				if len(names) > wide {
					names += "\n  " + strings.Repeat(" ", wide)
				}
				fmt.Fprintf(&b, "  %-*s  %s\n", wide, names, brief)
			}
		}
	}
	return b.String()
}

// String is the whole topic.
func (t topic) String() string {
	var b strings.Builder
	if t.arguments != "" || len(t.names) > 0 && t.group != "Topics" {
		fmt.Fprintf(&b, "usage: %s\n", strings.TrimSpace(t.names[0]+" "+t.arguments))
		if len(t.names) > 1 {
			fmt.Fprintf(&b, "also:  %s\n", strings.Join(t.names[1:], ", "))
		}
		b.WriteByte('\n')
	}
	b.WriteString(strings.Join(t.text, "\n") + "\n")
	return b.String()
}

package unit

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// commands reads the value of an Exec…= directive: one command line, or more
// with a ; as a word of its own between them.
func (d *decoder) commands(value string) ([]Command, error) {
	sc := scanner{rest: value, how: quoting{escapes: true}}
	var list []Command
	for {
		c, more, err := d.command(&sc)
		if err != nil {
			return nil, err
		}
		if c != nil {
			list = append(list, *c)
		}
		if !more {
			break
		}
		if len(list) > mostList {
			return nil, errTooMany
		}
	}
	if sc.strange {
		d.note("%s= has an escape that is not known: it stays as it is written", d.key)
	}
	return list, nil
}

// command reads up to the next ; and tells whether there was one. It gives nil
// if there is no word before it.
func (d *decoder) command(sc *scanner) (c *Command, more bool, err error) {
	first, ok, err := sc.next()
	if err != nil || !ok {
		return nil, false, err
	}
	if first.text == ";" && !first.quoted {
		return nil, true, nil
	}
	c = &Command{}
	file, ownName, err := c.prefixes(first.text)
	if err != nil {
		return nil, false, err
	}
	if c.Path, err = d.expand(file); err != nil {
		return nil, false, err
	}
	if err := checkProgram(c.Path); err != nil {
		return nil, false, err
	}
	if !ownName {
		c.Args = []string{c.Path}
	}
	for {
		strange := sc.strange
		w, ok, err := sc.next()
		if w.text == `\;` {
			w.text, sc.strange = ";", strange // how an argument that is a ; is written
		}
		switch {
		case err != nil:
			return nil, false, err
		case !ok, w.text == ";" && !w.quoted:
			if len(c.Args) == 0 {
				return nil, false, errors.New("@ wants a name for the process after the program")
			}
			return c, ok, nil
		case len(c.Args) >= mostList:
			return nil, false, errTooMany
		}
		arg, err := d.expand(w.text)
		if err != nil {
			return nil, false, err
		}
		c.Args = append(c.Args, arg)
	}
}

// prefixes takes the special characters off a program's path and tells whether
// the process has a name of its own.
func (c *Command) prefixes(s string) (file string, ownName bool, err error) {
	seen := ""
	for s != "" && strings.IndexByte("-@:+!|", s[0]) >= 0 {
		p := s[:1]
		if strings.HasPrefix(s, "!!") {
			p = "!!"
		}
		if strings.Contains(seen, p) || strings.ContainsAny(p, "+!") && strings.ContainsAny(seen, "+!") {
			return "", false, fmt.Errorf("prefix %q does not go with %q", p, seen)
		}
		switch p {
		case "-":
			c.Ignore = true
		case "@":
			ownName = true
		case ":":
			c.NoExpand = true
		case "+":
			c.Privileged = true
		case "!", "!!":
			// !! asks for the privileges only where the kernel has no ambient
			// capabilities; each kernel that Silo runs on has them.
			c.Privileged, c.KeepWalls = p == "!", p == "!"
		case "|":
			return "", false, errors.New("prefix | is not supported: name the shell")
		}
		seen += p
		s = s[len(p):]
	}
	return s, ownName, nil
}

// checkProgram wants an absolute path, or a bare name to look up.
func checkProgram(p string) error {
	switch {
	case p == "":
		return errors.New("no program is named")
	case strings.HasSuffix(p, "/"):
		return fmt.Errorf("program %q is a folder", shorten(p))
	case p[0] != '/' && strings.Contains(p, "/"):
		return fmt.Errorf("program %q: want an absolute path or a bare name", shorten(p))
	case p == "." || p == "..":
		return fmt.Errorf("program %q is a folder", p)
	}
	return nil
}

// cleanPath wants an absolute path without .. and gives its clean form.
func cleanPath(p string) (string, error) {
	if p == "" || p[0] != '/' {
		return "", fmt.Errorf("path %q: want an absolute one", shorten(p))
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return "", fmt.Errorf("path %q: .. cannot be in it", shorten(p))
		}
	}
	return path.Clean(p), nil
}

// Command ip shows and changes links, addresses, routes and neighbours, as far
// as a container needs: show for all four, and for who may change them link
// set, addr add and del, route add and del.
package main

import (
	"fmt"
	"os"
	"strings"
)

const usage = `usage: ip [-4 | -6] [-o | -br] OBJECT [COMMAND]
  ip addr  [show [dev] LINK] | add ADDRESS/BITS dev LINK | del ADDRESS/BITS dev LINK
  ip link  [show [dev] LINK] | set LINK up | down | mtu N | address MAC | name NAME
  ip route [show [default]] | get ADDRESS | add|del PREFIX|default [via ADDRESS] [dev LINK]
  ip neigh [show]`

// request is what the command line asks for.
type request struct {
	family       int // 0, AF_INET or AF_INET6
	brief, lines bool
	words        []string
}

func main() {
	r, err := parse(os.Args[1:])
	if err == nil {
		err = r.run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "ip: %v\n", err)
		os.Exit(1)
	}
}

func parse(args []string) (request, error) {
	var r request
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-4":
			r.family = inet
		case "-6":
			r.family = inet6
		case "-o", "-oneline":
			r.lines = true
		case "-br", "-brief":
			r.brief = true
		case "-c", "-color", "-d", "-s", "-h", "-n":
		case "--help", "-help":
			fmt.Println(usage)
			os.Exit(0)
		default:
			return r, fmt.Errorf("%s: unknown option\n%s", args[0], usage)
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return r, fmt.Errorf("no object\n%s", usage)
	}
	r.words = args
	return r, nil
}

// is tells whether a word is the start of a whole one, at least the given
// letters: a, addr and address.
func is(word, whole string, least int) bool {
	return len(word) >= least && strings.HasPrefix(whole, word)
}

func (r request) run() error {
	object, rest := r.words[0], r.words[1:]
	command := "show"
	if len(rest) > 0 {
		command, rest = rest[0], rest[1:]
	}
	if is(command, "show", 1) || is(command, "list", 1) || command == "lst" {
		command = "show"
	}
	switch {
	case is(object, "address", 1):
		return r.address(command, rest)
	case is(object, "link", 1):
		return r.link(command, rest)
	case is(object, "route", 1):
		return r.route(command, rest)
	case is(object, "neighbour", 1) || is(object, "neighbor", 1):
		if command != "show" {
			return fmt.Errorf("neigh %s: unknown command", command)
		}
		return r.showNeighbours()
	}
	return fmt.Errorf("%s: unknown object\n%s", object, usage)
}

func (r request) address(command string, rest []string) error {
	switch command {
	case "show":
		return r.showLinks(rest, true)
	case "add", "del", "delete":
		o, err := options(rest, "dev")
		if err != nil {
			return err
		}
		return changeAddress(command == "add", o[""], o["dev"])
	}
	return fmt.Errorf("addr %s: unknown command", command)
}

func (r request) link(command string, rest []string) error {
	switch command {
	case "show":
		return r.showLinks(rest, false)
	case "set":
		return setLink(rest)
	}
	return fmt.Errorf("link %s: unknown command", command)
}

func (r request) route(command string, rest []string) error {
	switch command {
	case "show":
		return r.showRoutes(rest)
	case "get":
		if len(rest) != 1 {
			return fmt.Errorf("route get: needs one address")
		}
		return getRoute(rest[0])
	case "add", "del", "delete":
		o, err := options(rest, "via", "dev", "src", "metric")
		if err != nil {
			return err
		}
		return changeRoute(command == "add", o)
	}
	// "ip route default" is short for "ip route show default".
	return r.showRoutes(append([]string{command}, rest...))
}

// options reads one value without a name, as "", and named ones.
func options(words []string, names ...string) (map[string]string, error) {
	o := map[string]string{}
next:
	for i := 0; i < len(words); i++ {
		for _, n := range names {
			if words[i] == n {
				if i+1 == len(words) {
					return nil, fmt.Errorf("%s: needs a value", n)
				}
				i++
				o[n] = words[i]
				continue next
			}
		}
		if o[""] != "" {
			return nil, fmt.Errorf("%s: not expected here", words[i])
		}
		o[""] = words[i]
	}
	return o, nil
}

package main

import (
	"fmt"
	"strings"

	"coretools.silo/table"
)

// sought are the names that a command was asked for, and which of them stand
// for something: a name that was mistyped among others is said so.
type sought struct {
	patterns []string
	found    map[string]bool
}

func seek(patterns []string) *sought { return &sought{patterns, map[string]bool{}} }

// matches tells whether one of a thing's names is asked for; all are if none is.
func (s *sought) matches(names ...string) bool {
	any := len(s.patterns) == 0
	for _, p := range s.patterns {
		for _, n := range names {
			if matches(p, n) {
				s.found[p], any = true, true
			}
		}
	}
	return any
}

// missing names those that stand for nothing; nil if there are none.
func (s *sought) missing(why string) error {
	var list []string
	for _, p := range s.patterns {
		if !s.found[p] {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", table.Clean(strings.Join(list, " ")), why)
}

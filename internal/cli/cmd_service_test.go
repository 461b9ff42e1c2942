package cli

import (
	"strings"
	"testing"

	"silo/api"
)

// What a unit or a service says does not act on the terminal.
func TestServiceTextsAreEscaped(t *testing.T) {
	const evil = "a\x1b[2Jb"
	s := api.Service{Name: "x.service", DisplayName: evil, Path: evil, Status: "running", Result: evil, Notes: []string{"says: " + evil}, Log: []string{"1\t" + evil}, Sockets: []string{evil}}
	var b strings.Builder
	printService(&b, s)
	if got := b.String() + (&serviceRow{s}).Description(); strings.Contains(got, "\x1b") || strings.Count(got, `a\x1b[2Jb`) != 7 {
		t.Errorf("%q", got)
	}
}

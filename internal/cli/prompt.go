package cli

import (
	"errors"
	"fmt"
	"strings"
)

// printPruned prints what was removed, as Docker does.
func (a *app) printPruned(heading string, names []string, bytes uint64) error {
	var b strings.Builder
	if len(names) > 0 {
		fmt.Fprintf(&b, "%s\n%s\n\n", heading, strings.Join(names, "\n"))
	}
	fmt.Fprintf(&b, "Total reclaimed space: %s\n", humanSize(bytes))
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// errNotConfirmed ends a command that the user did not want after all.
var errNotConfirmed = errors.New("nothing was removed: answer y, or use --force")

// confirm asks before something is lost.
func (a *app) confirm(force bool, warning string) error {
	if force {
		return nil
	}
	fmt.Fprintf(a.err, "%s\nGo on? [y/N] ", warning)
	var answer string
	_, _ = fmt.Fscanln(a.in, &answer)
	if strings.ToLower(answer) != "y" && strings.ToLower(answer) != "yes" {
		return errNotConfirmed
	}
	return nil
}

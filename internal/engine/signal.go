package engine

import (
	"strconv"
	"strings"

	"silo/internal/errs"
	"silo/internal/linux"
)

// parseSignal reads a signal's number or name, with or without SIG.
func parseSignal(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > linux.MaxSignal {
			return 0, errs.Invalidf("invalid signal: %s", s)
		}
		return n, nil
	}
	if n := linux.SignalNumber(strings.ToUpper(s)); n != 0 {
		return n, nil
	}
	return 0, errs.Invalidf("invalid signal: %s", s)
}

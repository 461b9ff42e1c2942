package argfix

import (
	"math"
	"strconv"
	"strings"
)

// Sizes writes the sizes of dd as plain numbers: it knows K but not k, kB and
// KiB, and no units of counts. What is none stays, for dd to refuse.
func Sizes(args []string) []string {
	out := make([]string, 0, len(args))
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "bs", "ibs", "obs", "count", "skip", "seek":
			if n, ok := size(value); ok {
				a = name + "=" + strconv.FormatInt(n, 10)
			}
		}
		out = append(out, a)
	}
	return out
}

// size reads numbers with k, M, G, T, P or E after them, in both cases, for
// powers of 1024 (also KiB), or of 1000 with a B (kB); c, w and b are 1, 2 and
// 512 bytes.
func size(text string) (int64, bool) {
	digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, false
	}
	unit := text[len(digits):]
	if factor, ok := map[string]int64{"": 1, "c": 1, "w": 2, "b": 512}[unit]; ok {
		return times(n, factor)
	}
	base := int64(1024)
	switch unit[1:] {
	case "", "iB":
	case "B":
		base = 1000
	default:
		return 0, false
	}
	power := strings.IndexByte("kmgtpe", unit[0]|0x20) + 1
	ok := power > 0
	for range power {
		if n, ok = times(n, base); !ok {
			return 0, false
		}
	}
	return n, ok
}

func times(n, factor int64) (int64, bool) { return n * factor, n <= math.MaxInt64/factor }

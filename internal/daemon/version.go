package daemon

import (
	"fmt"
	"strconv"
	"strings"

	"silo/internal/errs"
)

// The API versions that are spoken. MaxAPIVersion is the newest that the types
// of github.com/moby/moby/api describe, MinAPIVersion the oldest whose rules
// compat.go knows.
const (
	MaxAPIVersion = "1.56"
	MinAPIVersion = "1.40"
)

// version is the API version of a request, 1.minor. Others do not get in.
type version int

const (
	newest version = 56
	oldest version = 40
)

func (v version) before(minor int) bool { return int(v) < minor }

// splitVersion takes the optional /v1.NN off a request path.
func splitVersion(path string) (v version, rest string, err error) {
	if len(path) < 3 || path[:2] != "/v" || path[2] < '0' || path[2] > '9' {
		return newest, path, nil
	}
	text, rest, _ := strings.Cut(path[2:], "/")
	if strings.Trim(text, "0123456789.") != "" {
		return newest, path, nil // a word that begins like a version
	}
	rest = "/" + rest
	majorText, minorText, _ := strings.Cut(text, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(minorText)
	switch {
	case err1 != nil || err2 != nil:
		return newest, rest, errs.Invalidf("invalid API version %q: give one from %s to %s", text, MinAPIVersion, MaxAPIVersion)
	case major < 1 || major == 1 && minor < int(oldest):
		return newest, rest, errs.Invalidf("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", text, MinAPIVersion)
	case major > 1 || minor > int(newest):
		return newest, rest, errs.Invalidf("client version %s is too new. Maximum supported API version is %s", text, MaxAPIVersion)
	}
	return version(minor), rest, nil
}

func (v version) String() string { return fmt.Sprintf("1.%d", int(v)) }

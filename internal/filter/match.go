package filter

import (
	"regexp"
	"slices"
	"strings"
)

// All matchers below are true for a key without values.

// Exact tells that s is one of the values of key.
func (a Args) Exact(key, s string) bool {
	return len(a[key]) == 0 || slices.Contains(a[key], s)
}

// Prefix tells that s is, or starts with, one of the values of key. Ids and
// the objects of events are matched so.
func (a Args) Prefix(key, s string) bool {
	return len(a[key]) == 0 || slices.ContainsFunc(a[key], func(v string) bool { return strings.HasPrefix(s, v) })
}

// Match tells that s is one of the values of key, or contains one read as a
// regular expression. Names are matched so.
func (a Args) Match(key, s string) bool {
	if a.Exact(key, s) {
		return true
	}
	for _, v := range a[key] {
		if re, err := regexp.Compile(v); err == nil && re.MatchString(s) {
			return true
		}
	}
	return false
}

// Name is Match for the names of containers, which Docker writes with a
// leading slash: patterns with and without it both work.
func (a Args) Name(key, name string) bool {
	bare := strings.TrimPrefix(name, "/")
	return a.Match(key, "/"+bare) || a.Match(key, bare)
}

// Labels tells that every value of the key label, k or k=v, is met by labels,
// and none of the key label! is.
func (a Args) Labels(labels map[string]string) bool { return a.Pairs("label", labels) }

// Pairs is Labels under any key: each value k or k=v must be met by m, and
// none of key! may be.
func (a Args) Pairs(key string, m map[string]string) bool {
	return !slices.ContainsFunc(a[key], func(want string) bool { return !has(m, want) }) &&
		!slices.ContainsFunc(a[key+"!"], func(not string) bool { return has(m, not) })
}

func has(m map[string]string, want string) bool {
	k, v, withValue := strings.Cut(want, "=")
	got, ok := m[k]
	return ok && (!withValue || got == v)
}

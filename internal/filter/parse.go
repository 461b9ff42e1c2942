package filter

import (
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"strings"

	"silo/internal/errs"
)

// Parse reads the filters parameter of a request in either form; an empty one
// has no filters. Errors are errs.Invalid.
func Parse(s string) (Args, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var sets map[string]map[string]bool
	if json.Unmarshal([]byte(s), &sets) == nil {
		a := Args{}
		for k, set := range sets {
			for v := range set { // false counts as well, as in Docker
				a[k] = append(a[k], v)
			}
			sort.Strings(a[k])
		}
		return a, nil
	}
	var lists map[string][]string
	if err := json.Unmarshal([]byte(s), &lists); err != nil {
		return nil, errs.Invalidf(`invalid filters: give a JSON object such as {"label":["a=b"]}`)
	}
	a := Args{}
	for k, vs := range lists {
		if len(vs) > 0 {
			a[k] = vs
		}
	}
	return a, nil
}

// Validate refuses keys other than the allowed ones, with errs.Invalid.
func (a Args) Validate(allowed ...string) error {
	keys := make([]string, 0, len(a))
	for k := range a {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if !slices.Contains(allowed, k) {
			return errs.Invalidf("invalid filter '%s'", k)
		}
	}
	return nil
}

// Bool gives the one truth value of a key, def if there is none. Errors are
// errs.Invalid.
func (a Args) Bool(key string, def bool) (bool, error) {
	vs := a[key]
	if len(vs) == 0 {
		return def, nil
	}
	if len(vs) == 1 {
		if b, err := strconv.ParseBool(vs[0]); err == nil {
			return b, nil
		}
	}
	return false, errs.Invalidf("invalid filter '%s=%s'", key, vs)
}

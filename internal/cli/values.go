package cli

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
)

// value is a flag whose text is given to a function.
type value struct {
	kind string
	show string // the default, for the help text
	set  func(string) error
}

func (v *value) String() string     { return v.show }
func (v *value) Set(s string) error { return v.set(s) }
func (v *value) Type() string       { return v.kind }

var _ pflag.Value = (*value)(nil)

// list collects the values of a repeated flag, each as check returns it; a nil
// check takes all.
func list(to *[]string, check func(string) (string, error)) *value {
	return &value{kind: "list", set: func(s string) error {
		if check != nil {
			var err error
			if s, err = check(s); err != nil {
				return err
			}
		}
		*to = append(*to, s)
		return nil
	}}
}

// keyValues collects key=value pairs; a key without a value gets "".
func keyValues(to *map[string]string, needValue bool) *value {
	return &value{kind: "map", set: func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if k == "" || needValue && !ok {
			return fmt.Errorf("%q is not of the form name=value", s)
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[k] = v
		return nil
	}}
}

// bytesValue reads a size as 512m or 2g, in powers of 1024.
func bytesValue(to *int64) *value {
	return &value{kind: "bytes", set: func(s string) error {
		n, err := units.RAMInBytes(s)
		if err != nil {
			return fmt.Errorf("%q is not a size: use a number of bytes, or one with b, k, m or g", s)
		}
		*to = n
		return nil
	}}
}

// swapValue is bytesValue that takes -1 for no limit.
func swapValue(to *int64) *value {
	v := bytesValue(to)
	size := v.set
	v.set = func(s string) error {
		if s == "-1" {
			*to = -1
			return nil
		}
		return size(s)
	}
	return v
}

// cpusValue reads a number of processors into billionths.
func cpusValue(to *int64) *value {
	return &value{kind: "decimal", set: func(s string) error {
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			return fmt.Errorf("%q is not a number of processors", s)
		}
		r.Mul(r, big.NewRat(1e9, 1))
		if !r.IsInt() || !r.Num().IsInt64() {
			return fmt.Errorf("%q is too precise or too large: nine decimals at most", s)
		}
		*to = r.Num().Int64()
		return nil
	}}
}

// filterValue collects key=value filters.
func filterValue(to *map[string][]string) *value {
	return &value{kind: "filter", set: func(s string) error {
		if s == "" {
			return nil
		}
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("%q is not of the form key=value", s)
		}
		if *to == nil {
			*to = map[string][]string{}
		}
		k = strings.ToLower(strings.TrimSpace(k))
		(*to)[k] = append((*to)[k], strings.TrimSpace(v))
		return nil
	}}
}

package unit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A setter reads the value of a directive into a field of the unit. These make
// setters for the common sorts of value. An empty value puts the field back to
// its zero, as systemd does for most; lists are cleared.
type setter = func(d *decoder, value string) error

func toBool(field func(*Unit) *bool) setter {
	return func(d *decoder, value string) error {
		v, ok := parseBool(value)
		if !ok {
			return fmt.Errorf("want yes or no")
		}
		*field(d.u) = v
		return nil
	}
}

func toText(field func(*Unit) *string) setter {
	return func(d *decoder, value string) error {
		v, err := d.expand(value)
		if err == nil {
			*field(d.u) = v
		}
		return err
	}
}

// toEnum wants one of the values.
func toEnum[T ~string](field func(*Unit) *T, values ...T) setter {
	return func(d *decoder, value string) error {
		if !slices.Contains(values, T(value)) {
			return fmt.Errorf("want one of %v", values)
		}
		*field(d.u) = T(value)
		return nil
	}
}

func toSpan(field func(*Unit) *time.Duration) setter {
	return func(d *decoder, value string) error {
		v, err := ParseSpan(value)
		if err == nil {
			*field(d.u) = v
		}
		return err
	}
}

// toTimeout is toSpan with 0 as infinity.
func toTimeout(field func(*Unit) *time.Duration) setter {
	return func(d *decoder, value string) error {
		v, err := ParseSpan(value)
		if err != nil {
			return err
		}
		if v == 0 {
			v = Infinity
		}
		*field(d.u) = v
		return nil
	}
}

func toInt(field func(*Unit) *int, least, most int) setter {
	return func(d *decoder, value string) error {
		v, err := strconv.Atoi(value)
		if err != nil || v < least || v > most {
			return fmt.Errorf("want a number from %d to %d", least, most)
		}
		*field(d.u) = v
		return nil
	}
}

// toOptionalInt is toInt for fields that tell unset from zero.
func toOptionalInt(field func(*Unit) **int, least, most int) setter {
	return func(d *decoder, value string) error {
		if value == "" {
			*field(d.u) = nil
			return nil
		}
		v := 0
		err := toInt(func(*Unit) *int { return &v }, least, most)(d, value)
		if err == nil {
			*field(d.u) = &v
		}
		return err
	}
}

func toBytes(field func(*Unit) *int) setter {
	return func(d *decoder, value string) error {
		v, err := parseSize(value)
		if err != nil {
			return err
		}
		if v > 1<<30 {
			return fmt.Errorf("want at most 1G")
		}
		*field(d.u) = int(v)
		return nil
	}
}

func toMode(field func(*Unit) *uint32) setter {
	return func(d *decoder, value string) error {
		v, err := parseMode(value)
		if err == nil {
			*field(d.u) = v
		}
		return err
	}
}

func toSignal(field func(*Unit) *Signal) setter {
	return func(d *decoder, value string) error {
		v, err := ParseSignal(value)
		if err == nil {
			*field(d.u) = v
		}
		return err
	}
}

func toExits(field func(*Unit) *ExitSet) setter {
	return func(d *decoder, value string) error { return field(d.u).add(value) }
}

// toList appends words; check looks at each and may change it.
func toList(field func(*Unit) *[]string, how quoting, check func(string) (string, error)) setter {
	return func(d *decoder, value string) error {
		list := field(d.u)
		if value == "" {
			*list = nil
			return nil
		}
		more, err := d.words(value, how)
		if err != nil {
			return err
		}
		for _, w := range more {
			if check != nil {
				if w, err = check(w); err != nil {
					return err
				}
			}
			if len(*list) >= mostList {
				return errTooMany
			}
			*list = append(*list, w)
		}
		return nil
	}
}

// toDeps appends names of units to one or more relations.
func toDeps(relations ...Relation) setter {
	return func(d *decoder, value string) error {
		if value == "" {
			for _, r := range relations {
				delete(d.u.Deps, r)
			}
			return nil
		}
		names, err := d.words(value, quoting{})
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, err := ParseName(name); err != nil {
				d.note("%s= passes over %v", d.key, err)
				continue
			}
			for _, r := range relations {
				if err := d.u.relate(r, name); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// relate adds a dependency.
func (u *Unit) relate(r Relation, name string) error {
	if len(u.Deps[r]) >= mostList {
		return errTooMany
	}
	if u.Deps == nil {
		u.Deps = map[Relation][]string{}
	}
	if !slices.Contains(u.Deps[r], name) {
		u.Deps[r] = append(u.Deps[r], name)
	}
	return nil
}

// userName wants what can name a user or group, or a number.
func userName(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		if n == 65535 || n == 1<<32-1 {
			return "", fmt.Errorf("id %d stands for no user", n)
		}
		return s, nil
	}
	if len(s) > 256 || s[0] == '-' || s == "." || s == ".." {
		return "", fmt.Errorf("%q cannot name a user or group", shorten(s))
	}
	if strings.ContainsAny(s, ":/ \t\n") || strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 127 }) >= 0 {
		return "", fmt.Errorf("%q cannot name a user or group", shorten(s))
	}
	return s, nil
}

// toUser reads one user or group.
func toUser(field func(*Unit) *string) setter {
	return func(d *decoder, value string) error {
		v, err := d.expand(value)
		if err != nil {
			return err
		}
		if v, err = userName(v); err == nil {
			*field(d.u) = v
		}
		return err
	}
}

package unit

import (
	"fmt"
	"strings"
)

// row says how one directive is read.
type row struct {
	section string
	key     string
	// lax directives are passed over with a note if their value is malformed;
	// others make the unit bad, since they decide what runs, as whom or where.
	lax bool
	set func(d *decoder, value string) error
}

// foreign is a directive that is not done; what it means for the unit is
// known when all drop-ins are read, since an empty value takes it back.
type foreign struct {
	section, key, value string
	path                string
	line                int
}

// decoder fills one Unit from its files.
type decoder struct {
	set  *Set
	u    *Unit
	name Name
	spec specifiers

	path    string // of the file being read
	line    int
	key     string
	section string

	foreign      []foreign
	unknown      map[string]bool
	startOnly    bool // PermissionsStartOnly
	dbus         bool // Type=dbus, or BusName= and no Type
	busName      string
	bindIPv6     string
	triggerSet   bool
	fdNameSet    bool
	abortSet     bool
	startTimeout bool
}

// file reads one file into the unit.
func (d *decoder) file(path string, text []byte) error {
	lines, odd, err := lex(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	d.path = path
	for _, o := range odd {
		d.line = o.number
		d.note("%s", o.text)
	}
	for _, l := range lines {
		d.line, d.key, d.section = l.number, l.key, l.section
		if err := d.assign(l); err != nil {
			return fmt.Errorf("%s: line %d: %s=%s: %w", path, l.number, l.key, shorten(l.value), err)
		}
	}
	return nil
}

func (d *decoder) assign(l line) error {
	if strings.HasPrefix(l.section, "X-") || strings.HasPrefix(l.key, "X-") {
		return nil // meant for other programs
	}
	if !d.sectionFits(l.section) {
		d.once("["+l.section+"]", "section [%s] means nothing in a .%s unit", shorten(l.section), d.name.Ending)
		return nil
	}
	r, ok := d.set.rows[l.section+"."+l.key]
	if !ok {
		return d.other(l)
	}
	err := r.set(d, l.value)
	if err != nil && r.lax {
		d.note("%s=%s is passed over: %v", l.key, shorten(l.value), err)
		return nil
	}
	return err
}

func (d *decoder) sectionFits(section string) bool {
	switch section {
	case "Unit", "Install":
		return true
	case "Service":
		return d.u.Service != nil
	case "Socket":
		return d.u.Socket != nil
	case "Timer":
		return d.u.Timer != nil
	}
	return false
}

// other takes a directive that no row is for: limits and conditions, which go
// by prefix, what the policy names, and what nobody knows.
func (d *decoder) other(l line) error {
	if l.section == "Unit" {
		if kind, ok := strings.CutPrefix(l.key, "Condition"); ok {
			return d.condition(kind, l.value, false)
		}
		if kind, ok := strings.CutPrefix(l.key, "Assert"); ok {
			return d.condition(kind, l.value, true)
		}
	}
	if name, ok := strings.CutPrefix(l.key, "Limit"); ok && l.section == "Service" && strings.Contains(limitNames, " "+name+" ") {
		return d.limit(name, l.value)
	}
	if len(d.foreign) < mostList {
		d.foreign = append(d.foreign, foreign{l.section, l.key, l.value, d.path, d.line})
	}
	return nil
}

func (d *decoder) limit(name, value string) error {
	if value == "" {
		delete(d.u.Service.Run.Limits, name)
		return nil
	}
	l, err := parseLimit(name, value)
	if err != nil {
		return err
	}
	if d.u.Service.Run.Limits == nil {
		d.u.Service.Run.Limits = map[string]Limit{}
	}
	d.u.Service.Run.Limits[name] = l
	return nil
}

// settle applies the policy to what is not done. The error refuses the unit.
func (d *decoder) settle() error {
	last := map[string]foreign{}
	var order []string
	for _, f := range d.foreign {
		key := f.section + "." + f.key
		old, ok := last[key]
		if !ok {
			order = append(order, key)
		}
		if p := d.set.policies[f.key]; p.list && f.value != "" && p.asks(old.value) {
			continue // one entry that asks for something is enough
		}
		last[key] = f
	}
	var reasons []string
	byReason := map[string][]foreign{}
	for _, key := range order {
		f := last[key]
		p, ok := d.set.policies[f.key]
		switch {
		case !ok:
			p.why = "not known"
		case !p.asks(f.value):
			continue
		case p.class == refuse:
			return fmt.Errorf("%s: line %d: %s=%s: %s", f.path, f.line, f.key, shorten(f.value), p.why)
		}
		if len(byReason[p.why]) == 0 {
			reasons = append(reasons, p.why)
		}
		byReason[p.why] = append(byReason[p.why], f)
	}
	for _, why := range reasons {
		d.noteTogether(byReason[why], why)
	}
	return nil
}

// noteTogether says one reason once, for all directives that it is of.
func (d *decoder) noteTogether(list []foreign, why string) {
	const most = 40
	var names []string
	for i, f := range list {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		names = append(names, shorten(f.key)+"=")
	}
	d.path, d.line = list[0].path, list[0].line
	d.note("%s: %s", strings.Join(names, " "), why)
}

func (d *decoder) note(format string, args ...any) {
	if len(d.u.Notes) < mostNotes {
		d.u.Notes = append(d.u.Notes, Note{Path: d.path, Line: d.line, Text: fmt.Sprintf(format, args...)})
	}
}

// once is note for what would be said of many lines.
func (d *decoder) once(what, format string, args ...any) {
	if d.unknown[what] {
		return
	}
	if d.unknown == nil {
		d.unknown = map[string]bool{}
	}
	d.unknown[what] = true
	d.note(format, args...)
}

func (d *decoder) expand(s string) (string, error) { return d.spec.expand(s) }

// words splits a value and expands specifiers in each word.
func (d *decoder) words(value string, how quoting) ([]string, error) {
	list, err := words(value, how)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i], err = d.expand(list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

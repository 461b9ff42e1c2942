package unit

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// specifiers expands %i and its like for one unit.
type specifiers struct {
	name Name
	host *Host
	path string // of the unit file
}

// expand replaces all specifiers of a text. Unknown ones stay, as systemd
// leaves them.
func (sp *specifiers) expand(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if v, ok := sp.value(s[i]); ok {
			b.WriteString(v)
		} else {
			b.WriteByte('%')
			b.WriteByte(s[i])
		}
		if b.Len() > mostExpanded {
			return "", fmt.Errorf("longer than %d bytes when expanded", mostExpanded)
		}
	}
	return b.String(), nil
}

func (sp *specifiers) value(c byte) (string, bool) {
	if v, ok := sp.ofName(c); ok {
		return v, true
	}
	if v, ok := sp.ofHost(c); ok {
		return v, true
	}
	// Places, as the system manager has them.
	switch c {
	case '%':
		return "%", true
	case 't':
		return "/run", true
	case 'S':
		return "/var/lib", true
	case 'C':
		return "/var/cache", true
	case 'L':
		return "/var/log", true
	case 'E':
		return "/etc", true
	case 'D':
		return "/usr/share", true
	case 'T':
		return "/tmp", true
	case 'V':
		return "/var/tmp", true
	case 'd':
		return "/run/credentials/" + sp.name.Full, true
	}
	return "", false
}

// ofName is what follows from the unit's name.
func (sp *specifiers) ofName(c byte) (string, bool) {
	n := sp.name
	last := n.Prefix[strings.LastIndexByte(n.Prefix, '-')+1:]
	switch c {
	case 'n':
		return n.Full, true
	case 'N':
		return n.Stem(), true
	case 'p':
		return n.Prefix, true
	case 'P':
		return Unescape(n.Prefix), true
	case 'i':
		return n.Instance, true
	case 'I':
		return Unescape(n.Instance), true
	case 'j':
		return last, true
	case 'J':
		return Unescape(last), true
	case 'f':
		if n.Instance != "" {
			return "/" + strings.TrimPrefix(Unescape(n.Instance), "/"), true
		}
		return "/" + strings.TrimPrefix(Unescape(n.Prefix), "/"), true
	case 'y':
		return sp.path, true
	case 'Y':
		return path.Dir(sp.path), true
	}
	return "", false
}

// ofHost is what the container says about itself.
func (sp *specifiers) ofHost(c byte) (string, bool) {
	h := sp.host
	switch c {
	case 'H', 'q':
		return h.Hostname, true
	case 'l':
		short, _, _ := strings.Cut(h.Hostname, ".")
		return short, true
	case 'm':
		return h.MachineID, true
	case 'b':
		return h.BootID, true
	case 'v':
		return h.KernelRelease, true
	case 'a':
		return h.Architecture, true
	case 'u':
		return h.User, true
	case 'U':
		return strconv.Itoa(h.UID), true
	case 'g':
		return h.Group, true
	case 'G':
		return strconv.Itoa(h.GID), true
	case 'h':
		return h.Home, true
	case 's':
		return h.Shell, true
	}
	if i := strings.IndexByte("owWBMA", c); i >= 0 {
		key := []string{"ID", "VERSION_ID", "VARIANT_ID", "BUILD_ID", "IMAGE_ID", "IMAGE_VERSION"}[i]
		return h.OSRelease[key], true
	}
	return "", false
}

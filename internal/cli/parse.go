package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/docker/go-units"

	"silo/client/container"
)

// keyValueFiles reads files of name=value lines, as Docker's env files: blank
// lines and those that start with # are left out, names hold no blanks, values
// are taken as they stand. A name without a value takes it from lookup, and is
// left out if that has none or lookup is nil.
func keyValueFiles(files []string, lookup func(string) (string, bool)) ([]string, error) {
	var out []string
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		lines, err := keyValueLines(data, lookup)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, lines...)
	}
	return out, nil
}

func keyValueLines(data []byte, lookup func(string) (string, bool)) ([]string, error) {
	var out []string
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		if !utf8.Valid(lines.Bytes()) {
			return nil, fmt.Errorf("line %d is not UTF-8", n)
		}
		line := strings.TrimLeftFunc(lines.Text(), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		name, _, has := strings.Cut(line, "=")
		switch {
		case name == "":
			return nil, fmt.Errorf("line %d: no name before =: %q", n, line)
		case strings.ContainsAny(name, " \t"):
			return nil, fmt.Errorf("line %d: the name %q contains a blank", n, name)
		case has:
			out = append(out, line)
		case lookup != nil:
			if v, ok := lookup(name); ok {
				out = append(out, name+"="+v)
			}
		}
	}
	return out, lines.Err()
}

// envFlag checks an environment variable of -e; one without a value takes that
// of this process, if it has one.
func envFlag(s string) (string, error) {
	name, _, has := strings.Cut(s, "=")
	if name == "" {
		return "", fmt.Errorf("%q has no name", s)
	}
	if !has {
		if v, ok := os.LookupEnv(name); ok {
			return name + "=" + v, nil
		}
	}
	return s, nil
}

// labelFlag checks a label of -l.
func labelFlag(s string) (string, error) {
	if k, _, _ := strings.Cut(s, "="); strings.TrimSpace(k) == "" {
		return "", fmt.Errorf("%q has no name", s)
	}
	return s, nil
}

// pairs makes a map of name=value texts; a name without = gets "".
func pairs(list []string) map[string]string {
	m := make(map[string]string, len(list))
	for _, s := range list {
		k, v, _ := strings.Cut(s, "=")
		m[k] = v
	}
	return m
}

// addressFlag checks an IP address.
func addressFlag(s string) (string, error) {
	if _, err := netip.ParseAddr(strings.TrimSpace(s)); err != nil {
		return "", fmt.Errorf("%q is not an IP address", s)
	}
	return strings.TrimSpace(s), nil
}

// searchFlag checks a DNS search domain; "." stands for none.
func searchFlag(s string) (string, error) {
	d := strings.Trim(s, " ")
	if d == "." {
		return d, nil
	}
	if d == "" || len(d) > 255 || strings.ContainsFunc(d, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && !(r >= '0' && r <= '9') && !(r|0x20 >= 'a' && r|0x20 <= 'z')
	}) {
		return "", fmt.Errorf("%q is not a domain", s)
	}
	return d, nil
}

// hostFlag checks a line for /etc/hosts, name:address or name=address; the
// address may be host-gateway.
func hostFlag(s string) (string, error) {
	name, addr, ok := strings.Cut(s, "=")
	if !ok {
		name, addr, ok = strings.Cut(s, ":")
	}
	if !ok || name == "" {
		return "", fmt.Errorf("%q is not of the form name:address", s)
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	if addr != "host-gateway" {
		if _, err := netip.ParseAddr(bare); err != nil {
			return "", fmt.Errorf("%q: %q is not an IP address", s, addr)
		}
		addr = bare
	}
	return name + ":" + addr, nil
}

// streamFlag checks the name of a standard stream.
func streamFlag(s string) (string, error) {
	switch l := strings.ToLower(s); l {
	case "stdin", "stdout", "stderr":
		return l, nil
	}
	return "", fmt.Errorf("%q is not a stream: use stdin, stdout or stderr", s)
}

// ulimits reads name=soft[:hard]; a name that comes again replaces the first.
func ulimits(list []string) ([]*container.Ulimit, error) {
	var out []*container.Ulimit
	for _, s := range list {
		u, err := units.ParseUlimit(s)
		if err != nil {
			return nil, fmt.Errorf("--ulimit %q: %v", s, err)
		}
		replaced := false
		for i, old := range out {
			if old.Name == u.Name {
				out[i], replaced = u, true
			}
		}
		if !replaced {
			out = append(out, u)
		}
	}
	return out, nil
}

// device reads HOST[:CONTAINER][:PERMISSIONS].
func device(s string) (container.DeviceMapping, error) {
	d := container.DeviceMapping{CgroupPermissions: "rwm"}
	parts := strings.Split(s, ":")
	switch {
	case len(parts) > 3:
		return d, fmt.Errorf("--device %q: too many colons: use HOST[:CONTAINER][:rwm]", s)
	case len(parts) == 3:
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
		if !devicePermissions(parts[2]) {
			return d, fmt.Errorf("--device %q: %q are not permissions: use letters of rwm", s, parts[2])
		}
	case len(parts) == 2 && devicePermissions(parts[1]):
		d.CgroupPermissions = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	}
	d.PathOnHost = parts[0]
	if d.PathInContainer == "" {
		d.PathInContainer = parts[0]
	}
	for _, p := range []string{d.PathOnHost, d.PathInContainer} {
		if !path.IsAbs(p) {
			return d, fmt.Errorf("--device %q: %q is not an absolute path", s, p)
		}
	}
	d.PathInContainer = path.Clean(d.PathInContainer)
	return d, nil
}

// devicePermissions tells whether s is made of r, w and m, each once.
func devicePermissions(s string) bool {
	for i, c := range s {
		if !strings.ContainsRune("rwm", c) || strings.ContainsRune(s[:i], c) {
			return false
		}
	}
	return s != ""
}

// restartPolicy reads NAME[:RETRIES].
func restartPolicy(s string) (container.RestartPolicy, error) {
	var p container.RestartPolicy
	if s == "" {
		return p, nil
	}
	name, count, has := strings.Cut(s, ":")
	p.Name = container.RestartPolicyMode(name)
	if has {
		n, err := strconv.Atoi(count)
		if err != nil {
			return p, fmt.Errorf("--restart %q: %q is not a number of retries", s, count)
		}
		p.MaximumRetryCount = n
	}
	switch p.Name {
	case container.RestartPolicyDisabled, container.RestartPolicyAlways, container.RestartPolicyUnlessStopped:
		if has && p.MaximumRetryCount != 0 {
			return p, fmt.Errorf("--restart %q: only on-failure takes a number of retries", s)
		}
	case container.RestartPolicyOnFailure:
		if p.MaximumRetryCount < 0 {
			return p, fmt.Errorf("--restart %q: the number of retries is negative", s)
		}
	default:
		return p, fmt.Errorf("--restart %q: use no, on-failure[:N], always or unless-stopped", s)
	}
	return p, nil
}

// securityOptions checks --security-opt and puts the content of a seccomp
// profile in the place of its file name.
func securityOptions(list []string) ([]string, error) {
	var out []string
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok && k != "no-new-privileges" {
			k, v, ok = strings.Cut(s, ":")
		}
		if (!ok || v == "") && k != "no-new-privileges" {
			return nil, fmt.Errorf("--security-opt %q is not of the form name=value", s)
		}
		if k == "seccomp" && v != "unconfined" && v != "builtin" {
			profile, err := seccompProfile(v)
			if err != nil {
				return nil, err
			}
			s = "seccomp=" + profile
		}
		out = append(out, s)
	}
	return out, nil
}

func seccompProfile(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--security-opt seccomp: %w", err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return "", fmt.Errorf("--security-opt seccomp: %s: not JSON: %v", file, err)
	}
	return b.String(), nil
}

// bind reads -v: [SOURCE:]TARGET[:OPTIONS]. A SOURCE that begins with . is
// made absolute. anonymous is set if there is no source.
func bind(s string) (spec string, anonymous bool, err error) {
	parts := strings.Split(s, ":")
	for _, p := range parts {
		if p == "" {
			return "", false, fmt.Errorf("-v %q: empty section: use [SOURCE:]TARGET[:OPTIONS]", s)
		}
	}
	switch len(parts) {
	case 1:
		if !path.IsAbs(s) {
			return "", false, fmt.Errorf("-v %q: %q is not an absolute path in the container", s, s)
		}
		return s, true, nil
	case 2, 3:
		if !path.IsAbs(parts[1]) {
			return "", false, fmt.Errorf("-v %q: %q is not an absolute path in the container", s, parts[1])
		}
		if strings.HasPrefix(parts[0], ".") {
			abs, err := filepath.Abs(parts[0])
			if err != nil {
				return "", false, fmt.Errorf("-v %q: %w", s, err)
			}
			parts[0] = abs
		}
		return strings.Join(parts, ":"), false, nil
	}
	return "", false, fmt.Errorf("-v %q: too many colons: use [SOURCE:]TARGET[:OPTIONS]", s)
}

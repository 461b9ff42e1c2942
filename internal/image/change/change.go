// Package change applies Dockerfile instructions to an image config, as
// `import --change` takes them: those that change the config and need no build.
package change

import (
	"encoding/json"
	"maps"
	"path"
	"strconv"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"silo/internal/errs"
)

// instructions are those that Apply takes. ONBUILD only stores its argument.
var instructions = map[string]func(*dockerspec.DockerOCIImageConfig, string) error{
	"CMD":         func(c *dockerspec.DockerOCIImageConfig, a string) (err error) { c.Cmd, err = command(c, a); return },
	"ENTRYPOINT":  entrypoint,
	"ENV":         env,
	"EXPOSE":      expose,
	"HEALTHCHECK": healthcheck,
	"LABEL":       label,
	"ONBUILD":     onbuild,
	"STOPSIGNAL":  stopsignal,
	"USER":        user,
	"VOLUME":      volume,
	"WORKDIR":     workdir,
}

// Apply changes cfg by lines of Dockerfile instructions, in order. Each
// element may hold several lines; one that ends in a backslash goes on in the
// next. Errors are errs.Invalid and name the instruction; cfg is then as it was.
func Apply(cfg *dockerspec.DockerOCIImageConfig, lines []string) error {
	c := clone(cfg)
	for _, line := range logicalLines(strings.Join(lines, "\n")) {
		name, args, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		name = strings.ToUpper(name)
		if len(line) > len(name) {
			args = line[len(name)+1:] // with its tabs
		}
		do, ok := instructions[name]
		if !ok {
			return errs.Invalidf("change %q: %s is not a valid change command", line, name)
		}
		args = strings.TrimSpace(args)
		if args == "" {
			return errs.Invalidf("change %q: %s requires at least one argument", line, name)
		}
		if err := do(&c, args); err != nil {
			return errs.Invalidf("change %q: %v", line, err)
		}
	}
	*cfg = c
	return nil
}

// clone copies what Apply changes in place.
func clone(cfg *dockerspec.DockerOCIImageConfig) dockerspec.DockerOCIImageConfig {
	c := *cfg
	c.Env = append([]string(nil), c.Env...)
	c.OnBuild = append([]string(nil), c.OnBuild...)
	c.Labels, c.ExposedPorts, c.Volumes = maps.Clone(c.Labels), maps.Clone(c.ExposedPorts), maps.Clone(c.Volumes)
	return c
}

// command reads the JSON form, or wraps the shell form in the image's shell.
func command(c *dockerspec.DockerOCIImageConfig, args string) ([]string, error) {
	if list, ok := jsonForm(args); ok {
		return list, nil
	}
	shell := c.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(append([]string(nil), shell...), args), nil
}

// entrypoint leaves CMD alone: a Dockerfile's drops the one of the parent
// image, and an import has no parent.
func entrypoint(c *dockerspec.DockerOCIImageConfig, args string) (err error) {
	c.Entrypoint, err = command(c, args)
	return err
}

func env(c *dockerspec.DockerOCIImageConfig, args string) error {
	pairs, err := pairs(args, lookup(c))
	if err != nil {
		return err
	}
	for _, p := range pairs {
		setEnv(c, p[0], p[1])
	}
	return nil
}

func setEnv(c *dockerspec.DockerOCIImageConfig, name, value string) {
	for i, kv := range c.Env {
		if k, _, _ := strings.Cut(kv, "="); k == name {
			c.Env[i] = name + "=" + value
			return
		}
	}
	c.Env = append(c.Env, name+"="+value)
}

func lookup(c *dockerspec.DockerOCIImageConfig) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, kv := range c.Env {
			if k, v, _ := strings.Cut(kv, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
}

func label(c *dockerspec.DockerOCIImageConfig, args string) error {
	pairs, err := pairs(args, lookup(c))
	if err != nil {
		return err
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	for _, p := range pairs {
		c.Labels[p[0]] = p[1]
	}
	return nil
}

func expose(c *dockerspec.DockerOCIImageConfig, args string) error {
	words, err := words(args, lookup(c))
	if err != nil {
		return err
	}
	if c.ExposedPorts == nil {
		c.ExposedPorts = map[string]struct{}{}
	}
	for _, w := range words {
		ports, proto, _ := strings.Cut(w, "/")
		if proto == "" {
			proto = "tcp"
		}
		proto = strings.ToLower(proto)
		if proto != "tcp" && proto != "udp" && proto != "sctp" {
			return errs.Invalidf("invalid proto: %s", proto)
		}
		first, last, isRange := strings.Cut(ports, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || from > to {
			return errs.Invalidf("invalid containerPort: %s", w)
		}
		for p := from; p <= to; p++ {
			c.ExposedPorts[strconv.FormatUint(p, 10)+"/"+proto] = struct{}{}
		}
	}
	return nil
}

func user(c *dockerspec.DockerOCIImageConfig, args string) (err error) {
	c.User, err = one("USER", args, lookup(c))
	return err
}

func stopsignal(c *dockerspec.DockerOCIImageConfig, args string) (err error) {
	c.StopSignal, err = one("STOPSIGNAL", args, lookup(c))
	return err
}

func workdir(c *dockerspec.DockerOCIImageConfig, args string) error {
	dir, err := expand(args, lookup(c))
	if err != nil {
		return err
	}
	if !path.IsAbs(dir) {
		dir = path.Join("/", c.WorkingDir, dir)
	}
	c.WorkingDir = path.Clean(dir)
	return nil
}

func volume(c *dockerspec.DockerOCIImageConfig, args string) error {
	list, ok := jsonForm(args)
	if !ok {
		var err error
		if list, err = words(args, lookup(c)); err != nil {
			return err
		}
	}
	if c.Volumes == nil {
		c.Volumes = map[string]struct{}{}
	}
	for _, v := range list {
		if v = strings.TrimSpace(v); v == "" {
			return errs.Invalidf("VOLUME specified can not be an empty string")
		}
		c.Volumes[v] = struct{}{}
	}
	return nil
}

func onbuild(c *dockerspec.DockerOCIImageConfig, args string) error {
	first, _, _ := strings.Cut(args, " ")
	switch name := strings.ToUpper(first); name {
	case "ONBUILD":
		return errs.Invalidf("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
	case "MAINTAINER", "FROM":
		return errs.Invalidf("%s isn't allowed as an ONBUILD trigger", name)
	}
	c.OnBuild = append(c.OnBuild, args)
	return nil
}

func healthcheck(c *dockerspec.DockerOCIImageConfig, args string) error {
	h := &dockerspec.HealthcheckConfig{}
	for strings.HasPrefix(args, "--") {
		flag, rest, _ := strings.Cut(args, " ")
		args = strings.TrimSpace(rest)
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		if err := healthFlag(h, name, value); err != nil {
			return err
		}
	}
	kind, rest, _ := strings.Cut(args, " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToUpper(kind) {
	case "NONE":
		if rest != "" {
			return errs.Invalidf("HEALTHCHECK NONE takes no arguments")
		}
		h.Test = []string{"NONE"}
	case "CMD":
		if rest == "" {
			return errs.Invalidf("missing command after HEALTHCHECK CMD")
		}
		if list, ok := jsonForm(rest); ok {
			h.Test = append([]string{"CMD"}, list...)
		} else {
			h.Test = []string{"CMD-SHELL", rest}
		}
	default:
		return errs.Invalidf("unknown type %q in HEALTHCHECK (try CMD)", kind)
	}
	c.Healthcheck = h
	return nil
}

func healthFlag(h *dockerspec.HealthcheckConfig, name, value string) error {
	if name == "retries" {
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return errs.Invalidf("--retries %q is not a number from 0", value)
		}
		h.Retries = int(n)
		return nil
	}
	target, ok := map[string]*time.Duration{
		"interval": &h.Interval, "timeout": &h.Timeout,
		"start-period": &h.StartPeriod, "start-interval": &h.StartInterval,
	}[name]
	if !ok {
		return errs.Invalidf("unknown flag: --%s", name)
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > 0 && d < time.Millisecond {
		return errs.Invalidf("--%s %q is not a duration of 1ms or more", name, value)
	}
	*target = d
	return nil
}

// jsonForm reads ["a", "b"]. Anything else is the shell form, a broken list too.
func jsonForm(args string) ([]string, bool) {
	if !strings.HasPrefix(args, "[") {
		return nil, false
	}
	list := []string{}
	if json.Unmarshal([]byte(args), &list) != nil {
		return nil, false
	}
	return list, true
}

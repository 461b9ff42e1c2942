package cli

import (
	"encoding/csv"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/mount"
)

// mountFlag reads --mount: a line of comma separated key=value fields.
func mountFlag(s string) (mount.Mount, error) {
	m := mount.Mount{Type: mount.TypeVolume}
	fields, err := csv.NewReader(strings.NewReader(strings.TrimSpace(s))).Read()
	if err != nil {
		return m, fmt.Errorf("--mount %q: not a list of key=value: %v", s, err)
	}
	for _, field := range fields {
		key, val, has := strings.Cut(field, "=")
		if err := mountField(&m, strings.ToLower(key), val, has); err != nil {
			return m, fmt.Errorf("--mount %q: %w", s, err)
		}
	}
	if err := checkMount(m); err != nil {
		return m, fmt.Errorf("--mount %q: %w", s, err)
	}
	return m, nil
}

// mountField applies one field.
func mountField(m *mount.Mount, key, val string, has bool) (err error) {
	switch {
	case strings.TrimSpace(key) != key || strings.TrimSpace(val) != val:
		return fmt.Errorf("%q: blanks around = or ,", key+"="+val)
	case has && val == "":
		return fmt.Errorf("%s has an empty value", key)
	case !has && key != "readonly" && key != "ro" && key != "volume-nocopy" && key != "bind-create-src":
		return fmt.Errorf("%q is not of the form key=value", key)
	}
	switch key {
	case "type":
		m.Type = mount.Type(strings.ToLower(val))
	case "source", "src":
		m.Source = val
		if strings.HasPrefix(val, ".") {
			m.Source, err = filepath.Abs(val)
		}
	case "target", "dst", "destination":
		m.Target = val
	case "readonly", "ro":
		m.ReadOnly, err = boolField(key, val, has)
	case "bind-propagation":
		bindOptions(m).Propagation = mount.Propagation(strings.ToLower(val))
	case "bind-recursive":
		err = bindRecursive(bindOptions(m), val)
	case "bind-create-src":
		bindOptions(m).CreateMountpoint, err = boolField(key, val, has)
	case "volume-subpath":
		volumeOptions(m).Subpath = val
	case "volume-nocopy":
		volumeOptions(m).NoCopy, err = boolField(key, val, has)
	case "volume-label":
		o := volumeOptions(m)
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		k, v, _ := strings.Cut(val, "=")
		o.Labels[k] = v
	case "tmpfs-size":
		n, serr := units.RAMInBytes(val)
		if serr != nil {
			return fmt.Errorf("tmpfs-size %q is not a size", val)
		}
		tmpfsOptions(m).SizeBytes = n
	case "tmpfs-mode":
		n, serr := strconv.ParseUint(val, 8, 32)
		if serr != nil {
			return fmt.Errorf("tmpfs-mode %q is not an octal number", val)
		}
		tmpfsOptions(m).Mode = os.FileMode(n)
	default:
		return fmt.Errorf("there is no option %q", key)
	}
	return err
}

func bindRecursive(o *mount.BindOptions, val string) error {
	switch val {
	case "enabled":
	case "disabled":
		o.NonRecursive = true
	case "writable":
		o.ReadOnlyNonRecursive = true
	case "readonly":
		o.ReadOnlyForceRecursive = true
	default:
		return fmt.Errorf("bind-recursive %q: use enabled, disabled, writable or readonly", val)
	}
	return nil
}

func boolField(key, val string, has bool) (bool, error) {
	if !has {
		return true, nil
	}
	switch val {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, fmt.Errorf("%s %q: use true or false", key, val)
}

func bindOptions(m *mount.Mount) *mount.BindOptions {
	if m.BindOptions == nil {
		m.BindOptions = &mount.BindOptions{}
	}
	return m.BindOptions
}

func volumeOptions(m *mount.Mount) *mount.VolumeOptions {
	if m.VolumeOptions == nil {
		m.VolumeOptions = &mount.VolumeOptions{}
	}
	return m.VolumeOptions
}

func tmpfsOptions(m *mount.Mount) *mount.TmpfsOptions {
	if m.TmpfsOptions == nil {
		m.TmpfsOptions = &mount.TmpfsOptions{}
	}
	return m.TmpfsOptions
}

// checkMount refuses what does not go together.
func checkMount(m mount.Mount) error {
	switch m.Type {
	case mount.TypeBind, mount.TypeVolume, mount.TypeTmpfs:
	default:
		return fmt.Errorf("type %q: use bind, volume or tmpfs", m.Type)
	}
	switch {
	case m.Target == "":
		return fmt.Errorf("no target")
	case !path.IsAbs(m.Target):
		return fmt.Errorf("target %q is not an absolute path", m.Target)
	case m.Type == mount.TypeBind && m.Source == "":
		return fmt.Errorf("no source for a bind mount")
	case m.Type == mount.TypeBind && !path.IsAbs(m.Source):
		return fmt.Errorf("source %q is not an absolute path", m.Source)
	case m.Type == mount.TypeTmpfs && m.Source != "":
		return fmt.Errorf("a tmpfs has no source")
	case m.BindOptions != nil && m.Type != mount.TypeBind:
		return fmt.Errorf("bind options do not go with type %s", m.Type)
	case m.VolumeOptions != nil && m.Type != mount.TypeVolume:
		return fmt.Errorf("volume options do not go with type %s", m.Type)
	case m.TmpfsOptions != nil && m.Type != mount.TypeTmpfs:
		return fmt.Errorf("tmpfs options do not go with type %s", m.Type)
	}
	if o := m.BindOptions; o != nil && !m.ReadOnly && (o.ReadOnlyNonRecursive || o.ReadOnlyForceRecursive) {
		return fmt.Errorf("bind-recursive writable or readonly needs readonly")
	}
	return nil
}

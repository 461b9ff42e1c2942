package unit

import (
	"fmt"
	"slices"
	"strings"
)

// Condition is one Condition…= or Assert…=.
type Condition struct {
	Kind    string // PathExists, User, …
	Value   string
	Negate  bool // !: must not hold
	Trigger bool // |: one of those with it must hold
	Assert  bool // a failure fails the start; of a condition it only skips it
}

// String is the condition as it stands in a file.
func (c Condition) String() string {
	s := "Condition"
	if c.Assert {
		s = "Assert"
	}
	s += c.Kind + "="
	if c.Trigger {
		s += "|"
	}
	if c.Negate {
		s += "!"
	}
	return s + c.Value
}

// conditionKinds are all that can be told of a container, check.go says how.
const conditionKinds = `PathExists PathExistsGlob PathIsDirectory PathIsSymbolicLink PathIsMountPoint PathIsReadWrite PathIsEncrypted DirectoryNotEmpty
 FileNotEmpty FileIsExecutable User Group Virtualization Capability KernelCommandLine KernelVersion Version Environment Host Architecture ControlGroupController
 Memory CPUs ACPower Security FirstBoot NeedsUpdate OSRelease Credential CPUFeature Firmware KernelModuleLoaded CPUPressure MemoryPressure IOPressure`

func (d *decoder) condition(kind, value string, assert bool) error {
	if !slices.Contains(strings.Fields(conditionKinds), kind) {
		d.note("%s= is not known: it is taken to hold", d.key)
		return nil
	}
	if value == "" {
		// Clears conditions of all kinds, asserts apart, as systemd has it.
		kept := d.u.Conditions[:0]
		for _, c := range d.u.Conditions {
			if c.Assert != assert {
				kept = append(kept, c)
			}
		}
		d.u.Conditions = kept
		return nil
	}
	c := Condition{Kind: kind, Assert: assert}
	value, c.Trigger = strings.CutPrefix(value, "|")
	value, c.Negate = strings.CutPrefix(strings.TrimLeft(value, blanks), "!")
	value, err := d.expand(strings.TrimLeft(value, blanks))
	if err != nil {
		return err
	}
	if strings.HasPrefix(kind, "Path") || strings.HasPrefix(kind, "File") || kind == "DirectoryNotEmpty" {
		if value, err = cleanPath(value); err != nil {
			return err
		}
	}
	if len(d.u.Conditions) >= mostList {
		return fmt.Errorf("conditions: %w", errTooMany)
	}
	c.Value = value
	d.u.Conditions = append(d.u.Conditions, c)
	return nil
}

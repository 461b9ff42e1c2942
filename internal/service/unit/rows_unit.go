package unit

import "time"

// rows is the table of all directives that Silo does, by section and name.
// [Service], [Socket] and [Timer] have files of their own.
func rows() map[string]row {
	table := map[string]row{}
	for _, list := range [][]row{unitRows(), installRows(), serviceRows(), runRows(), socketRows(), timerRows()} {
		for _, r := range list {
			table[r.section+"."+r.key] = r
		}
	}
	return table
}

func unitRows() []row {
	list := []row{
		{"Unit", "Description", true, toText(func(u *Unit) *string { return &u.Description })},
		{"Unit", "Documentation", true, toList(func(u *Unit) *[]string { return &u.Documentation }, quoting{}, nil)},
		{"Unit", "DefaultDependencies", false, toBool(func(u *Unit) *bool { return &u.DefaultDeps })},
		{"Unit", "RefuseManualStart", true, toBool(func(u *Unit) *bool { return &u.RefuseManualStart })},
		{"Unit", "RefuseManualStop", true, toBool(func(u *Unit) *bool { return &u.RefuseManualStop })},
		{"Unit", "BindTo", false, toDeps(BindsTo)}, // its first name
		{"Unit", "PropagateReloadTo", false, toDeps(PropagatesReload)},
		{"Unit", "PropagateReloadFrom", false, toDeps(ReloadFrom)},
	}
	for _, r := range []Relation{
		Requires, Requisite, Wants, BindsTo, PartOf, Upholds, Conflicts, Before, After, OnFailure, OnSuccess,
		PropagatesReload, ReloadFrom, PropagatesStop, StopFrom, JoinsNamespaceOf,
	} {
		list = append(list, row{"Unit", string(r), false, toDeps(r)})
	}
	// The limit of starts stood in [Service] under older names.
	for _, section := range []string{"Unit", "Service"} {
		for _, key := range []string{"StartLimitIntervalSec", "StartLimitInterval"} {
			list = append(list, row{section, key, false, toSpan(func(u *Unit) *time.Duration { return &u.StartLimitInterval })})
		}
		list = append(list, row{section, "StartLimitBurst", false, toInt(func(u *Unit) *int { return &u.StartLimitBurst }, 0, 1<<30)})
	}
	return list
}

func installRows() []row {
	names := func(field func(*Unit) *[]string) setter {
		return toList(field, quoting{}, func(s string) (string, error) {
			_, err := ParseName(s)
			return s, err
		})
	}
	return []row{
		{"Install", "WantedBy", true, names(func(u *Unit) *[]string { return &u.Install.WantedBy })},
		{"Install", "RequiredBy", true, names(func(u *Unit) *[]string { return &u.Install.RequiredBy })},
		{"Install", "UpheldBy", true, names(func(u *Unit) *[]string { return &u.Install.UpheldBy })},
		{"Install", "Also", true, names(func(u *Unit) *[]string { return &u.Install.Also })},
		{"Install", "Alias", true, names(func(u *Unit) *[]string { return &u.Install.Alias })},
		{"Install", "DefaultInstance", true, toText(func(u *Unit) *string { return &u.Install.DefaultInstance })},
	}
}

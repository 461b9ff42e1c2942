package listing

import (
	"fmt"
	"io"
	"strings"

	"silo/api"
)

// PropertyGroups are the groups of properties, in the order of their table.
var PropertyGroups = []string{"system", "network", "processes", "services", "ports", "users", "disk", "limits", "security"}

// Session names a container's session; one that has never run has none, and 0
// is the host's.
func Session(n uint32) string {
	if n == 0 {
		return "no session"
	}
	return fmt.Sprintf("session %d", n)
}

// Properties writes both views of a container, group by group.
func Properties(w io.Writer, p *api.Properties) error {
	fmt.Fprintf(w, "%s  %s  %s, isolation %s, %s\n", p.Name, ShortID(p.Container), p.State, p.Isolation, Session(p.Session))
	if p.Inside != "" {
		fmt.Fprintf(w, "inside: could not be read: %s\n", p.Inside)
	}
	if p.Truncated {
		fmt.Fprintln(w, "there is more than is listed")
	}
	for _, g := range PropertyGroups {
		if err := printGroup(w, g, p); err != nil {
			return err
		}
	}
	return nil
}

// printGroup prints one group: its properties, then its list.
func printGroup(w io.Writer, group string, p *api.Properties) error {
	var rows []api.Property
	for _, x := range p.Properties {
		if x.Group == group {
			rows = append(rows, x)
		}
	}
	var list grid
	switch group {
	case "processes":
		list = processTable(p.Processes)
	case "ports":
		list = portTable(p.Ports)
	case "users":
		list = userTable(p.Users)
	case "disk":
		list = layerTable(p)
	}
	if len(rows) == 0 && len(list) < 2 {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", strings.ToUpper(group))
	var own grid
	for _, x := range rows {
		mark := ""
		if x.Answer != x.Want && x.Answer != api.NotSupported && p.Inside == "" {
			mark = "!"
		}
		line := gridLine{cells: []string{x.Title, dash(x.Inside), dash(x.Outside), mark + string(x.Answer), x.Belongs}}
		if x.Answer != api.NotSupported || mark != "" {
			line.detail = x.Detail
		}
		own = append(own, line)
	}
	if err := own.print(w); err != nil || len(list) < 2 {
		return err
	}
	if len(own) > 0 {
		fmt.Fprintln(w)
	}
	return list.print(w)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return Ellipsis(s, 60)
}

// pairOf writes what both sides say: once if it is the same.
func pairOf(in, out any, known bool) string {
	if !known || fmt.Sprint(in) == fmt.Sprint(out) {
		return fmt.Sprint(out)
	}
	return fmt.Sprintf("%v | %v", in, out)
}

func processTable(list []api.ProcessView) grid {
	g := grid{gridRow("", "PROCESS", "SESSION", "PARENT", "USER INSIDE", "USER OUTSIDE", "NAME", "EXECUTABLE", "ANSWER")}
	for _, p := range list {
		in, out := p.PIDInside != 0, p.PID != 0
		inside, outside := "-", "-"
		if in {
			inside = Account(p.UserInside, int64(p.UIDInside))
		}
		if out {
			outside = Account(p.User, int64(p.UID))
		}
		both := func(inside, outside any) string {
			if !out {
				return fmt.Sprintf("%v | -", inside)
			}
			return pairOf(inside, outside, in)
		}
		g = append(g, gridRow(p.Detail, both(p.PIDInside, p.PID), both(p.SessionInside, p.Session), both(p.ParentInside, p.Parent), inside,
			outside, both(p.NameInside, p.Name), both(p.ExecutableInside, p.Executable), p.Answer))
	}
	return g
}

// Account shows an account and its id; the name may be empty.
func Account(name string, id int64) string {
	if name == "" {
		return fmt.Sprint(id)
	}
	return fmt.Sprintf("%s (%d)", name, id)
}

func portTable(list []api.PortView) grid {
	g := grid{gridRow("", "PORT", "ADDRESS", "PROCESS", "WHO CAN CONNECT", "ANSWER")}
	for _, p := range list {
		who := "-"
		if p.PID != 0 {
			who = fmt.Sprintf("%s (%s)", p.Process, pairOf(p.PIDInside, p.PID, p.PIDInside != 0))
		}
		g = append(g, gridRow(p.Detail, fmt.Sprintf("%d/%s", p.Port, p.Protocol), p.Address, who, strings.Join(p.Reach, ", "), p.Answer))
	}
	return g
}

func userTable(list []api.UserView) grid {
	g := grid{gridRow("", "USER", "ID INSIDE", "ID OUTSIDE", "ACCOUNT OUTSIDE", "PROCESSES", "HOME", "ANSWER")}
	for _, u := range list {
		id, account := "none", "none"
		if u.Outside >= 0 {
			id = fmt.Sprint(u.Outside)
		}
		if u.Account != "" {
			account = u.Account
		}
		g = append(g, gridRow(u.Detail, u.Name, u.UID, id, account, u.Processes, u.Home, u.Answer))
	}
	return g
}

func layerTable(p *api.Properties) grid {
	if len(p.Layers) == 0 {
		return nil
	}
	g := grid{gridRow("", "LAYER", "SIZE", "PATH")}
	for i, l := range p.Layers {
		name := fmt.Sprint(i + 1)
		if l.Base {
			name = "all as one"
		}
		g = append(g, gridRow("", name, Size(l.Size), l.Path))
	}
	if d := p.Disk; d != nil {
		device := d.Device
		if device == "" {
			device = "not attached"
		}
		g = append(g, gridRow("", "disk", Size(d.Allocated)+" of "+Size(d.Size), d.Path+" ("+device+")"))
		for _, m := range d.Mounts {
			g = append(g, gridRow("", "shown at", "", m))
		}
	}
	return g
}

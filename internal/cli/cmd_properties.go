package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"silo/api"
)

// propertyGroups are the groups of properties, in the order of their table.
var propertyGroups = []string{"system", "network", "processes", "services", "ports", "users", "disk", "limits", "security"}

// propertyFlags are the flags of properties.
type propertyFlags struct {
	groups            []string
	json, diff, watch bool
}

func cmdProperties(a *app) *cobra.Command {
	var o propertyFlags
	c := &cobra.Command{
		Use:   "properties [OPTIONS] CONTAINER",
		Short: "Show a container from inside and from the host, side by side",
		Long: `Each property is read twice: by a small program among the container's processes,
and by the daemon from the host. It answers "same", "differs", "not supported" (only
one side can know it, or this host does not have it) or "could not tell".

What comes from inside is the word of the container. Where the two differ, the
host's view is what is so.

Groups: ` + strings.Join(propertyGroups, ", ") + `.`,
		Example: `silo properties core
silo properties --group processes --group ports core
silo properties --diff --watch core`,
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeContainers(1, ""),
	}
	f := c.Flags()
	f.StringArrayVarP(&o.groups, "group", "g", nil, "Show only this group; may be repeated")
	f.BoolVar(&o.json, "json", false, "Print JSON")
	f.BoolVar(&o.diff, "diff", false, "Show only what is not as expected; exit code 1 if there is something")
	f.BoolVarP(&o.watch, "watch", "w", false, "Look again every second, print when something has changed")
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, g := range o.groups {
			if !slices.Contains(propertyGroups, g) {
				return exit(125, fmt.Errorf("--group %q: there are %s", g, strings.Join(propertyGroups, ", ")))
			}
		}
		return a.properties(c.Context(), &o, args[0])
	}
	return c
}

func (a *app) properties(ctx context.Context, o *propertyFlags, ref string) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for last := ""; ; {
		p, err := cl.Properties(ctx, ref)
		if err != nil {
			if o.watch && ctx.Err() != nil {
				return nil
			}
			return err
		}
		unexpected := o.narrow(&p)
		var out strings.Builder
		if o.json {
			out.WriteString(toJSON(p) + "\n")
		} else if err := printProperties(&out, o, &p); err != nil {
			return err
		}
		if s := settled(&p); s != last {
			last = s
			if _, err := io.WriteString(a.out, out.String()); err != nil {
				return err
			}
		}
		if !o.watch {
			if o.diff && unexpected {
				return exit(1, nil)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// settled is what must change for a watch to print again: not how much
// processor time has been used meanwhile.
func settled(p *api.Properties) string {
	q := *p
	q.At = time.Time{}
	q.Properties = slices.DeleteFunc(slices.Clone(p.Properties), func(x api.Property) bool { return x.Name == "usage" })
	q.Processes = slices.Clone(p.Processes)
	for i := range q.Processes {
		q.Processes[i].CPU, q.Processes[i].Memory, q.Processes[i].State = 0, 0, ""
	}
	if p.Disk != nil {
		d := *p.Disk
		d.Allocated = 0
		q.Disk = &d
		for i, x := range q.Properties {
			if x.Name == "disk" {
				q.Properties[i].Outside = ""
			}
		}
	}
	return toJSON(q)
}

// narrow leaves what was asked for, and tells whether something of it is not
// as expected.
func (o *propertyFlags) narrow(p *api.Properties) (unexpected bool) {
	drop := func(group string, answer, want api.Answer) bool {
		if len(o.groups) > 0 && !slices.Contains(o.groups, group) {
			return true
		}
		unexpected = unexpected || answer != want && answer == api.Differs
		return o.diff && answer == want
	}
	p.Properties = slices.DeleteFunc(p.Properties, func(x api.Property) bool {
		odd := x.Answer != x.Want && (x.Answer == api.Differs || x.Answer == api.Same)
		if (len(o.groups) == 0 || slices.Contains(o.groups, x.Group)) && odd {
			unexpected = true
		}
		return drop(x.Group, x.Answer, x.Want) || o.diff && x.Answer == api.NotSupported
	})
	p.Processes = slices.DeleteFunc(p.Processes, func(x api.ProcessView) bool { return drop("processes", x.Answer, api.Same) })
	p.Ports = slices.DeleteFunc(p.Ports, func(x api.PortView) bool { return drop("ports", x.Answer, api.Same) })
	p.Users = slices.DeleteFunc(p.Users, func(x api.UserView) bool { return drop("users", x.Answer, api.Same) })
	if o.diff || len(o.groups) > 0 && !slices.Contains(o.groups, "disk") {
		p.Layers = nil
	}
	return unexpected
}

func printProperties(w io.Writer, o *propertyFlags, p *api.Properties) error {
	fmt.Fprintf(w, "%s  %s  %s, isolation %s, session %d\n", p.Name, shortID(p.Container), p.State, p.Isolation, p.Session)
	if p.Inside != "" {
		fmt.Fprintf(w, "inside: could not be read: %s\n", p.Inside)
	}
	if p.Truncated {
		fmt.Fprintln(w, "there is more than is listed")
	}
	for _, g := range propertyGroups {
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

// grid is a table whose lines may carry a remark below them.
type grid []gridLine

type gridLine struct {
	cells  []string
	detail string
}

// print lines the cells up; remarks do not count for that.
func (g grid) print(w io.Writer) error {
	var widths []int
	for _, l := range g {
		for i, c := range l.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, l := range g {
		var b strings.Builder
		for i, c := range l.cells {
			b.WriteString(c)
			if i < len(l.cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+3))
			}
		}
		b.WriteByte('\n')
		if l.detail != "" {
			b.WriteString("    " + l.detail + "\n")
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// gridRow makes a line of a grid.
func gridRow(detail string, cells ...any) gridLine {
	l := gridLine{detail: detail}
	for _, c := range cells {
		l.cells = append(l.cells, fmt.Sprint(c))
	}
	return l
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return ellipsis(s, 60)
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
		in := p.PIDInside != 0
		inside := "-"
		if in {
			inside = accountText(p.UserInside, int64(p.UIDInside))
		}
		g = append(g, gridRow(p.Detail, pairOf(p.PIDInside, p.PID, in), pairOf(p.SessionInside, p.Session, in), pairOf(p.ParentInside, p.Parent, in), inside,
			accountText(p.User, int64(p.UID)), pairOf(p.NameInside, p.Name, in), pairOf(p.ExecutableInside, p.Executable, in), p.Answer))
	}
	return g
}

func accountText(name string, id int64) string {
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
		g = append(g, gridRow("", name, size3(l.Size), l.Path))
	}
	if d := p.Disk; d != nil {
		device := d.Device
		if device == "" {
			device = "not attached"
		}
		g = append(g, gridRow("", "disk", size3(d.Allocated)+" of "+size3(d.Size), d.Path+" ("+device+")"))
		for _, m := range d.Mounts {
			g = append(g, gridRow("", "shown at", "", m))
		}
	}
	return g
}

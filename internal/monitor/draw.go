package monitor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"silo/api"
	"silo/internal/listing"
)

// What the terminal is told: the only sequences that are drawn.
const (
	reverse = "\x1b[7m"
	bold    = "\x1b[1m"
	plain   = "\x1b[0m"
)

// Frame draws a screen of a size, one string a line and at most height lines.
func (m *Model) Frame(width, height int) []string {
	if width < MinWidth || height < MinHeight {
		return tooSmall(width, height)
	}
	if m.help {
		return fit(helpText(), width, height)
	}
	lines := m.header(width)
	cols := m.visible(width)
	lines = append(lines, reverse+m.titles(cols, width)+plain)
	list, depth := m.rows()
	room := height - len(lines) - 1
	m.top = max(0, min(m.top, len(list)-room))
	for i := m.top; i < len(list) && i < m.top+room; i++ {
		lines = append(lines, m.line(cols, list[i], depth[i], width))
	}
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	return append(lines, m.footer(width, len(list), room))
}

func tooSmall(width, height int) []string {
	text := fmt.Sprintf("too small: %dx%d, needs %dx%d", width, height, MinWidth, MinHeight)
	return fit([]string{text, "q ends"}, width, height)
}

// fit cuts lines to a screen.
func fit(lines []string, width, height int) []string {
	lines = lines[:min(len(lines), max(height, 0))]
	for i := range lines {
		lines[i] = cut(lines[i], width)
	}
	return lines
}

// header is what the container is and uses.
func (m *Model) header(width int) []string {
	p := &m.p
	title := fmt.Sprintf("%s  %s  isolation %s  %s", p.Name, p.State, p.Isolation, listing.Session(p.Session))
	if p.Inside != "" {
		title += "  inside: " + p.Inside
	}
	u := p.Usage
	cpus, memory := u.CPULimit, u.MemoryLimit
	if cpus == 0 {
		cpus = float64(u.HostProcessors)
	}
	if memory == 0 {
		memory = u.HostMemory
	}
	processes := fmt.Sprintf("%d of no limit", u.Processes)
	share := 0.0
	if u.ProcessLimit > 0 {
		processes = fmt.Sprintf("%d of %d", u.Processes, u.ProcessLimit)
		share = float64(u.Processes) / float64(u.ProcessLimit)
	}
	return []string{
		bold + pad(title, width) + plain,
		bar("CPU", m.total/100/max(cpus, 0.001), fmt.Sprintf("%.1f%% of %g%s", m.total, cpus, limitWord(u.CPULimit == 0, " processors")), width),
		bar("Memory", float64(u.Memory)/float64(max(memory, 1)), fmt.Sprintf("%s of %s%s", bytes(u.Memory), bytes(memory), limitWord(u.MemoryLimit == 0, "")), width),
		bar("Processes", share, processes, width),
	}
}

func limitWord(none bool, unit string) string {
	if none {
		return unit + " (the host's)"
	}
	return unit
}

// bar draws a share of a limit.
func bar(name string, share float64, text string, width int) string {
	size := max(8, min(30, width-50))
	full := max(0, min(size, int(share*float64(size)+0.5)))
	return pad(fmt.Sprintf("%-9s [%s%s] %s", name, strings.Repeat("#", full), strings.Repeat("-", size-full), text), width)
}

// visible are the columns for which there is room.
func (m *Model) visible(width int) (out []int) {
	for i, c := range columns() {
		if width >= c.least {
			out = append(out, i)
		}
	}
	return out
}

func (m *Model) titles(cols []int, width int) string {
	all := columns()
	var parts []string
	for _, i := range cols {
		title := all[i].title
		if i == m.sort {
			title += map[bool]string{true: "^", false: "v"}[m.up]
		}
		parts = append(parts, cell(title, all[i]))
	}
	return pad(strings.Join(parts, " "), width)
}

func cell(text string, c column) string {
	if c.width == 0 {
		return text
	}
	text = cut(text, c.width)
	blank := strings.Repeat(" ", c.width-utf8.RuneCountInString(text))
	if c.right {
		return blank + text
	}
	return text + blank
}

func (m *Model) line(cols []int, p *api.ProcessView, depth, width int) string {
	all := columns()
	parts := make([]string, len(cols))
	for k, i := range cols {
		text := all[i].text(m, p)
		if all[i].width == 0 && depth > 0 {
			text = strings.Repeat("  ", depth-1) + "`-" + text
		}
		parts[k] = cell(text, all[i])
	}
	return cut(strings.Join(parts, " "), width)
}

func (m *Model) footer(width, rows, room int) string {
	switch {
	case m.typing:
		return cut("filter: "+m.filter+"_", width)
	case m.err != "":
		return cut("! "+m.err, width)
	}
	text := "q quit  ? help  </> sort  r turn  t tree  / filter"
	if m.filter != "" {
		text = fmt.Sprintf("filter %q, esc clears", m.filter)
	}
	if m.held {
		text = "held, space goes on"
	}
	if rows > room {
		text = fmt.Sprintf("%d-%d of %d  ", m.top+1, min(rows, m.top+room), rows) + text
	}
	return cut(text, width)
}

func helpText() []string {
	return []string{
		"q, ctrl-c     end",
		"up, down      scroll; page up, page down too",
		"<, >          sort by the column to the left, to the right",
		"r             turn the order round",
		"t             processes below their parents",
		"/             show only what holds a text; esc shows all",
		"space         hold the picture",
		"OUTSIDE is the number on the host, INSIDE in the container.",
		"! marks what is not the same from both sides.",
		"any key closes this help",
	}
}

// cut shortens a text to a width in characters.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:max(width, 0)])
}

func pad(s string, width int) string {
	s = cut(s, width)
	return s + strings.Repeat(" ", width-utf8.RuneCountInString(s))
}

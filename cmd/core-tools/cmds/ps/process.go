package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coretools.silo/passwd"
)

// process is what /proc tells of one process.
type process struct {
	pid, uid             int
	comm, state, args    string
	ppid, pgid, sid, tty int
	ticks, startTicks    uint64 // hundredths of a second
	pri, nice, threads   int
	vsize                uint64 // bytes
	rss                  uint64 // pages
	session              string // audit session, "-" if there is none
	foreground           bool
}

// ticksPerSecond is USER_HZ, which is 100 on every architecture that Silo
// runs on.
const ticksPerSecond = 100

func listPIDs() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// readProcess reads /proc/PID/stat and its neighbours. The name in stat stands
// in parentheses and may itself hold any character, so the last one counts.
func readProcess(pid int) (*process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, err
	}
	text := string(data)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return nil, errors.New("stat: no name")
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 22 {
		return nil, errors.New("stat: too short")
	}
	num := func(i int) int { n, _ := strconv.Atoi(f[i]); return n }
	big := func(i int) uint64 { n, _ := strconv.ParseUint(f[i], 10, 64); return n }
	p := &process{
		pid: pid, comm: text[open+1 : end], state: f[0], ppid: num(1), pgid: num(2), sid: num(3), tty: num(4),
		ticks: big(11) + big(12), pri: num(15), nice: num(16), threads: num(17), startTicks: big(19), vsize: big(20), rss: big(21),
		foreground: num(5) == num(2) && num(4) != 0, session: "-", uid: -1,
	}
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			p.uid = int(st.Uid)
		}
	}
	if s, err := os.ReadFile(dir + "/sessionid"); err == nil && string(s) != "4294967295" {
		p.session = strings.TrimSpace(string(s))
	}
	line, _ := os.ReadFile(dir + "/cmdline")
	p.args = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	if p.args == "" {
		p.args = "[" + p.comm + "]"
	}
	return p, nil
}

// system is what all processes share.
type system struct {
	boot     time.Time
	memoryKB uint64
}

func readSystem() system {
	s := system{memoryKB: 1}
	var up float64
	data, _ := os.ReadFile("/proc/uptime")
	_, _ = fmt.Sscan(string(data), &up)
	s.boot = time.Now().Add(-time.Duration(up * float64(time.Second)))
	data, _ = os.ReadFile("/proc/meminfo")
	_, _ = fmt.Sscanf(string(data), "MemTotal: %d", &s.memoryKB)
	return s
}

func (p *process) started(s system) time.Time {
	return s.boot.Add(time.Duration(p.startTicks) * time.Second / ticksPerSecond)
}

// cpuShare is the percentage of one processor since the start.
func (p *process) cpuShare(s system) string {
	life := time.Since(p.started(s)).Seconds()
	if life <= 0 {
		return "0.0"
	}
	return fmt.Sprintf("%.1f", float64(p.ticks)/ticksPerSecond/life*100)
}

func (p *process) rssKB() uint64 { return p.rss * uint64(os.Getpagesize()) >> 10 }

func (p *process) status() string {
	s := p.state
	if p.nice < 0 {
		s += "<"
	} else if p.nice > 0 {
		s += "N"
	}
	if p.sid == p.pid {
		s += "s"
	}
	if p.threads > 1 {
		s += "l"
	}
	if p.foreground {
		s += "+"
	}
	return s
}

// terminal names the device: major 136 is a pseudo terminal, 4 a console.
func (p *process) terminal() string {
	major, minor := p.tty>>8&0xfff, p.tty&0xff|p.tty>>12&0xfff00
	switch {
	case p.tty == 0:
		return "?"
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", minor+(major-136)<<8)
	case major == 4 && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	case major == 4:
		return fmt.Sprintf("ttyS%d", minor-64)
	case major == 5 && minor == 1:
		return "console"
	}
	return fmt.Sprintf("%d:%d", major, minor)
}

func clockTime(ticks uint64) string {
	s := ticks / ticksPerSecond
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

func startTime(t time.Time) string {
	if time.Since(t) < 24*time.Hour {
		return t.Format("15:04")
	}
	return t.Format("Jan02")
}

// column is one thing to show.
type column struct {
	title string
	left  bool
	value func(*process, system, *passwd.Names) string
}

// number makes a column of a number of the process.
func number[T int | uint64](title string, get func(*process) T) column {
	return column{title: title, value: func(p *process, _ system, _ *passwd.Names) string { return fmt.Sprint(get(p)) }}
}

func text(title string, get func(*process, system) string) column {
	return column{title: title, left: true, value: func(p *process, s system, _ *passwd.Names) string { return get(p, s) }}
}

// columns are all that ps can show, by the name that -o takes.
var columns = map[string]column{
	"pid":  number("PID", func(p *process) int { return p.pid }),
	"ppid": number("PPID", func(p *process) int { return p.ppid }),
	"pgid": number("PGID", func(p *process) int { return p.pgid }),
	"sid":  number("SID", func(p *process) int { return p.sid }),
	"uid":  number("UID", func(p *process) int { return p.uid }),
	"pri":  number("PRI", func(p *process) int { return p.pri }),
	"ni":   number("NI", func(p *process) int { return p.nice }),
	"nlwp": number("NLWP", func(p *process) int { return p.threads }),
	"vsz":  number("VSZ", func(p *process) uint64 { return p.vsize >> 10 }),
	"rss":  number("RSS", func(p *process) uint64 { return p.rssKB() }),
	"user": {title: "USER", left: true, value: func(p *process, _ system, n *passwd.Names) string { return n.User(uint32(p.uid)) }},
	"c":    {title: "C", value: func(p *process, s system, _ *passwd.Names) string { return strings.SplitN(p.cpuShare(s), ".", 2)[0] }},
	"pcpu": {title: "%CPU", value: func(p *process, s system, _ *passwd.Names) string { return p.cpuShare(s) }},
	"pmem": {title: "%MEM", value: func(p *process, s system, _ *passwd.Names) string {
		return fmt.Sprintf("%.1f", float64(p.rssKB())*100/float64(s.memoryKB))
	}},
	"session": text("SESSION", func(p *process, _ system) string { return p.session }),
	"tty":     text("TTY", func(p *process, _ system) string { return p.terminal() }),
	"stat":    text("STAT", func(p *process, _ system) string { return p.status() }),
	"start":   text("START", func(p *process, s system) string { return startTime(p.started(s)) }),
	"stime":   text("STIME", func(p *process, s system) string { return startTime(p.started(s)) }),
	"time":    text("TIME", func(p *process, _ system) string { return clockTime(p.ticks) }),
	"comm":    text("CMD", func(p *process, _ system) string { return p.comm }),
	"args":    text("CMD", func(p *process, _ system) string { return p.args }),
	"cmd":     text("CMD", func(p *process, _ system) string { return p.args }),
	"command": text("COMMAND", func(p *process, _ system) string { return p.args }),
	"exe": text("EXE", func(p *process, _ system) string {
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid))
		if err != nil {
			return "-"
		}
		return path
	}),
}

func columnNames() []string { return slices.Sorted(maps.Keys(columns)) }

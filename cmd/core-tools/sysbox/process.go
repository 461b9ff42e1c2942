package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"coretools.silo/getopt"
	"coretools.silo/procfs"
	"coretools.silo/table"
)

var systemCommands = []command{
	{"systeminfo", "", "what this system is, and which of it is the host's", true, systemInfo},
	{"get-process", "[-i NUMBER]... [NAME...]", "processes with their session", true, getProcess},
	{"tasklist", "[NAME...]", "processes, in the short form", true, taskList},
	{"get-service", "[NAME...]", "services of this container", true, getService},
	{"start-service", "NAME...", "start services", true, changeService("start")},
	{"stop-service", "NAME...", "stop services", true, changeService("stop")},
	{"restart-service", "NAME...", "stop services and start them again", true, changeService("restart")},
	{"get-eventlog", "[-n COUNT] [-s SOURCE] [-l LEVEL]", "events of the event log, newest first", true, getEventLog},
	{"logger", "[-t SOURCE] [-p [FACILITY.]LEVEL] [MESSAGE...]", "write to the event log", false, logEvent},
}

// processes lists what is visible here, the kernel's part first.
func (c *call) processes(args []string) ([]procfs.Process, error) {
	all, err := c.root.Processes()
	if err != nil {
		return nil, err
	}
	opt, err := getopt.Read("i:", map[string]string{"id": "i"}, args)
	if err != nil {
		return nil, usageError{err}
	}
	all = append(c.root.KernelParts(nil), all...)
	var numbers []int
	for _, v := range opt.Values('i') {
		n, err := strconv.Atoi(v)
		if err != nil {
			return nil, badUsage("-i %s: not a process number", v)
		}
		numbers = append(numbers, n)
	}
	if len(numbers)+len(opt.Operands) == 0 {
		return all, nil
	}
	var chosen []procfs.Process
	for _, p := range all {
		if slices.Contains(numbers, p.PID) || slices.ContainsFunc(opt.Operands, func(name string) bool { return matches(name, p.Name) }) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%s: no such process is visible here", table.Clean(strings.Join(args, " ")))
	}
	return chosen, nil
}

// matches compares a name with a pattern, without regard to letter case.
func matches(pattern, name string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
	return ok && err == nil || strings.EqualFold(pattern, name)
}

func getProcess(c *call, args []string) error {
	all, err := c.processes(args)
	if err != nil {
		return err
	}
	t := &table.Table{Columns: []table.Column{
		{Name: "handles"},
		{Name: "workingSet", Title: "WORKING SET"},
		{Name: "cpu", Title: "CPU(s)"},
		{Name: "id"},
		{Name: "session"},
		{Name: "user"},
		{Name: "name"},
		{Name: "parent", Detail: true},
		{Name: "state", Detail: true},
		{Name: "threads", Detail: true},
		{Name: "virtual", Title: "VIRTUAL SIZE", Detail: true},
		{Name: "started", Detail: true},
		{Name: "path", Detail: true},
		{Name: "command", Detail: true},
		{Name: "kernel", Detail: true},
	}}
	boot := c.root.Boot()
	for _, p := range all {
		var started any
		if !boot.IsZero() && !p.Kernel {
			started = boot.Add(p.Started)
		}
		t.Add(from0(p.Handles), bytesOf(p.Resident), secondsOf(p.CPU), p.PID, from0(p.Session), c.userOf(p), p.Name,
			p.PPID, textOf(p.State), above0(p.Threads), bytesOf(p.Virtual), started, textOf(p.Path), textOf(p.Args), p.Kernel)
	}
	return c.write(t)
}

func taskList(c *call, args []string) error {
	all, err := c.processes(args)
	if err != nil {
		return err
	}
	t := &table.Table{Columns: []table.Column{
		{Name: "imageName", Title: "IMAGE NAME"},
		{Name: "pid"},
		{Name: "sessionName", Title: "SESSION NAME"},
		{Name: "session", Title: "SESSION#"},
		{Name: "memUsage", Title: "MEM USAGE"},
	}}
	for _, p := range all {
		session := "Container"
		if p.Session == 0 {
			session = "System"
		}
		t.Add(p.Name, p.PID, session, from0(p.Session), bytesOf(p.Resident))
	}
	return c.write(t)
}

func (c *call) userOf(p procfs.Process) any {
	switch {
	case p.Kernel:
		return "kernel"
	case p.UID < 0:
		return nil
	}
	return c.names().User(uint32(p.UID))
}

// from0 is a number that is -1 if it is not known.
func from0[T int | int64](n T) any {
	if n < 0 {
		return nil
	}
	return int64(n)
}

// above0 is a number that is 0 if it is not known.
func above0(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

func bytesOf(n int64) any {
	if n < 0 {
		return nil
	}
	return table.Bytes(n)
}

func secondsOf(d time.Duration) any {
	if d < 0 {
		return nil
	}
	return table.Seconds(d.Seconds())
}

// textOf is text that is empty if it is not known.
func textOf(s string) any {
	if s == "" {
		return nil
	}
	return s
}

package main

import (
	"errors"
	"path"
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

// processes lists what is visible here, the kernel's part first. missing tells
// which of those that were asked for are not there; others are.
func (c *call) processes(args []string) (chosen []procfs.Process, missing, err error) {
	all, err := c.root.Processes()
	if err != nil {
		return nil, nil, err
	}
	opt, err := getopt.Read("i:", map[string]string{"id": "i"}, args)
	if err != nil {
		return nil, nil, usageError{err}
	}
	all = append(c.root.KernelParts(nil), all...)
	for _, v := range opt.Values('i') {
		if _, err := strconv.Atoi(v); err != nil {
			return nil, nil, badUsage("-i %s: not a process number", v)
		}
	}
	numbers, names := seek(opt.Values('i')), seek(opt.Operands)
	if len(numbers.patterns)+len(names.patterns) == 0 {
		return all, nil, nil
	}
	for _, p := range all {
		byNumber := len(numbers.patterns) > 0 && numbers.matches(strconv.Itoa(p.PID))
		byName := len(names.patterns) > 0 && names.matches(p.Name)
		if byNumber || byName {
			chosen = append(chosen, p)
		}
	}
	missing = errors.Join(numbers.missing(notVisible), names.missing(notVisible))
	if len(chosen) == 0 {
		return nil, nil, missing
	}
	return chosen, missing, nil
}

const notVisible = "no such process is visible here"

// matches compares a name with a pattern, without regard to letter case.
func matches(pattern, name string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
	return ok && err == nil || strings.EqualFold(pattern, name)
}

func getProcess(c *call, args []string) error {
	all, missing, err := c.processes(args)
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
	if err := c.write(t); err != nil {
		return err
	}
	return missing
}

func taskList(c *call, args []string) error {
	all, missing, err := c.processes(args)
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
	if err := c.write(t); err != nil {
		return err
	}
	return missing
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

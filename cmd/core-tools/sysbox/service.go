package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"coretools.silo/table"
)

// agentSocket is where the agent, which runs the services of a container,
// listens inside of it. One line of JSON goes each way.
const agentSocket = "/dev/silo/agent"

// agentLimit is how long the agent may take: stopping a service takes as long
// as its unit allows.
const agentLimit = 5 * time.Minute

// mostAnswer limits an answer, in bytes.
const mostAnswer = 16 << 20

type agentRequest struct {
	Op     string   `json:"op"`
	Action string   `json:"action,omitempty"`
	Units  []string `json:"units,omitempty"`
}

type agentAnswer struct {
	Error    string    `json:"error"`
	Services []service `json:"services"`
}

// service is what is used of the agent's answer.
type service struct {
	Name, DisplayName, Status, Type, Since, Result, Path string
	Enabled                                              bool
	MainPID, ExitCode, Restarts                          int
	Memory                                               int64
	Sockets, Notes                                       []string
	Next                                                 string
}

var errNoServices = errors.New("services are not started in this container: run it with --services")

// ask sends one request to the agent.
func (c *call) ask(r agentRequest) ([]service, error) {
	path := string(c.root) + agentSocket
	conn, err := net.Dial("unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNoServices
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", agentSocket, bareCause(err))
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(agentLimit)); err != nil {
		return nil, err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("ask %s: %w", agentSocket, bareCause(err))
	}
	reply, err := bufio.NewReader(io.LimitReader(conn, mostAnswer)).ReadBytes('\n')
	if err != nil && (!errors.Is(err, io.EOF) || len(reply) == 0) {
		return nil, fmt.Errorf("ask %s: no answer: %w", agentSocket, bareCause(err))
	}
	var a agentAnswer
	if err := json.NewDecoder(bytes.NewReader(reply)).Decode(&a); err != nil {
		return nil, fmt.Errorf("ask %s: answer: %w", agentSocket, err)
	}
	if a.Error != "" {
		return nil, errors.New(table.Clean(a.Error))
	}
	return a.Services, nil
}

func getService(c *call, args []string) error {
	all, err := c.ask(agentRequest{Op: "services"})
	if err != nil {
		return err
	}
	var chosen []service
	names := seek(args)
	for _, s := range all {
		if names.matches(s.Name, shortName(s.Name), s.DisplayName) {
			chosen = append(chosen, s)
		}
	}
	missing := names.missing("no such service")
	if missing != nil && len(chosen) == 0 {
		return missing
	}
	if err := c.writeServices(chosen); err != nil {
		return err
	}
	return missing
}

// shortName leaves out the ending of a unit that is a service.
func shortName(name string) string { return strings.TrimSuffix(name, ".service") }

func changeService(action string) func(*call, []string) error {
	return func(c *call, args []string) error {
		if len(args) == 0 {
			return badUsage("needs the name of a service")
		}
		units := make([]string, len(args))
		for i, a := range args {
			if units[i] = a; !strings.Contains(a, ".") {
				units[i] += ".service"
			}
		}
		all, err := c.ask(agentRequest{Op: "service", Action: action, Units: units})
		if err != nil {
			return err
		}
		return c.writeServices(all)
	}
}

func (c *call) writeServices(all []service) error {
	t := &table.Table{Columns: []table.Column{
		{Name: "status"},
		{Name: "name"},
		{Name: "displayName", Title: "DISPLAY NAME"},
		{Name: "enabled", Detail: true},
		{Name: "type", Detail: true},
		{Name: "pid", Detail: true},
		{Name: "since", Detail: true},
		{Name: "result", Detail: true},
		{Name: "exitCode", Detail: true},
		{Name: "restarts", Detail: true},
		{Name: "memory", Detail: true},
		{Name: "sockets", Detail: true},
		{Name: "next", Detail: true},
		{Name: "unit", Detail: true},
		{Name: "notes", Detail: true},
	}}
	for _, s := range all {
		var memory any
		if s.Memory > 0 {
			memory = table.Bytes(s.Memory)
		}
		t.Add(s.Status, shortName(s.Name), textOf(s.DisplayName), s.Enabled, textOf(s.Type), above0(s.MainPID), timeOf(s.Since), textOf(s.Result),
			s.ExitCode, s.Restarts, memory, list0(s.Sockets), timeOf(s.Next), textOf(s.Path), list0(s.Notes))
	}
	return c.write(t)
}

func timeOf(text string) any {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.IsZero() {
		return nil
	}
	return at.Local()
}

func list0(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

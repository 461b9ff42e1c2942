package main

import (
	"fmt"
	"os"
	"strings"

	"coretools.silo/procfs"
	"coretools.silo/table"
)

// Whom a property belongs to.
const (
	ofContainer = "container"
	ofHost      = "host"
)

// report collects the lines of systeminfo.
type report struct{ table.Table }

func (r *report) add(key, property string, value any, belongs string) {
	r.Add(key, property, value, belongs)
}

func systemInfo(c *call, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	r := &report{table.Table{Columns: []table.Column{
		{Name: "key", Detail: true},
		{Name: "property"},
		{Name: "value"},
		{Name: "belongs", Title: "BELONGS TO"},
	}}}
	c.aboutSystem(r)
	c.aboutMachine(r)
	c.aboutLimits(r)
	c.aboutAdapters(r)
	return c.write(&r.Table)
}

// aboutSystem is what the image and the container's settings say.
func (c *call) aboutSystem(r *report) {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	release := c.root.OSRelease()
	name := release["PRETTY_NAME"]
	if name == "" {
		name = release["NAME"]
	}
	r.add("hostName", "Host name", textOf(host), ofContainer)
	r.add("osName", "OS name", textOf(name), ofContainer)
	r.add("osVersion", "OS version", textOf(release["VERSION_ID"]), ofContainer)
	r.add("osId", "OS id", textOf(release["ID"]), ofContainer)
	r.add("user", "User", c.names().User(uint32(os.Geteuid())), ofContainer)
	r.add("session", "Session", from0(c.root.Session()), ofContainer)
	r.add("locale", "System locale", textOf(c.root.Locale(c.getenv)), ofContainer)
	r.add("timeZone", "Time zone", textOf(c.root.Zone(c.getenv)), ofContainer)
}

// aboutMachine is what kernel and hardware are.
func (c *call) aboutMachine(r *report) {
	k := procfs.ReadKernel()
	r.add("kernel", "Kernel", textOf(strings.TrimSpace(k.Name+" "+k.Release)), ofHost)
	r.add("kernelVersion", "Kernel version", textOf(k.Version), ofHost)
	r.add("systemType", "System type", textOf(k.Machine), ofHost)
	f := c.root.Firmware()
	r.add("manufacturer", "System manufacturer", textOf(f.Maker), ofHost)
	r.add("model", "System model", textOf(f.Model), ofHost)
	bios := strings.Join(strings.Fields(f.Vendor+" "+f.Version+" "+f.Date), " ")
	if bios == "" {
		bios = "the kernel of the host tells none"
	}
	r.add("bios", "BIOS version", bios, ofHost)
	var boot any
	if at := c.root.Boot(); !at.IsZero() {
		boot = at
	}
	r.add("bootTime", "System boot time", boot, ofHost)
	var models []string
	count := 0
	for _, p := range c.root.Processors() {
		count += p.Count
		model := p.Model
		if model == "" {
			model = k.Machine
		}
		models = append(models, fmt.Sprintf("%d x %s", p.Count, model))
	}
	r.add("processors", "Processors", above0(count), ofHost)
	r.add("processorModel", "Processor model", textOf(strings.Join(models, ", ")), ofHost)
	m := c.root.Memory()
	r.add("physicalMemory", "Total physical memory", bytesOf(m.Total), ofHost)
	r.add("availableMemory", "Available physical memory", bytesOf(m.Available), ofHost)
	r.add("swap", "Total swap", bytesOf(m.SwapTotal), ofHost)
	r.add("swapFree", "Free swap", bytesOf(m.SwapFree), ofHost)
}

// aboutLimits lists the limits that are set.
func (c *call) aboutLimits(r *report) {
	l := c.root.Limits()
	if l.Memory >= 0 {
		r.add("memoryLimit", "Memory limit", table.Bytes(l.Memory), ofContainer)
	}
	if l.Swap >= 0 {
		r.add("swapLimit", "Swap limit", table.Bytes(l.Swap), ofContainer)
	}
	if l.CPUs >= 0 {
		r.add("processorLimit", "Processor limit", l.CPUs, ofContainer)
	}
	if l.CPUSet != "" {
		r.add("processorSet", "Processors allowed", l.CPUSet, ofContainer)
	}
	if l.Processes >= 0 {
		r.add("processLimit", "Process limit", l.Processes, ofContainer)
	}
}

func (c *call) aboutAdapters(r *report) {
	for _, a := range readAdapters(c.root) {
		if a.Loopback {
			continue
		}
		text := a.Name
		if a.MAC != "" {
			text += ", " + a.MAC
		}
		for _, p := range append(a.IPv4, a.IPv6...) {
			text += ", " + p.String()
		}
		r.add("networkCard."+a.Name, "Network card", text, ofContainer)
	}
}

package service

import (
	"os"
	"path"
	"time"

	"silo/internal/service/unit"
)

// generatorWait bounds how long a program that makes units may take.
const generatorWait = 10 * time.Second

// generate runs the image's generators one after the other, then calls done.
func (m *Manager) generate(done func()) {
	list := m.unitSet().Generators()
	if len(list) == 0 {
		done()
		return
	}
	for _, dir := range unit.GeneratorDirs {
		p := m.path(dir)
		err := os.RemoveAll(p)
		if err == nil {
			err = os.MkdirAll(p, 0o755)
		}
		if err != nil {
			m.say("silo", "generators: "+err.Error())
			done()
			return
		}
	}
	m.generator(list, done)
}

func (m *Manager) generator(list []string, done func()) {
	if len(list) == 0 || m.ending {
		done()
		return
	}
	name, next := path.Base(list[0]), func() { m.generator(list[1:], done) }
	root, err := m.o.System.User("0", "", nil)
	var pid int
	m.marks++
	mark := m.marks
	if err == nil {
		pid, err = m.o.System.Spawn(&Process{
			Service: name, Mark: mark, Path: list[0], Args: append([]string{list[0]}, unit.GeneratorDirs[:]...),
			Env: []string{"PATH=" + searchPath}, Dir: "/", User: root, UMask: 0o022, Stdout: Stream{Log: true}, Stderr: Stream{Log: true},
		})
	}
	if err != nil {
		m.tell(name, err.Error())
		next()
		return
	}
	limit := m.after(generatorWait, func() {
		for _, p := range m.o.System.Members()[mark] {
			_ = m.o.System.Kill(p.PID, sigKILL)
		}
	})
	m.helpers[pid] = func(e Exit) {
		limit.Stop()
		if c := exitCode(e); c != 0 {
			m.tell(name, "ended with "+signalOrCode(e))
		}
		next()
	}
}

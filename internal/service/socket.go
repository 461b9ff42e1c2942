package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"silo/internal/linux"
	"silo/internal/service/unit"
)

// socket is a socket unit: it listens, and starts its service when somebody
// comes.
type socket struct {
	m       *Manager
	name    string
	u       *unit.Unit
	active  bool
	failed  bool
	fds     []*linux.FD
	watches []*linux.Watch
	hits    []time.Time // triggers, for the limit
	conns   map[string]*service
}

func (k *socket) loaded() *unit.Unit { return k.u }
func (k *socket) up() bool           { return k.active }
func (k *socket) check()             {}

func (k *socket) start(j *job) {
	if k.active {
		k.m.finish(j, nil)
		return
	}
	k.u = k.m.unitSet().Load(k.name)
	k.m.note(k.u)
	err := canStart(k.u)
	if err == nil {
		var ok bool
		if ok, err = k.m.conditions(k.u); !ok && err == nil {
			k.m.finish(j, nil)
			return
		}
	}
	if s, ok := k.m.units[k.u.Socket.Service].(*service); err == nil && ok && !k.u.Socket.Accept && !s.state.isDown() {
		err = fmt.Errorf("%s runs already: stop it first", s.name)
	}
	if err == nil {
		err = k.listen()
	}
	if err != nil {
		k.failed = true
		k.m.tell(k.name, err.Error())
		k.m.finish(j, err)
		return
	}
	k.active, k.failed, k.hits = true, false, nil
	k.watch()
	k.m.finish(j, nil)
}

func (k *socket) stop(j *job) {
	k.close()
	k.m.finish(j, nil)
}

func (k *socket) reload(j *job) { k.m.finish(j, errors.New("it cannot be reloaded")) }

// close ends listening.
func (k *socket) close() {
	k.unwatch()
	for _, fd := range k.fds {
		fd.Close()
	}
	k.fds, k.active = nil, false
	if !k.u.Socket.Remove {
		return
	}
	for _, l := range k.u.Socket.Listen {
		if strings.HasPrefix(l.Path, "/") {
			os.Remove(k.m.path(l.Path))
		}
	}
	for _, link := range k.u.Socket.Links {
		os.Remove(k.m.path(link))
	}
}

// listen opens all addresses, or none.
func (k *socket) listen() (err error) {
	defer func() {
		if err != nil {
			for _, fd := range k.fds {
				fd.Close()
			}
			k.fds = nil
		}
	}()
	s := k.u.Socket
	owner := User{}
	if s.User != "" || s.Group != "" {
		name := s.User
		if name == "" {
			name = "0"
		}
		if owner, err = k.m.o.System.User(name, s.Group, nil); err != nil {
			return err
		}
	}
	for _, l := range s.Listen {
		spec := linux.ListenSpec{
			Kind: string(l.Kind), Path: l.Path, Host: l.Host, Port: l.Port, IPv6Only: l.IPv6Only, Mode: s.Mode, Backlog: s.Backlog,
			UID: int(owner.UID), GID: int(owner.GID), KeepAlive: s.KeepAlive, NoDelay: s.NoDelay, ReusePort: s.ReusePort,
			FreeBind: s.FreeBind, PassCred: s.PassCred, ReceiveBuffer: s.ReceiveBuffer, SendBuffer: s.SendBuffer, PipeSize: s.PipeSize,
		}
		if strings.HasPrefix(l.Path, "/") {
			spec.Path = k.m.path(l.Path)
			mode := os.FileMode(s.DirMode)
			if mode == 0 {
				mode = 0o755
			}
			if err := os.MkdirAll(path.Dir(spec.Path), mode); err != nil {
				return fmt.Errorf("%s=%s: %w", l.Kind, l.Path, err)
			}
		}
		fd, err := linux.ListenOn(spec)
		if err != nil {
			return fmt.Errorf("%s=%s: %w", l.Kind, address(l), err)
		}
		k.fds = append(k.fds, fd)
	}
	for _, link := range s.Links { // where the unit says, through links too, as the socket itself
		if len(s.Listen) > 0 {
			p := k.m.path(link)
			err := os.MkdirAll(path.Dir(p), 0o755)
			if err == nil {
				err = os.Symlink(s.Listen[0].Path, p)
			}
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("Symlinks=%s: %w", link, err)
			}
		}
	}
	return nil
}

// address shows where a socket listens.
func address(l unit.Listen) string {
	if l.Path != "" {
		return l.Path
	}
	host := l.Host
	if host == "" {
		host = "*"
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	proto := "tcp"
	if l.Kind == unit.ListenDatagram {
		proto = "udp"
	}
	return proto + " " + host + ":" + strconv.Itoa(l.Port)
}

// watch waits for somebody to come; it ends with the first.
func (k *socket) watch() {
	if !k.active || len(k.watches) > 0 || k.m.ending {
		return
	}
	for _, fd := range k.fds {
		w, err := linux.WatchReadable(fd)
		if err != nil {
			k.m.tell(k.name, err.Error())
			continue
		}
		k.watches = append(k.watches, w)
		go func() {
			if w.Wait() {
				k.m.post(func() {
					if slices.Contains(k.watches, w) {
						k.trigger(fd)
					}
				})
			}
		}()
	}
}

func (k *socket) unwatch() {
	for _, w := range k.watches {
		w.Close()
	}
	k.watches = nil
}

// trigger starts the service for what has come on fd.
func (k *socket) trigger(fd *linux.FD) {
	k.unwatch()
	if k.m.ending {
		return
	}
	if k.tooOften() {
		k.failed = true
		k.m.tell(k.name, "triggered too often: stopped; see TriggerLimitBurst=")
		k.close()
		return
	}
	if k.u.Socket.Accept {
		k.accept(fd)
		return
	}
	name := k.u.Socket.Service
	if s, ok := k.m.units[name].(*service); ok && !s.state.isDown() && s.state != autoRestart {
		return // it has the socket, and is awaited
	}
	tx, err := k.m.unitSet().Start(k.m.isUp, name)
	if err == nil {
		k.m.enqueue(tx, func(err error) {
			if err != nil {
				k.flush()
				k.listenAgain()
			}
		})
		return
	}
	k.failed = true
	k.m.tell(k.name, err.Error())
	k.close()
}

// listenAgain watches again if the service does not hold the socket.
func (k *socket) listenAgain() {
	if !k.active || k.u.Socket.Accept {
		return
	}
	if s, ok := k.m.units[k.u.Socket.Service].(*service); ok {
		if !s.state.isDown() {
			return
		}
		if s.result == resLimit { // it would be started for ever
			k.failed = true
			k.m.tell(k.name, "its service fails again and again: stopped")
			k.close()
			return
		}
	}
	if k.u.Socket.FlushPending {
		k.flush()
	}
	k.watch()
}

// flush throws away what waits.
func (k *socket) flush() {
	if k.u.Socket.FlushPending {
		for _, fd := range k.fds {
			linux.Drain(fd)
		}
	}
}

// tooOften counts a trigger against the limit.
func (k *socket) tooOften() bool {
	s := k.u.Socket
	if s.TriggerInterval <= 0 || s.TriggerBurst <= 0 {
		return false
	}
	now := time.Now()
	k.hits = append(slices.DeleteFunc(k.hits, func(t time.Time) bool { return now.Sub(t) > s.TriggerInterval }), now)
	return len(k.hits) > s.TriggerBurst
}

// accept takes one connection and starts a service for it.
func (k *socket) accept(fd *linux.FD) {
	defer k.watch()
	conn, peer, err := linux.AcceptConn(fd)
	if err != nil || conn == nil {
		if err != nil {
			k.m.tell(k.name, err.Error())
		}
		return
	}
	most := k.u.Socket.MaxConns
	if per := k.u.Socket.MaxConnsPerSource; most > 0 && len(k.conns) >= most || per > 0 && k.fromPeer(peer) >= per {
		k.m.say(k.name, "too many connections: one was refused")
		conn.Close()
		return
	}
	k.m.conns++
	prefix, _, _ := strings.Cut(k.u.Socket.Service, "@")
	name := fmt.Sprintf("%s@%d-%s.service", prefix, k.m.conns, instance(peer))
	u := k.m.unitSet().Load(name)
	if u.State != unit.Loaded || u.Service == nil {
		k.m.tell(k.name, name+": "+u.Reason)
		conn.Close()
		return
	}
	s := &service{m: k.m, name: u.Name, u: u, state: dead, conn: conn, from: k, peer: peer}
	k.m.units[u.Name] = s
	if k.conns == nil {
		k.conns = map[string]*service{}
	}
	k.conns[u.Name] = s
	tx := &unit.Transaction{Jobs: []unit.Job{{Unit: u.Name, Kind: unit.JobStart, Anchor: true}}}
	k.m.enqueue(tx, func(err error) {
		if err != nil {
			k.m.tell(k.name, err.Error())
			k.m.forget(s)
		}
	})
}

// instance makes a peer's address part of a unit's name.
func instance(peer string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == ':' {
			return r
		}
		return '_'
	}, peer)
}

func (k *socket) fromPeer(peer string) (n int) {
	host, _, _ := strings.Cut(peer, "-")
	for _, s := range k.conns {
		if h, _, _ := strings.Cut(s.peer, "-"); h == host {
			n++
		}
	}
	return n
}

// forget drops the service of one connection when it has ended.
func (m *Manager) forget(s *service) {
	if s.conn != nil {
		s.conn.Close()
	}
	delete(s.from.conns, s.name)
	delete(m.units, s.name)
}

// passed gives the descriptors that a service inherits, with their names.
func (s *service) passed() (fds []*linux.FD, names []string, err error) {
	if s.conn != nil {
		return []*linux.FD{s.conn}, []string{"connection"}, nil
	}
	for _, k := range s.sockets() {
		for _, fd := range k.fds {
			if err := linux.SetBlocking(fd); err != nil {
				return nil, nil, err
			}
			fds = append(fds, fd)
			names = append(names, k.fdName())
		}
	}
	return fds, names, nil
}

func (k *socket) fdName() string {
	if k.u.Socket.FDName != "" {
		return k.u.Socket.FDName
	}
	return k.name
}

// sockets are those that listen for a service.
func (s *service) sockets() (out []*socket) {
	for _, r := range s.m.sorted() {
		if k, ok := r.(*socket); ok && k.active && !k.u.Socket.Accept && (k.u.Socket.Service == s.name || slices.Contains(s.u.Service.Sockets, k.name)) {
			out = append(out, k)
		}
	}
	return out
}

// named gives an inherited descriptor by its name.
func (s *service) named(name string) *linux.FD {
	for _, k := range s.sockets() {
		if k.fdName() == name && len(k.fds) > 0 {
			return k.fds[0]
		}
	}
	return nil
}

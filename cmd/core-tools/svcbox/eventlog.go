package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"coretools.silo/events"
)

const (
	mostDatagram  = 64 << 10
	userRate      = 200  // events a second that one user may send for long
	userBurst     = 2000 // at once
	mostUsers     = 1024 // whose rates are remembered
	eventsAge     = 30 * 24 * time.Hour
	queryClients  = 8
	queryLimit    = 10 * time.Second
	queryIdle     = 30 * time.Second // after which it waits for the next one stopped
	socketsAccess = 0o666
)

// runEventLog takes messages from /dev/log until it is to stop.
func runEventLog(ctx context.Context) error {
	store, err := events.Open(events.Dir)
	if errors.Is(err, syscall.EROFS) {
		fmt.Printf("eventlog: %s can only be read: events are kept in %s until the end\n", events.Dir, events.RunDir)
		store, err = events.Open(events.RunDir)
	}
	if err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	defer store.Close()
	l := &logger{store: store, now: time.Now, rates: map[int]*rate{}}
	conn, err := listenLog(events.Socket)
	if err != nil {
		return err
	}
	defer os.Remove(events.Socket)
	closeAt(ctx, conn)
	l.own("notice", "the event log was started")
	if err := ready(); err != nil {
		return err
	}
	err = ended(ctx, l.serve(conn))
	l.own("notice", "the event log was stopped")
	return err
}

// listenLog makes the socket that anybody may write to. One that a process
// left which is gone makes room; anything else there is not ours to remove.
func listenLog(path string) (*net.UnixConn, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if other, err := net.Dial("unixgram", path); err == nil {
			other.Close()
			return nil, fmt.Errorf("%s: another program takes messages there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chmod(path, socketsAccess), passSender(conn)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// passSender lets the kernel say with each message who sent it.
func passSender(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1))
	}); err != nil {
		return err
	}
	return set
}

// logger writes events and holds back who sends too many.
type logger struct {
	store *events.Store
	now   func() time.Time
	rates map[int]*rate
}

// rate is how many events a user may still send, and how many were left out.
type rate struct {
	left float64
	at   time.Time
	lost int
}

func (l *logger) serve(conn *net.UnixConn) error {
	buf, oob := make([]byte, mostDatagram), make([]byte, syscall.CmsgSpace(syscall.SizeofUcred))
	for {
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return err
		}
		pid, uid := sender(oob[:oobn])
		l.take(buf[:n], pid, uid)
	}
}

// sender is who the kernel says sent a message; nobody if it does not say.
func sender(oob []byte) (pid, uid int) {
	const nobody = 65534
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, nobody
	}
	for i := range messages {
		if cred, err := syscall.ParseUnixCredentials(&messages[i]); err == nil {
			return int(cred.Pid), int(cred.Uid)
		}
	}
	return 0, nobody
}

// take writes one message.
func (l *logger) take(data []byte, pid, uid int) {
	now := l.now()
	lost, ok := l.allow(uid, now)
	if !ok {
		return
	}
	if lost > 0 {
		l.own("warning", fmt.Sprintf("%d events of user %d were left out: more than %d a second", lost, uid, userRate))
	}
	e := events.Parse(data, now)
	e.PID, e.UID = pid, uid
	l.add(e)
}

// allow counts an event against its user's rate; lost is how many were left
// out since the last one that was taken.
func (l *logger) allow(uid int, now time.Time) (lost int, ok bool) {
	r := l.rates[uid]
	if r == nil {
		if len(l.rates) >= mostUsers {
			clear(l.rates)
		}
		r = &rate{left: userBurst, at: now}
		l.rates[uid] = r
	}
	r.left = min(userBurst, r.left+now.Sub(r.at).Seconds()*userRate)
	r.at = now
	if r.left < 1 {
		r.lost++
		return 0, false
	}
	r.left--
	lost, r.lost = r.lost, 0
	return lost, true
}

// own writes an event of the log itself.
func (l *logger) own(level, message string) {
	l.add(events.Event{Time: l.now(), Level: level, Facility: "syslog", Source: "eventlog", Message: message, PID: os.Getpid(), UID: os.Geteuid()})
}

func (l *logger) add(e events.Event) {
	if err := l.store.Add(e); err != nil {
		fmt.Fprintln(os.Stderr, "eventlog: write an event:", err)
	}
}

// runTrim removes what is old.
func runTrim(context.Context) error {
	n, err := events.Trim(events.Folder(""), eventsAge, time.Now())
	if err != nil {
		return err
	}
	fmt.Printf("eventtrim: %d files removed whose events were older than %d days\n", n, int(eventsAge.Hours()/24))
	return nil
}

// runEventQuery answers users with their own events, root with all, and ends
// when nobody has asked for a while: its socket starts it again.
func runEventQuery(ctx context.Context) error {
	l, err := passed()
	if err != nil {
		return err
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return errors.New("the passed socket is no unix stream socket")
	}
	u.SetUnlinkOnClose(false) // it is the supervisor's
	closeAt(ctx, u)
	if err := ready(); err != nil {
		return err
	}
	return ended(ctx, serveQueries(u, events.Folder(""), queryIdle))
}

func serveQueries(l *net.UnixListener, dir string, idle time.Duration) error {
	places := make(chan struct{}, queryClients)
	for {
		if err := l.SetDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		conn, err := l.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			for range queryClients { // the last ones are still being answered
				places <- struct{}{}
			}
			return nil
		}
		if err != nil {
			return err
		}
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			defer conn.Close()
			if err := answerQuery(conn, dir); err != nil {
				fmt.Fprintln(os.Stderr, "eventquery:", err)
			}
		}()
	}
}

func answerQuery(conn *net.UnixConn, dir string) error {
	uid, err := peer(conn)
	if err != nil {
		return err
	}
	all, err := events.Read(dir)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(queryLimit)); err != nil {
		return err
	}
	out := json.NewEncoder(conn)
	for _, e := range all {
		if uid == 0 || uid == e.UID {
			if err := out.Encode(e); err != nil {
				return nil // whoever asked has gone
			}
		}
	}
	return nil
}

// peer is the user at the other end of a connection.
func peer(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var got error
	if err := raw.Control(func(fd uintptr) {
		cred, got = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if got != nil {
		return 0, os.NewSyscallError("getsockopt", got)
	}
	return int(cred.Uid), nil
}

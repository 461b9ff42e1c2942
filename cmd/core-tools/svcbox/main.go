// Command svcbox is one static program with the services of the image core.
// Their units run it by links that bear the services' names:
//
//	epmap       tells who connects to TCP 135 which ports are open
//	eventlog    takes events from /dev/log and keeps them
//	eventquery  lets users read their own events
//	eventtrim   removes old events and ends
//	dnscache    answers names on 127.0.0.53 and remembers the answers
//	scheduler   runs the commands of /etc/crontab at their times
//
// Each tells the supervisor when it is ready, stops at SIGTERM, and bounds
// what a client can make it hold.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
	_ "time/tzdata" // the image has no other

	_ "coretools.silo/signals" // without stacks in the log
)

var services = map[string]func(context.Context) error{
	"epmap": runMapper, "eventlog": runEventLog, "eventquery": runEventQuery, "eventtrim": runTrim,
	"dnscache": runCache, "scheduler": runScheduler,
}

func main() { os.Exit(start(os.Args)) }

func start(args []string) int {
	name := ""
	if len(args) > 0 {
		name = filepath.Base(args[0])
	}
	if name == "svcbox" && len(args) > 1 {
		name = args[1]
	}
	run, ok := services[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "svcbox: call it by the name of a service, or: svcbox epmap|eventlog|eventquery|eventtrim|dnscache|scheduler")
		return 2
	}
	// These wait most of the time: little memory counts more than speed.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// hostsPort tells why a service does without its port and ends well: in a
// network namespace that is not the container's, as with --network host, low
// ports are the host's to give. That is no failure which a restart would mend.
func hostsPort(name string, err error) error {
	if !errors.Is(err, syscall.EACCES) {
		return err
	}
	fmt.Printf("%s: does not run here: with --network host the port is the host's: %v\n", name, err)
	return errors.Join(ready(), heard())
}

// barrierWait bounds the wait for a supervisor that knows no barriers.
const barrierWait = 5 * time.Second

// heard waits until the supervisor has taken in what it was told, which of a
// process that has ended it would not know whom it is from.
func heard() error {
	here, there, err := os.Pipe()
	if err != nil {
		return err
	}
	defer here.Close()
	err = notify("BARRIER=1", syscall.UnixRights(int(there.Fd()))...)
	there.Close()
	if err != nil || os.Getenv("NOTIFY_SOCKET") == "" {
		return err
	}
	if err := here.SetReadDeadline(time.Now().Add(barrierWait)); err != nil {
		return err
	}
	if _, err := here.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("notify the supervisor: %w", err)
	}
	return nil
}

// ready tells the supervisor that the service is up, if it wants to know.
func ready() error { return notify("READY=1") }

func notify(state string, rights ...byte) error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the supervisor: %w", err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error // by hand: WriteMsgUnix refuses sockets that are connected
	err = raw.Write(func(fd uintptr) bool {
		sent = syscall.Sendmsg(int(fd), []byte(state), rights, nil, 0)
		return sent != syscall.EAGAIN
	})
	if err = errors.Join(err, sent); err != nil {
		return fmt.Errorf("notify the supervisor: %w", err)
	}
	return nil
}

// firstPassed is the descriptor from which on sockets are passed.
const firstPassed = 3

// passed gives the socket that the supervisor listens on for this service.
func passed() (net.Listener, error) {
	pid, errPID := strconv.Atoi(os.Getenv("LISTEN_PID"))
	n, errCount := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if errPID != nil || errCount != nil || pid != os.Getpid() || n != 1 {
		return nil, errors.New("no socket was passed: its socket unit starts this service")
	}
	f := os.NewFile(firstPassed, "socket")
	defer f.Close() // the listener has a copy
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take the passed socket: %w", err)
	}
	return l, nil
}

// closeAt closes a listener or socket when the service is to stop.
func closeAt(ctx context.Context, c interface{ Close() error }) {
	context.AfterFunc(ctx, func() { c.Close() })
}

// ended is the error of a loop that ended because the service is to stop: none.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

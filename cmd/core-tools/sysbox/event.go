package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coretools.silo/events"
	"coretools.silo/getopt"
	"coretools.silo/table"
)

// querySocket answers who may not read the files of the event log: with the
// events of that user.
const querySocket = "/run/eventquery"

const mostEvents = 64 << 20 // bytes of an answer

func getEventLog(c *call, args []string) error {
	long := map[string]string{"newest": "n", "source": "s", "level": "l"}
	opt, err := getopt.Read("n:s:l:", long, args)
	if err == nil {
		err = none(opt.Operands)
	}
	if err != nil {
		return usageError{err}
	}
	count, err := strconv.Atoi(opt.Value('n', "0"))
	if err != nil || count < 0 {
		return badUsage("-n %s: not a number", opt.Value('n', ""))
	}
	worst := len(events.Levels)
	if l := opt.Value('l', ""); l != "" {
		n, ok := events.Level(l)
		if !ok {
			return badUsage("-l %s: no such level: there are %s", l, strings.Join(events.Levels, ", "))
		}
		worst = n
	}
	all, err := c.events()
	if err != nil {
		return err
	}
	t := &table.Table{Columns: []table.Column{
		{Name: "index"},
		{Name: "time"},
		{Name: "level"},
		{Name: "source"},
		{Name: "message"},
		{Name: "facility", Detail: true},
		{Name: "pid", Detail: true},
		{Name: "user", Detail: true},
	}}
	for _, e := range slices.Backward(all) {
		if n, ok := events.Level(e.Level); ok && n > worst || opt.Has('s') && !matches(opt.Value('s', ""), e.Source) {
			continue
		}
		if count > 0 && len(t.Rows) == count {
			break
		}
		t.Add(e.Index, e.Time.Local(), e.Level, textOf(e.Source), e.Message, e.Facility, above0(e.PID), c.names().User(uint32(e.UID)))
	}
	return c.write(t)
}

// events reads the files, or asks for the caller's own events.
func (c *call) events() ([]events.Event, error) {
	dir := events.Folder(string(c.root))
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no event log: the service eventlog has not run here")
	}
	if err == nil {
		var all []events.Event
		if all, err = events.Read(dir); err == nil {
			return all, nil
		}
	}
	if !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	conn, dialErr := net.Dial("unix", string(c.root)+querySocket)
	if dialErr != nil {
		return nil, fmt.Errorf("%w, and the service eventquery does not listen on %s", err, querySocket)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(conn, mostEvents))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", querySocket, bareCause(err))
	}
	return events.Decode(data), nil
}

// logEvent sends its words, or each line of standard input, to the event log.
func logEvent(c *call, args []string) error {
	opt, err := getopt.Read("+t:p:", nil, args)
	if err != nil {
		return usageError{err}
	}
	facility, level := 1, 5 // user.notice
	if p := opt.Value('p', ""); p != "" {
		f, l, ok := strings.Cut(p, ".")
		if !ok {
			f, l = "user", p
		}
		var okFacility, okLevel bool
		facility, okFacility = events.Facility(f)
		level, okLevel = events.Level(l)
		if !okFacility || !okLevel {
			return badUsage("-p %s: want FACILITY.LEVEL, such as daemon.warning", p)
		}
	}
	conn, err := net.Dial("unixgram", string(c.root)+events.Socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nobody listens on %s: the service eventlog does not run", events.Socket)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", events.Socket, bareCause(err))
	}
	defer conn.Close()
	source := opt.Value('t', "")
	if source == "" {
		if source = c.getenv("USER"); source == "" {
			source = c.names().User(uint32(os.Geteuid()))
		}
	}
	send := func(text string) error {
		_, err := fmt.Fprintf(conn, "<%d>%s %s[%d]: %s", facility<<3|level, time.Now().Format(time.Stamp), filepath.Base(source), os.Getpid(), text)
		return bareCause(err)
	}
	if len(opt.Operands) > 0 {
		return send(strings.Join(opt.Operands, " "))
	}
	data, err := io.ReadAll(io.LimitReader(c.in, mostLogged))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimRight(line, "\n"); line == "" {
			continue
		}
		if err := send(line); err != nil {
			return err
		}
	}
	return nil
}

// mostLogged limits what logger takes from standard input, in bytes.
const mostLogged = 1 << 20

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"coretools.silo/events"
	"coretools.silo/passwd"
	"coretools.silo/procfs"
)

const (
	crontabPath   = "/etc/crontab"
	mostRunning   = 16 // tasks at once; further ones are left out and told
	mostOutput    = 4 << 10
	schedulerPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	cronFacility  = 9
)

// scheduler runs the tasks of a crontab.
type scheduler struct {
	root    procfs.Root
	tasks   []task
	read    time.Time // when the file was changed that was read last
	tell    func(level int, text string)
	mu      sync.Mutex
	running map[string]bool // by user and command
	wait    sync.WaitGroup
}

func runScheduler(ctx context.Context) error {
	s := &scheduler{tell: tellLog, running: map[string]bool{}}
	s.reload()
	if err := ready(); err != nil {
		return err
	}
	for {
		now := time.Now()
		next := now.Truncate(time.Minute).Add(time.Minute)
		select {
		case <-ctx.Done():
			return nil // the supervisor ends what still runs
		case <-time.After(next.Sub(now)):
		}
		s.reload()
		s.minute(ctx, next)
	}
}

// reload reads the crontab if it was changed. No file is no tasks.
func (s *scheduler) reload() {
	info, err := os.Stat(string(s.root) + crontabPath)
	if errors.Is(err, fs.ErrNotExist) {
		s.tasks, s.read = nil, time.Time{}
		return
	}
	if err != nil {
		s.tell(3, err.Error())
		return
	}
	if info.ModTime().Equal(s.read) {
		return
	}
	data, err := s.root.Read(crontabPath)
	if err != nil {
		s.tell(3, err.Error())
		return
	}
	var wrong []error
	s.tasks, wrong = parseCrontab(string(data))
	for _, w := range wrong {
		s.tell(3, fmt.Sprintf("%s: %v", crontabPath, w))
	}
	s.read = info.ModTime()
	s.tell(6, fmt.Sprintf("%s: %d tasks", crontabPath, len(s.tasks)))
}

// minute starts what is due.
func (s *scheduler) minute(ctx context.Context, at time.Time) {
	for _, t := range s.tasks {
		if t.due(at) {
			s.start(ctx, t)
		}
	}
}

func (s *scheduler) start(ctx context.Context, t task) {
	key := t.user + "\x00" + t.command
	s.mu.Lock()
	busy, many := s.running[key], len(s.running) >= mostRunning
	if !busy && !many {
		s.running[key] = true
	}
	s.mu.Unlock()
	switch {
	case busy:
		s.tell(4, fmt.Sprintf("left out, as it still runs: %s", t.command))
		return
	case many:
		s.tell(4, fmt.Sprintf("left out, as %d others run: %s", mostRunning, t.command))
		return
	}
	s.wait.Go(func() {
		s.run(ctx, t)
		s.mu.Lock()
		delete(s.running, key)
		s.mu.Unlock()
	})
}

// run runs a task to its end as its user, and tells how it went.
func (s *scheduler) run(ctx context.Context, t task) {
	names := passwd.LoadFrom(string(s.root))
	u, err := names.Find(t.user)
	if err != nil {
		s.tell(3, fmt.Sprintf("%s: %v", t.command, err))
		return
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", t.command)
	cmd.Dir = "/"
	cmd.Env = []string{schedulerPath, "HOME=" + u.Home, "SHELL=/bin/sh", "USER=" + u.Name, "LOGNAME=" + u.Name}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: names.Memberships(u.Name)}}
	}
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second // what it left in the background keeps no pipe of ours
	err = cmd.Run()
	for line := range strings.Lines(out.text()) {
		if line = strings.TrimSpace(line); line != "" {
			s.tell(6, fmt.Sprintf("%s: %s", t.command, line))
		}
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		s.tell(4, fmt.Sprintf("%s: %v", t.command, err))
		return
	}
	s.tell(6, fmt.Sprintf("done: %s", t.command))
}

// tail keeps the last bytes that a task wrote.
type tail struct {
	mu   sync.Mutex
	data []byte
	cut  bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - mostOutput; extra > 0 {
		t.data, t.cut = append(t.data[:0], t.data[extra:]...), true
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	data := t.data
	if i := bytes.IndexByte(data, '\n'); t.cut && i >= 0 {
		data = data[i+1:] // a line without its beginning
	}
	return string(data)
}

// tellLog writes to the event log, and to standard error if there is none.
func tellLog(level int, text string) {
	conn, err := net.Dial("unixgram", events.Socket)
	if err == nil {
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "<%d>scheduler[%d]: %s", cronFacility<<3|level, os.Getpid(), text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scheduler:", text)
	}
}

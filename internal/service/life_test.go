package service

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// One start of a unit, a while, and one stop: what ran, and what it came to.
func TestLives(t *testing.T) {
	for _, tt := range []struct {
		name   string
		unit   string
		start  string // part of the error of the start
		while  time.Duration
		status string // after the while
		result string
		trace  string
		stop   string // what the stop did
	}{
		{
			name: "simple", unit: "ExecStart=/bin/run a $X\nEnvironment=X=b",
			status: "running", result: "success", trace: "/bin/run a b", stop: "SIGTERM run",
		},
		{
			name: "all commands in order", unit: "ExecCondition=/bin/ok c\nExecStartPre=/bin/ok pre\nExecStart=/bin/run\nExecStartPost=/bin/ok post\nExecStop=/bin/ok stop\nExecStopPost=/bin/ok after",
			status: "running", result: "success", trace: "/bin/ok c; /bin/ok pre; /bin/run; /bin/ok post", stop: "/bin/ok stop; SIGTERM run; /bin/ok after",
		},
		{
			name: "a condition that says no", unit: "ExecCondition=/bin/fail\nExecStart=/bin/run",
			status: "stopped", result: "exec-condition", trace: "/bin/fail",
		},
		{
			name: "a command before that fails", unit: "ExecStartPre=/bin/fail\nExecStart=/bin/run\nExecStopPost=/bin/ok clean",
			start: "failed: exit-code", status: "failed", result: "exit-code", trace: "/bin/fail; /bin/ok clean",
		},
		{
			name: "a failure that is ignored", unit: "ExecStartPre=-/bin/fail\nExecStart=/bin/run",
			status: "running", result: "success", trace: "/bin/fail; /bin/run", stop: "SIGTERM run",
		},
		{
			name: "a program that is not there", unit: "ExecStart=/bin/missing",
			start: "failed: exit-code", status: "failed", result: "exit-code", trace: "/bin/missing",
		},
		{
			name: "oneshot", unit: "Type=oneshot\nExecStart=/bin/ok 1\nExecStart=/bin/slow 2",
			status: "stopped", result: "success", trace: "/bin/ok 1; /bin/slow 2",
		},
		{
			name: "oneshot that remains", unit: "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/ok\nExecStop=/bin/ok undo",
			status: "exited", result: "success", trace: "/bin/ok", stop: "/bin/ok undo",
		},
		{
			name: "oneshot that fails", unit: "Type=oneshot\nExecStart=/bin/fail\nExecStart=/bin/ok",
			start: "failed: exit-code", status: "failed", result: "exit-code", trace: "/bin/fail",
		},
		{
			name: "forking with a PID file", unit: "Type=forking\nPIDFile=/run/d.pid\nExecStart=/bin/daemon",
			status: "running", result: "success", trace: "/bin/daemon", stop: "SIGTERM daemon",
		},
		{
			name: "forking, guessed", unit: "Type=forking\nExecStart=/bin/daemon",
			status: "running", result: "success", trace: "/bin/daemon", stop: "SIGTERM daemon",
		},
		{
			name: "forking, a PID file that names a stranger", unit: "Type=forking\nPIDFile=/run/d.pid\nTimeoutStartSec=5\nExecStart=/bin/liar",
			start: "failed: timeout", status: "failed", result: "timeout", trace: "/bin/liar; SIGTERM liar",
		},
		{
			name: "forks and vanishes", unit: "Type=forking\nPIDFile=/run/none.pid\nExecStart=/bin/vanish",
			start: "failed: protocol", status: "failed", result: "protocol", trace: "/bin/vanish",
		},
		{
			name: "notify", unit: "Type=notify\nExecStart=/bin/ready",
			status: "running", result: "success", trace: "/bin/ready", stop: "SIGTERM ready",
		},
		{
			name: "never ready", unit: "Type=notify\nTimeoutStartSec=3\nExecStart=/bin/run",
			start: "failed: timeout", status: "failed", result: "timeout", trace: "/bin/run; SIGTERM run",
		},
		{
			name: "ends before it is ready", unit: "Type=notify\nExecStart=/bin/slow",
			start: "failed: protocol", status: "failed", result: "protocol", trace: "/bin/slow",
		},
		{
			name: "ignores SIGTERM", unit: "ExecStart=/bin/stubborn\nTimeoutStopSec=7",
			status: "running", result: "success", trace: "/bin/stubborn", stop: "SIGTERM stubborn; SIGKILL stubborn",
		},
		{
			name: "another signal, and SIGHUP too", unit: "ExecStart=/bin/run\nKillSignal=SIGINT\nSendSIGHUP=yes",
			status: "running", result: "success", trace: "/bin/run", stop: "SIGINT run; SIGHUP run",
		},
		{
			name: "ends by itself", unit: "ExecStart=/bin/slow\nExecStop=/bin/ok stop", while: 5 * time.Second,
			status: "stopped", result: "success", trace: "/bin/slow; /bin/ok stop",
		},
		{
			name: "crashes", unit: "ExecStart=/bin/crash\nExecStopPost=/bin/ok ${EXIT_CODE} $EXIT_STATUS $SERVICE_RESULT", while: 5 * time.Second,
			status: "failed", result: "signal", trace: "/bin/crash; /bin/ok killed SEGV signal",
		},
		{
			name: "runs for too long", unit: "ExecStart=/bin/run\nRuntimeMaxSec=10", while: 11 * time.Second,
			status: "failed", result: "timeout", trace: "/bin/run; SIGTERM run",
		},
		{
			name: "watchdog", unit: "Type=notify\nWatchdogSec=5\nExecStart=/bin/ready", while: 6 * time.Second,
			status: "failed", result: "watchdog", trace: "/bin/ready; SIGABRT ready",
		},
		{
			name: "a user that is not there", unit: "ExecStart=/bin/run\nUser=nobody-knows",
			start: "unable to find it", status: "failed", result: "resources",
		},
		{
			name: "a variable file that is not there", unit: "ExecStart=/bin/run\nEnvironmentFile=/etc/none",
			start: "failed: exit-code", status: "failed", result: "exit-code",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, map[string]string{"a.service": "[Service]\n" + tt.unit + "\n"}, func(t *testing.T, f *fake) {
				err := f.do("start", "a")
				if (tt.start == "") != (err == "") || !strings.Contains(err, tt.start) {
					t.Errorf("start: %q, want %q", err, tt.start)
				}
				time.Sleep(tt.while)
				s := f.is(t, "a", tt.status)
				if s.Result != tt.result {
					t.Errorf("result is %s, want %s", s.Result, tt.result)
				}
				if got := f.take(); got != tt.trace {
					t.Errorf("ran %q, want %q", got, tt.trace)
				}
				if err := f.do("stop", "a"); err != "" {
					t.Errorf("stop: %s", err)
				}
				if got := f.take(); got != tt.stop {
					t.Errorf("stop did %q, want %q", got, tt.stop)
				}
				synctest.Wait()
				for mark, left := range f.Members() {
					t.Errorf("processes of run %d are left: %v", mark, left)
				}
			})
		})
	}
}

// Restart= by what happened, and the limit of starts.
func TestRestarts(t *testing.T) {
	for _, tt := range []struct {
		policy, program string
		restarts        int
		status          string
	}{
		{"no", "crash", 0, "failed"},
		{"always", "slow", 4, "failed"},
		{"on-failure", "slow", 0, "stopped"},
		{"on-failure", "crash", 4, "failed"},
		{"on-abnormal", "crash", 4, "failed"},
		{"on-success", "crash", 0, "failed"},
		{"on-success", "slow", 4, "failed"},
		{"on-abort", "crash", 4, "failed"},
		{"on-watchdog", "crash", 0, "failed"},
	} {
		t.Run(tt.policy+" "+tt.program, func(t *testing.T) {
			text := "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=5\n[Service]\nExecStart=/bin/" + tt.program + "\nRestartSec=1\nRestart=" + tt.policy + "\n"
			story(t, map[string]string{"a.service": text}, func(t *testing.T, f *fake) {
				if err := f.do("start", "a"); err != "" {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				s := f.is(t, "a", tt.status)
				if n := strings.Count(f.take(), "/bin/"); n != tt.restarts+1 {
					t.Errorf("ran %d times, want %d", n, tt.restarts+1)
				}
				if tt.restarts > 0 && s.Result != "start-limit-hit" {
					t.Errorf("result is %s, want start-limit-hit", s.Result)
				}
				if tt.status == "failed" && len(f.failed) != 1 {
					t.Errorf("failures told: %q, want one", f.failed)
				}
			})
		})
	}
}

// A stop takes a service out of its wait for a restart.
func TestStopWhileWaitingForRestart(t *testing.T) {
	story(t, map[string]string{"a.service": "[Service]\nExecStart=/bin/crash\nRestart=always\nRestartSec=30\n"}, func(t *testing.T, f *fake) {
		if err := f.do("start", "a"); err != "" {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		f.is(t, "a", "starting")
		if err := f.do("stop", "a"); err != "" {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		f.is(t, "a", "stopped")
		if n := strings.Count(f.take(), "crash"); n != 1 {
			t.Errorf("it ran %d times, want once", n)
		}
	})
}

// The table of states is whole: each has a name for people, can be reached
// from dead, and leads back to a state in which nothing runs.
func TestStates(t *testing.T) {
	reach := func(from state) map[state]bool {
		seen := map[state]bool{}
		todo := []state{from}
		for len(todo) > 0 {
			for _, next := range transitions[todo[0]] {
				if !seen[next] {
					seen[next] = true
					todo = append(todo, next)
				}
			}
			todo = todo[1:]
		}
		return seen
	}
	fromDead := reach(dead)
	for st := range transitions {
		if status[st] == "" {
			t.Errorf("%s has no name for people", st)
		}
		if !fromDead[st] {
			t.Errorf("%s cannot be reached", st)
		}
		if back := reach(st); !back[dead] || !back[failed] {
			t.Errorf("%s does not lead back to dead and failed", st)
		}
	}
	for st := range status {
		if transitions[st] == nil {
			t.Errorf("nothing leads out of %s", st)
		}
	}
}

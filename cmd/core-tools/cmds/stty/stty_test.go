package main

import (
	"strings"
	"syscall"
	"testing"
)

func sane(t *testing.T) *syscall.Termios {
	t.Helper()
	var tty syscall.Termios
	if _, err := set(&tty, &window{}, []string{"sane"}); err != nil {
		t.Fatal(err)
	}
	return &tty
}

func TestSet(t *testing.T) {
	w := window{rows: 24, cols: 80}
	tty := sane(t)
	out, err := set(tty, &w, []string{"size", "-echo", "rows", "30", "columns", "100", "intr", "^X", "eof", "undef", "size"})
	if err != nil || out != "24 80\n30 100\n" {
		t.Errorf("it prints %q, %v", out, err)
	}
	if tty.Lflag&syscall.ECHO != 0 || tty.Cc[syscall.VINTR] != 24 || tty.Cc[syscall.VEOF] != 0 {
		t.Errorf("%+v", tty)
	}
	saved := save(tty)
	if _, err := set(tty, &w, []string{"raw"}); err != nil || tty.Lflag&(syscall.ICANON|syscall.ISIG) != 0 || tty.Oflag&syscall.OPOST != 0 {
		t.Errorf("raw: %+v, %v", tty, err)
	}
	if _, err := set(tty, &w, []string{saved}); err != nil || save(tty) != saved {
		t.Errorf("saved %s, restored %s, %v", saved, save(tty), err)
	}
	for _, args := range [][]string{{"nope"}, {"rows"}, {"rows", "x"}, {"min", "256"}, {"intr", "abc"}, {"1:2:3"}, {"0:0:0:0:100"}, {"-size"}} {
		if _, err := set(tty, &w, args); err == nil {
			t.Errorf("stty %s is accepted", strings.Join(args, " "))
		}
	}
}

func TestDescribe(t *testing.T) {
	tty := sane(t)
	if got, want := describe(tty, window{}, false), "speed 38400 baud; line = 0;\n"; got != want {
		t.Errorf("a sane terminal is %q, want %q", got, want)
	}
	setFlag(tty, "-echo")
	if got := describe(tty, window{}, false); !strings.HasSuffix(got, "\n-echo\n") {
		t.Errorf("without echo it is %q", got)
	}
	got := describe(tty, window{rows: 5, cols: 60}, true)
	for _, want := range []string{"rows 5; columns 60;", "intr = ^C;", "erase = ^?;", "eol = <undef>;", "icanon", " -echo "} {
		if !strings.Contains(got, want) {
			t.Errorf("all settings lack %q:\n%s", want, got)
		}
	}
	for _, line := range strings.Split(got, "\n") {
		if len(line) > 60 {
			t.Errorf("a line is too long: %s", line)
		}
	}
}

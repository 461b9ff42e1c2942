// Command probe is a service for tests: it speaks to its supervisor in the
// ways that services do, and in some that they should not.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch args[0] {
	case "notify":
		if err := notify("READY=1\nSTATUS=all well"); err != nil {
			return err
		}
		forever()
	case "notify-child": // its child speaks for it
		if len(args) > 1 {
			return notify("READY=1")
		}
		c := exec.Command("/proc/self/exe", "notify-child", "speak")
		if err := c.Start(); err != nil {
			return err
		}
		forever() // nobody waits for the child, so it can be looked at when it has spoken
	case "reload":
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		if err := notify("READY=1"); err != nil {
			return err
		}
		for range hup {
			fmt.Println("reloaded")
			if err := notify("RELOADING=1"); err != nil {
				return err
			}
			if err := notify("READY=1"); err != nil {
				return err
			}
		}
	case "listen":
		return listen()
	case "show":
		return show()
	case "ask":
		return ask(args[1])
	}
	return fmt.Errorf("unknown mode %q", args[0])
}

func notify(text string) error {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

// listen greets whoever connects to the socket it was given.
func listen() error {
	if os.Getenv("LISTEN_PID") != fmt.Sprint(os.Getpid()) {
		return fmt.Errorf("LISTEN_PID is %q, not %d", os.Getenv("LISTEN_PID"), os.Getpid())
	}
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintf(c, "hello from descriptor 3 of %s\n", os.Getenv("LISTEN_FDS"))
		c.Close()
	}
}

// show prints the rights that it has.
func show() error {
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	// The soft limit is not shown: Go raises it for itself.
	fmt.Printf("uid %d\ngroups %s\numask %03o\nfiles %d\n%s\ndone\n", os.Getuid(), strings.ReplaceAll(strings.Trim(fmt.Sprint(groups), "[]"), " ", ","),
		syscall.Umask(0), lim.Max, status)
	forever()
	return nil
}

// forever waits; with nothing but select a Go program ends as a deadlock.
func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

// ask sends one line to the agent and prints the answer.
func ask(line string) error {
	c, err := net.Dial("unix", "/dev/silo/agent")
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintln(c, line)
	answer, err := bufio.NewReader(c).ReadString('\n')
	fmt.Print(answer)
	return err
}

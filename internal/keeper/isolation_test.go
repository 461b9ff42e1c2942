package keeper_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	agent "silo/internal/agent/wire"
	"silo/internal/keeper"
	"silo/internal/keeper/remote"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

func shell(script string) agent.Command {
	return agent.Command{Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin"}}
}

func TestStandardInputEndsWithTheClients(t *testing.T) {
	k, _ := startKeeper(t)
	out, exit := run(t, k, "once", agent.Start{Command: shell("cat; echo end")}, wire.Stdio{OpenStdin: true, StdinOnce: true})
	if out != "end\n" || exit.Code != 0 {
		t.Errorf("output %q, exit %+v", out, exit)
	}
}

func TestInitReapsAndPassesTheCode(t *testing.T) {
	k, _ := startKeeper(t)
	out, exit := run(t, k, "init", agent.Start{PID: true, Init: true, Command: shell("[ $$ -gt 1 ] && echo child; (sleep 0.01 &); exit 9")}, wire.Stdio{})
	if out != "child\n" || exit.Code != 9 {
		t.Errorf("output %q, exit %+v; want no process 1, and code 9", out, exit)
	}
}

// upgrade replaces a keeper's program and connects to it anew.
func upgrade(t *testing.T, k *remote.Keeper, dir string) *remote.Keeper {
	t.Helper()
	program, err := linux.Open(filepath.Join(dir, "silo-keeper"), linux.ORdonly, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	exe, err := keeper.AgentFD(filepath.Join(dir, "silo-agent"))
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	if err := k.Upgrade(bg, program, exe); err != nil {
		t.Fatal(err)
	}
	return dial(t, filepath.Join(dir, wire.SocketName))
}

// TestUpgradeKeepsClientsAndExecs replaces the keeper's program while a client
// talks to a command in a PID namespace, and executes another there.
func TestUpgradeKeepsClientsAndExecs(t *testing.T) {
	k, dir := startKeeper(t)
	launch(t, k, "up")
	ours, theirs, err := linux.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	talk := linux.NewFD(ours, "client").PollFile()
	defer talk.Close()
	conn := linux.NewFD(theirs, "conn")
	_, err = k.Start(bg, wire.Start{
		ID: "up", Body: agent.Start{PID: true, Command: shell("while read l; do echo $l; done; exit 3")},
		Stdio: wire.Stdio{OpenStdin: true, StdinOnce: true}, Attach: []wire.Attach{{Stdin: true, Stdout: true, Stderr: true}},
	},
		[]*linux.FD{busyboxRoot(t)}, []*linux.FD{conn})
	conn.Close()
	if err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		t.Helper()
		got := make([]byte, len(text))
		if _, err := io.WriteString(talk, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(talk, got); err != nil || string(got) != text {
			t.Fatalf("said %q, heard %q, %v", text, got, err)
		}
	}
	say("before\n")
	k = upgrade(t, k, dir)
	say("after\n")

	end, out := client(t)
	_, err = k.Exec(bg, wire.Exec{
		ID: "up", Command: agent.Command{ID: "x", Args: []string{"sh", "-c", "[ $$ -lt 100 ] && cat /proc/1/comm"}, Env: []string{"PATH=/bin"}},
		Attach: &wire.Attach{Stdout: true, Stderr: true},
	}, end)
	end.Close()
	if err != nil {
		t.Fatal(err)
	}
	if got := <-out; got != "sh\n" {
		t.Errorf("exec in the PID namespace prints %q", got)
	}
	linux.ShutdownFile(talk)
	if exit := awaitExit(t, k, "up"); exit.Code != 3 {
		t.Errorf("exit %+v", exit)
	}
	if _, err := os.Stat(filepath.Join(dir, wire.SocketName)); err != nil {
		t.Error(err)
	}
}

// TestUpgradeKeepsDebts replaces the program of a keeper that owes a client
// most of the output of a command that has ended.
func TestUpgradeKeepsDebts(t *testing.T) {
	k, dir := startKeeper(t)
	launch(t, k, "slow")
	ours, theirs, err := linux.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	client := linux.NewFD(ours, "client").PollFile()
	defer client.Close()
	conn := linux.NewFD(theirs, "conn")
	if err := syscall.SetsockoptInt(theirs, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096); err != nil {
		t.Fatal(err)
	}
	// What a pipe can take, this socket cannot.
	const size = 60000
	_, err = k.Start(bg, wire.Start{
		ID: "slow", Body: agent.Start{Command: shell("i=0; while [ $i -lt 750 ]; do echo 0123456789012345678901234567890123456789012345678901234567890123456789012345678; i=$((i+1)); done")},
		Attach: []wire.Attach{{Stdout: true}},
	}, []*linux.FD{busyboxRoot(t)}, []*linux.FD{conn})
	conn.Close()
	if err != nil {
		t.Fatal(err)
	}
	if exit := awaitExit(t, k, "slow"); exit.Code != 0 {
		t.Fatalf("exit %+v", exit)
	}
	upgrade(t, k, dir)
	got, err := io.ReadAll(client)
	if err != nil || len(got) != size {
		t.Errorf("%d bytes, %v, want %d", len(got), err, size)
	}
}

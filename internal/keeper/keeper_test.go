package keeper_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agent "silo/internal/agent/wire"
	"silo/internal/keeper/remote"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const firstID = 0x70000000

// startKeeper builds and runs a real keeper.
func startKeeper(t *testing.T) (*remote.Keeper, string) {
	t.Helper()
	testenv.NeedRoot(t)
	dir := t.TempDir()
	for _, name := range []string{"silo-keeper", "silo-agent"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), "silo/cmd/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	socket := filepath.Join(dir, wire.SocketName)
	cmd := exec.Command(filepath.Join(dir, "silo-keeper"), "--socket", socket, "--agent", filepath.Join(dir, "silo-agent"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return dial(t, socket), dir
}

func dial(t *testing.T, socket string) *remote.Keeper {
	t.Helper()
	for range 200 {
		k, err := remote.Dial(socket)
		if err == nil {
			t.Cleanup(func() { k.Close(); <-k.Done() })
			return k
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the keeper does not answer")
	return nil
}

// busyboxRoot makes a detached tmpfs with a static busybox, owned by the
// container's root.
func busyboxRoot(t *testing.T) *linux.FD {
	t.Helper()
	testenv.NeedCommand(t, "busybox", "busybox-static")
	root, err := linux.MountFS("tmpfs", []linux.FSOption{{Key: "mode", Value: "755"}, {Key: "uid", Value: "1879048192"}, {Key: "gid", Value: "1879048192"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	bin := root.Path() + "/bin"
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"etc", "tmp"} {
		if err := os.Mkdir(root.Path()+"/"+d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bin+"/busybox", data, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", "sleep", "id", "cat", "echo", "true", "ls", "kill", "ps", "hostname", "mount", "stty"} {
		if err := os.Symlink("busybox", bin+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var bg = context.Background()

// launch makes a parked agent for process isolation.
func launch(t *testing.T, k *remote.Keeper, id string) wire.Launched {
	t.Helper()
	l, err := k.Launch(bg, wire.Launch{ID: id, First: firstID, Count: 65536, Net: true, UTS: true, IPC: true}, nil)
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	dev, err := linux.MakeDev(firstID, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	proc, err := linux.MountFS("proc", []linux.FSOption{{Key: "hidepid", Value: "ptraceable"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	p := wire.Prepare{ID: id, Body: agent.Prepare{
		Proc: true, Shm: true, ShmSize: 64 << 20, Mqueue: true,
		Masked: []string{"/proc/kcore", "/sys/firmware"}, ReadOnly: []string{"/proc/sys"},
	}}
	if err := k.Prepare(bg, p, []*linux.FD{dev, proc}); err != nil {
		t.Fatalf("prepare: %v", err)
	}
	return l
}

// run starts a command and returns its output and exit.
func run(t *testing.T, k *remote.Keeper, id string, s agent.Start, io wire.Stdio) (string, wire.Exit) {
	t.Helper()
	launch(t, k, id)
	conn, out := client(t)
	root := busyboxRoot(t)
	_, err := k.Start(bg, wire.Start{ID: id, Body: s, Stdio: io, Attach: []wire.Attach{{Stdin: true, Stdout: true, Stderr: true}}},
		[]*linux.FD{root}, []*linux.FD{conn})
	conn.Close()
	if err != nil {
		_ = k.End(bg, id)
		t.Fatalf("start: %v", err)
	}
	text := <-out
	return text, awaitExit(t, k, id)
}

// client makes one end of a connection for the keeper and collects what comes
// out of the other.
func client(t *testing.T) (*linux.FD, <-chan string) {
	t.Helper()
	a, b, err := linux.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 1)
	go func() {
		f := linux.NewFD(b, "client").PollFile()
		defer f.Close()
		linux.ShutdownFile(f)
		var buf bytes.Buffer
		_, _ = io.Copy(&buf, f)
		out <- buf.String()
	}()
	return linux.NewFD(a, "conn"), out
}

func awaitExit(t *testing.T, k *remote.Keeper, id string) wire.Exit {
	t.Helper()
	for {
		select {
		case e := <-k.Events():
			if e.Op == "exit" && e.Exit.ID == id {
				if err := k.Forget(bg, id); err != nil {
					t.Fatal(err)
				}
				return e.Exit
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no exit was told")
		}
	}
}

func TestCommandEnds(t *testing.T) {
	k, _ := startKeeper(t)
	for _, tt := range []struct {
		name   string
		script string
		out    string
		code   int
	}{
		{"output of both streams", "echo one; sleep 0.2; echo two >&2", "one\ntwo\n", 0},
		{"exit code", "exit 7", "", 7},
		{"signal", "kill -9 $$", "", 137},
		{"identity", "id -u; hostname", "0\nhost1\n", 0},
		{"background processes end with the command", "sleep 1000 & sleep 1000 & echo up", "up\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, exit := run(t, k, strings.ReplaceAll(tt.name, " ", "-"), agent.Start{
				Hostname: "host1",
				Command:  agent.Command{Args: []string{"sh", "-c", tt.script}, Env: []string{"PATH=/bin"}},
			}, wire.Stdio{})
			if out != tt.out || exit.Code != tt.code {
				t.Errorf("output %q, exit %+v; want %q, %d", out, exit, tt.out, tt.code)
			}
		})
	}
}

func TestSessionAndOwnProcessesOnly(t *testing.T) {
	k, _ := startKeeper(t)
	out, exit := run(t, k, "ps", agent.Start{Command: agent.Command{Args: []string{
		"sh", "-c",
		"cat /proc/self/sessionid; echo; ls /proc | cat; kill -0 1",
	}, Env: []string{"PATH=/bin"}}}, wire.Stdio{})
	if exit.Code == 0 {
		t.Errorf("a process of the host can be signalled: %s", out)
	}
	if strings.Contains(out, "\n1\n") {
		t.Errorf("process 1 of the host is visible:\n%s", out)
	}
}

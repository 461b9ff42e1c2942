// Command floor does for each run only what the kernel must for a container:
// fork with new namespaces (user, mount, network, UTS, IPC, cgroup) and id
// maps, lay an overlay over an EROFS base, pivot, execute a static program,
// wait for its end. It has no network, no disk, no proc and no standby, and no
// Go code runs in the child.
//
// It is the measure that Silo is held against: bench starts it and lets it run
// in turn with Silo's runs. By hand, for 100 runs:
//
//	echo 100 | unshare --mount bin/bench/floor base.erofs /bin/true
//
// It reads counts from standard input, a line each, and answers each with a
// line of as many times in nanoseconds. The fork is fork(2)'s, with a copy of
// this small program's memory; after the word "shared" instead of it the child
// shares the memory until it executes its program, which the kernel can do
// faster. If a program and its arguments follow the count, separated by tabs, it
// runs and times that program instead, measured by the same clock, from before
// the fork until the end is reaped.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"silo/internal/layer"
	"silo/internal/linux"
)

func main() {
	if err := floor(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func floor(args []string, in io.Reader, out io.Writer) error {
	if len(args) < 2 {
		return fmt.Errorf("give an EROFS file and a command within it")
	}
	// Forks from one thread only, and mounts in a namespace of this process.
	runtime.LockOSThread()
	dir, err := os.MkdirTemp("", "silo-floor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	base, done, err := attachBase(args[0], dir)
	if err != nil {
		return err
	}
	defer done()
	f := &linux.Fork{
		Flags:   linux.CloneFlags(true, true, true) | syscall.CLONE_NEWCGROUP,
		Steps:   steps(base, filepath.Join(dir, "stage"), args[1:]),
		Prepare: mapIDs,
		Copy:    true,
	}
	shared := *f
	shared.Copy = false
	null, err := linux.Open(os.DevNull, linux.ORdwr, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		words := strings.Split(lines.Text(), "\t")
		n, err := strconv.Atoi(words[0])
		if err != nil {
			return err
		}
		runs := f
		switch {
		case len(words) > 1 && words[1] == "shared":
			runs = &shared
		case len(words) > 1:
			runs = program(words[1:], null)
		}
		var line strings.Builder
		for range n {
			took, err := run(runs)
			if err != nil {
				return err
			}
			fmt.Fprintf(&line, "%d ", took.Nanoseconds())
		}
		fmt.Fprintln(out, strings.TrimSpace(line.String()))
	}
	return nil
}

// attachBase mounts the base below dir, in this process's mount namespace, and
// makes the folder over which each child mounts its own.
func attachBase(file, dir string) (base string, done func(), err error) {
	base = filepath.Join(dir, "base")
	for _, d := range []string{dir, base, filepath.Join(dir, "stage")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", nil, err
		}
		if err := os.Chmod(d, 0o755); err != nil { // the child is another user
			return "", nil, err
		}
	}
	m, err := layer.MountBase(file)
	if err != nil {
		return "", nil, err
	}
	defer m.Close()
	if err := linux.MoveMount(m, nil, base); err != nil {
		return "", nil, err
	}
	return base, func() { _ = linux.UnmountDetach(base) }, nil
}

// steps is the child's way from fork to the command.
func steps(base, stage string, command []string) []linux.Step {
	upper, work, root := stage+"/upper", stage+"/work", stage+"/root"
	list := linux.StepSetID(0, 0, nil)
	list = append(list,
		linux.StepMount("tmpfs", stage, "tmpfs", 0, "mode=755"),
		linux.StepMkdir(upper, 0o755), linux.StepMkdir(work, 0o755), linux.StepMkdir(root, 0o755),
		linux.StepMount("overlay", root, "overlay", 0, "userxattr,lowerdir="+base+",upperdir="+upper+",workdir="+work),
	)
	list = append(list, linux.StepsPivot(root)...)
	return append(list, linux.StepExec(command[0], command, nil))
}

// program runs a program of the host, its input and output joined to nothing.
func program(args []string, null *linux.FD) *linux.Fork {
	return &linux.Fork{Steps: []linux.Step{
		linux.StepDup(null.Int(), 0), linux.StepDup(null.Int(), 1), linux.StepCloseFrom(3), linux.StepExec(args[0], args, os.Environ()),
	}}
}

// firstID is where the children's 65,536 user ids begin on the host: below
// those that silod gives to containers.
const firstID = 0x6fff0000

func mapIDs(pid int) error {
	ids := fmt.Appendf(nil, "0 %d 65536\n", firstID)
	for _, name := range []string{"/uid_map", "/gid_map"} {
		if err := os.WriteFile("/proc/"+strconv.Itoa(pid)+name, ids, 0); err != nil {
			return err
		}
	}
	return nil
}

func run(f *linux.Fork) (time.Duration, error) {
	begin := time.Now()
	pid, err := f.Start()
	if err != nil {
		return 0, err
	}
	ws, err := linux.WaitPID(pid)
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	if code, _ := linux.ExitCode(ws); code != 0 {
		return 0, fmt.Errorf("the command ended with exit code %d", code)
	}
	return took, nil
}

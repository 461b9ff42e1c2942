package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// exitMark begins the line by which the guest tells how its command ended.
const exitMark = "silo-vm: exit "

// boot runs the machine, passes its console on, and gives the exit code that
// the guest reported. A machine that ends without is an error, unless its
// power was cut.
func boot(o options, k kit, image string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	line := "console=ttyS0 loglevel=1 panic=-1 reboot=t random.trust_cpu=on " + cgroupWords(o.cgroup) + " " + clockWord() + " " + o.extra
	args := []string{
		// Emulated always: a /dev/kvm inside a rented machine is often there and
		// then hangs or dies on a register that the outer one does not let through.
		"-L", k.firmware, "-machine", "microvm,accel=tcg", "-cpu", "max",
		"-m", strconv.Itoa(o.memory), "-smp", strconv.Itoa(o.cpus), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-serial", "stdio", "-kernel", k.kernel, "-initrd", image, "-append", strings.TrimSpace(line),
	}
	if o.disk != "" {
		args = append(args, "-drive", "id=disk,if=none,format=raw,discard=unmap,file="+strings.ReplaceAll(o.disk, ",", ",,"), "-device", "virtio-blk-device,drive=disk")
	}
	cmd := exec.CommandContext(ctx, k.qemu, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+k.libraries)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	code, err := console(out, os.Stdout, o.cut)
	if errors.Is(err, errCut) {
		if err := cmd.Process.Kill(); err != nil {
			return 0, err
		}
		_ = cmd.Wait() // says that it was killed
		return 0, nil
	}
	if waitErr := cmd.Wait(); err == nil && code < 0 {
		if o.cut != "" {
			return 0, fmt.Errorf("the machine ended by itself: %v: no line of its console had %q", waitErr, o.cut)
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("the machine did not end within %v", o.timeout)
		}
		return 0, fmt.Errorf("the machine ended without a result: %v", waitErr)
	}
	return code, err
}

// errCut tells that the line came at which to cut the power.
var errCut = errors.New("cut the power")

// console copies the guest's output but for the exit mark; -1 if none came. It
// returns errCut at a line with the text cut, if that is not empty.
func console(from io.Reader, to io.Writer, cut string) (int, error) {
	code := -1
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		if before, mark, ok := strings.Cut(line, exitMark); ok {
			n, convErr := strconv.Atoi(strings.TrimSpace(mark))
			if convErr != nil {
				return 0, fmt.Errorf("the guest's exit mark: %w", convErr)
			}
			code, line = n, before
		}
		if _, writeErr := io.WriteString(to, strings.ReplaceAll(line, "\r\n", "\n")); writeErr != nil {
			return 0, writeErr
		}
		if cut != "" && strings.Contains(line, cut) {
			return 0, errCut
		}
		if err != nil {
			return code, nil
		}
	}
}

// clockWord tells an emulated machine how fast its clock counts, which is the
// host's: measured in there on a busy host it fails now and then, and the
// kernel then waits for ever.
func clockWord() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "cpu MHz" {
			if mhz, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return fmt.Sprintf("tsc_early_khz=%d", int(mhz*1000))
			}
		}
	}
	return ""
}

// cgroupWords keep controllers out of version 2 where version 1 is to have them.
func cgroupWords(mode string) string {
	if mode == "v2" {
		return "cgroup_no_v1=all"
	}
	return ""
}

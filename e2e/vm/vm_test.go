package vm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// modules are what Silo needs of a kernel that is built of modules: a real host
// loads them when they are first asked for.
const modules = "virtio_mmio,virtio_blk,loop,overlay,erofs,ext4,bridge,br_netfilter,veth,nf_tables,nft_masq,nft_nat,nft_chain_nat,nft_ct,nft_fib_inet,nft_reject_inet,nf_conntrack_netlink"

// tools are the programs of the host that stories and silod itself call.
var tools = []string{"ip", "nft", "losetup", "lsblk", "curl", "ping", "ps", "mkfs.ext4", "e2fsck"}

// machine is tools/vm, and what each of its machines is given.
type machine struct {
	program string
	flags   []string
}

// newMachine builds tools/vm, and a disk that lasts as long as the test.
func newMachine(t *testing.T) machine {
	t.Helper()
	testenv.NeedRoot(t) // for what apt-get downloads, and as quick-test is to stay quick
	testenv.NeedArch(t, "amd64")
	testenv.NeedCommand(t, "go", "golang")
	testenv.NeedCommand(t, "apt-get", "apt")
	testenv.NeedCommand(t, "qemu-system-x86_64", "qemu-system-x86")
	bins := os.Getenv("SILO_BIN")
	testenv.Need(t, bins != "", "SILO_BIN must name the folder of the programs: use `make test`")
	dir := t.TempDir()
	m := machine{program: filepath.Join(dir, "vm")}
	build := exec.Command("go", "build", "-o", m.program, "silo/tools/vm")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tools/vm: %v\n%s", err, out)
	}
	// One processor: with more, emulated ones wait for each other for ever now
	// and then, on a busy host.
	m.flags = []string{
		"-memory", "1500", "-cpus", "1", "-timeout", "5m", "-modules", modules, "-disk", filepath.Join(dir, "disk"), "-file", "/silo=" + bins,
	}
	for _, name := range tools {
		m.flags = append(m.flags, "-tool", name)
	}
	return m
}

// run boots a machine and gives what its console shows.
func (m machine) run(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(m.program, append(m.flags, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("vm %s: %v\n%s", strings.Join(args, " "), err, out.Bytes())
	}
	return out.String()
}

// stories are tests of package e2e: those that take other ways on an older
// kernel, or with cgroups of version 2.
var stories = []string{
	"TestBindMountOwners", "TestVolume", "TestTmpfs", "TestReadOnlyRoot", "TestStandardInput", "TestExecOnATerminal", // mounts, streams
	"TestMemoryLimit", "TestForkBomb", "TestPause", "TestStopEndsAllProcesses", "TestIsolationPID", // cgroups
	"TestLimitsInTheKernel", "TestStatsOfWhatIsUsed", "TestPrivilegedCgroups", "TestTerminalOpenedAgain",
	"TestS17OutsideDoesNotReachIt", "TestPublishedPort", "TestS19BetweenContainers", "TestS07Names", // network
	"TestS02SystemInformation", "TestS21SameProcessNumber", "TestS23SameSession", "TestS25PrivateIDs", // identity
	"TestS28DiskMount", "TestS29Ephemeral", "TestDiskFull", "TestDiskMountOfStopped", // disk
	"TestDoctorOnThisKernel",
}

// TestStoriesOnDebiansKernel runs them on 6.1: EROFS through a loop device,
// overlays over attached mounts.
func TestStoriesOnDebiansKernel(t *testing.T) {
	t.Parallel()
	out := newMachine(t).run(t, "test", "silo/e2e", "-test.v", "-test.run", "^("+strings.Join(stories, "|")+")$")
	for _, name := range stories {
		if !strings.Contains(out, "--- PASS: "+name+" (") {
			t.Errorf("%s did not pass there", name)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// TestFilterOf32BitPrograms judges their system calls there: not every host
// executes such programs.
func TestFilterOf32BitPrograms(t *testing.T) {
	t.Parallel()
	out := newMachine(t).run(t, "test", "silo/internal/sandbox/seccomp", "-test.v", "-test.run", "^TestKernelJudgesI386$")
	if !strings.Contains(out, "--- PASS: TestKernelJudgesI386 (") {
		t.Errorf("it did not pass there:\n%s", out)
	}
}

// TestPowerCut cuts the power of a machine while containers are made, write
// and are removed, and looks after each boot whether all is whole.
func TestPowerCut(t *testing.T) {
	t.Parallel() // a machine keeps one processor of the host busy
	m := newMachine(t)
	m.flags = append(m.flags, "-file", "/cut.sh=testdata/cut.sh")
	for i, moment := range []string{"cut: started", "cut: creating", "cut: removing"} {
		boot := fmt.Sprint(i + 1)
		out := m.run(t, "-cut", moment, "run", "sh", "/cut.sh", boot)
		if i > 0 && !strings.Contains(out, "checked kept") {
			t.Errorf("boot %s did not check what was left:\n%s", boot, out)
		}
	}
	if out := m.run(t, "run", "sh", "/cut.sh", "4", "last"); !strings.Contains(out, "checked kept") {
		t.Errorf("the last boot did not check what was left:\n%s", out)
	}
}

package engine

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"silo/internal/cgroup"
	"silo/internal/linux"
)

// ulimitTypes are the numbers of resource limits in setrlimit(2), from
// <asm-generic/resource.h>, under the names of Docker's --ulimit.
var ulimitTypes = map[string]int{
	"cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8,
	"locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
}

// alwaysDevices are the devices that every container has, for a device
// controller that denies all others: the memory devices, terminals.
var alwaysDevices = []cgroup.DeviceRule{
	{Type: 'a', Major: -1, Minor: -1, Access: "rwm", Deny: true},
	{Type: 'c', Major: 1, Minor: 3, Access: "rwm"},
	{Type: 'c', Major: 1, Minor: 5, Access: "rwm"},
	{Type: 'c', Major: 1, Minor: 7, Access: "rwm"},
	{Type: 'c', Major: 1, Minor: 8, Access: "rwm"},
	{Type: 'c', Major: 1, Minor: 9, Access: "rwm"},
	{Type: 'c', Major: 5, Minor: 0, Access: "rwm"},
	{Type: 'c', Major: 5, Minor: 2, Access: "rwm"},
	{Type: 'c', Major: 136, Minor: -1, Access: "rwm"},
}

func deviceRule(n linux.DeviceNode, access string) cgroup.DeviceRule {
	r := cgroup.DeviceRule{Type: 'c', Major: int64(n.Major), Minor: int64(n.Minor), Access: access}
	if n.Block {
		r.Type = 'b'
	}
	return r
}

// hostDevices lists the device nodes of the host for a privileged container;
// terminals and what every container has of its own are left out.
func hostDevices() (out []linux.DeviceNode) {
	own := map[string]bool{"null": true, "zero": true, "full": true, "random": true, "urandom": true, "tty": true, "console": true, "ptmx": true}
	_ = filepath.WalkDir("/dev", func(p string, d os.DirEntry, err error) error {
		name := strings.TrimPrefix(p, "/dev/")
		switch {
		case err != nil:
			return nil
		case d.IsDir() && (name == "pts" || name == "shm" || name == "mqueue" || name == "fd"):
			return filepath.SkipDir
		case d.Type()&os.ModeDevice == 0 || own[name]:
			return nil
		}
		if n, err := linux.DeviceOf(p); err == nil {
			n.Name, n.Mode = name, 0o660
			out = append(out, n)
		}
		return nil
	})
	return out
}

// Names for containers that were given none: something that holds things,
// and what it is like.
var (
	nameLeft = strings.Fields("amber brisk calm clear cosy crisp deep eager early fair fine firm fresh gentle golden grand green happy keen kind " +
		"lively lucky mellow merry mild neat noble plain proud quick quiet rapid ready round sharp silver sound steady stout sunny swift tidy true vivid warm wide wise young")
	nameRight = strings.Fields("attic barn basket bay bin bottle bowl box bucket cabin cask cellar chest crate creel cup dome drawer drum flask " +
		"garner granary hall hamper hangar haven hive jar keg larder locker loft mill nest pail pantry pod pot rack shed shelf silo stable store tank tray trunk tub tun vat vault")
)

func randomName(try int) string {
	name := nameLeft[rand.IntN(len(nameLeft))] + "_" + nameRight[rand.IntN(len(nameRight))]
	if try > 3 {
		name += strconv.Itoa(rand.IntN(1000))
	}
	return name
}

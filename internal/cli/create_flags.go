package cli

import (
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"silo/api"
)

// createFlags are the flags that run and create share, as they were typed.
type createFlags struct {
	name, platform, pull, cidfile string
	quiet                         bool

	stdin, tty, remove bool
	attach             []string

	hostname, user, workdir, entrypoint string
	env, envFiles, labels, labelFiles   []string
	stopSignal, restart                 string
	stopTimeout                         int
	init                                bool
	annotations                         map[string]string

	capAdd, capDrop, securityOpt, groupAdd []string
	privileged, readOnly                   bool
	devices                                []string

	networks, dns, dnsSearch, addHost []string
	ip, mac                           string
	publish, expose                   []string
	publishAll                        bool

	volumes, tmpfs []string
	mounts         []mount.Mount
	storageOpt     map[string]string
	logOpt         map[string]string
	shmSize        int64

	memory, memorySwap, memoryReservation int64
	cpus, cpuShares, pidsLimit            int64
	cpusetCpus, cpusetMems, cgroupParent  string
	ulimits                               []string
	sysctls                               map[string]string
	oomScoreAdj                           int

	pid, ipc, uts, isolation string

	healthCmd, healthOnFailure                                            string
	healthInterval, healthTimeout, healthStartPeriod, healthStartInterval time.Duration
	healthRetries                                                         int
	noHealthcheck                                                         bool

	services, waitServices bool
	serviceFailure         string
}

// add defines the flags.
func (o *createFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.name, "name", "", "Name of the container")
	f.StringVar(&o.platform, "platform", "", "Platform of the image, as linux/amd64")
	f.StringVar(&o.pull, "pull", pullMissing, "When to pull the image: always, missing or never")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "Do not show the progress of a pull")
	f.StringVar(&o.cidfile, "cidfile", "", "Write the container's id to a file, which must not exist")
	f.BoolVarP(&o.stdin, "interactive", "i", false, "Keep standard input open")
	f.BoolVarP(&o.tty, "tty", "t", false, "Give the container a terminal")
	f.BoolVar(&o.remove, "rm", false, "Remove the container when it ends")
	f.VarP(list(&o.attach, streamFlag), "attach", "a", "Attach to stdin, stdout or stderr")
	f.Bool("help", false, "Show this help")

	o.addCommand(f)
	o.addSecurity(f)
	o.addNetwork(f)
	o.addStorage(f)
	o.addLimits(f)
	o.addHealth(f)
	o.addServices(f)
}

// completeCreate completes the flags of a new container that take one of a few
// values.
func completeCreate(c *cobra.Command) {
	flagValues(c, "pull", pullAlways, pullMissing, pullNever)
	flagValues(c, "restart", "no", "on-failure", "always", "unless-stopped")
	flagValues(c, "isolation", "process", "pid")
	flagValues(c, "pid", "private", "host")
	flagValues(c, "network", "nat", "none", "host")
}

func (o *createFlags) addServices(f *pflag.FlagSet) {
	f.BoolVar(&o.services, "services", false, "Start the services of the image, or not (default: the image's label "+api.Services+")")
	f.BoolVar(&o.waitServices, "wait-services", false, "Start the command only when the enabled services are up")
	f.StringVar(&o.serviceFailure, "service-failure", "", "What to do when a service has failed for good: ignore, exit or restart")
}

func (o *createFlags) addCommand(f *pflag.FlagSet) {
	f.StringVarP(&o.hostname, "hostname", "h", "", "Host name of the container")
	f.StringVarP(&o.user, "user", "u", "", "User of the command: NAME|UID[:GROUP|GID]")
	f.StringVarP(&o.workdir, "workdir", "w", "", "Working directory of the command")
	f.StringVar(&o.entrypoint, "entrypoint", "", "Replace the image's entry point")
	f.VarP(list(&o.env, envFlag), "env", "e", "Set an environment variable")
	f.Var(list(&o.envFiles, nil), "env-file", "Read environment variables from a file")
	f.VarP(list(&o.labels, labelFlag), "label", "l", "Set a label: NAME=VALUE")
	f.Var(list(&o.labelFiles, nil), "label-file", "Read labels from a file")
	f.Var(keyValues(&o.annotations, true), "annotation", "Add an annotation: NAME=VALUE")
	f.StringVar(&o.stopSignal, "stop-signal", "", "Signal that stops the container")
	f.IntVar(&o.stopTimeout, "stop-timeout", 0, "Seconds until a container that does not stop is killed")
	f.StringVar(&o.restart, "restart", "no", "Restart policy: no, on-failure[:N], always or unless-stopped")
	f.BoolVar(&o.init, "init", false, "Run an init that forwards signals and reaps processes")
	f.Var(keyValues(&o.logOpt, true), "log-opt", "Set a log option: max-size=10m, max-file=3")
}

func (o *createFlags) addSecurity(f *pflag.FlagSet) {
	f.Var(list(&o.capAdd, nil), "cap-add", "Add a capability")
	f.Var(list(&o.capDrop, nil), "cap-drop", "Drop a capability")
	f.BoolVar(&o.privileged, "privileged", false, "Give the container all capabilities and devices")
	f.Var(list(&o.securityOpt, nil), "security-opt", "Set a security option: seccomp=FILE|unconfined, no-new-privileges")
	f.Var(list(&o.groupAdd, nil), "group-add", "Add a supplementary group")
	f.Var(list(&o.devices, nil), "device", "Add a host device: HOST[:CONTAINER][:rwm]")
	f.StringVar(&o.isolation, "isolation", "", "Isolation: process or pid")
	f.StringVar(&o.pid, "pid", "", "Process numbers: private or host")
	f.StringVar(&o.ipc, "ipc", "", "IPC namespace: private, shareable, host or container:NAME")
	f.StringVar(&o.uts, "uts", "", "Host name namespace: host")
}

func (o *createFlags) addNetwork(f *pflag.FlagSet) {
	f.Var(list(&o.networks, nil), "network", "Network to join: nat, none, host or container:NAME")
	f.Var(list(&o.networks, nil), "net", "Network to join")
	_ = f.MarkHidden("net")
	f.Var(list(&o.dns, addressFlag), "dns", "DNS server to ask")
	f.Var(list(&o.dnsSearch, searchFlag), "dns-search", "DNS search domain")
	f.Var(list(&o.addHost, hostFlag), "add-host", "Add a line to /etc/hosts: NAME:ADDRESS")
	f.StringVar(&o.ip, "ip", "", "IPv4 address of the container")
	f.StringVar(&o.mac, "mac-address", "", "MAC address of the container")
	f.VarP(list(&o.publish, nil), "publish", "p", "Publish a port: [[ADDRESS:]HOST-PORT:]PORT[/udp]")
	f.BoolVarP(&o.publishAll, "publish-all", "P", false, "Publish all exposed ports at free host ports")
	f.Var(list(&o.expose, nil), "expose", "Expose a port or a range of ports")
}

func (o *createFlags) addStorage(f *pflag.FlagSet) {
	f.VarP(list(&o.volumes, nil), "volume", "v", "Mount a host path or a volume: [SOURCE:]TARGET[:ro,suid,dev]")
	f.Var(&value{kind: "mount", set: func(s string) error {
		m, err := mountFlag(s)
		o.mounts = append(o.mounts, m)
		return err
	}}, "mount", "Mount as key=value,…: type=bind|volume|tmpfs,source=,target=,readonly")
	f.Var(list(&o.tmpfs, nil), "tmpfs", "Mount a tmpfs: PATH[:OPTIONS]")
	f.BoolVar(&o.readOnly, "read-only", false, "Mount the root file system read-only")
	f.Var(keyValues(&o.storageOpt, true), "storage-opt", "Set a disk option: size=20g")
	f.Var(bytesValue(&o.shmSize), "shm-size", "Size of /dev/shm")
}

func (o *createFlags) addLimits(f *pflag.FlagSet) {
	f.VarP(bytesValue(&o.memory), "memory", "m", "Memory limit")
	f.Var(swapValue(&o.memorySwap), "memory-swap", "Limit of memory and swap together, -1 for no limit")
	f.Var(bytesValue(&o.memoryReservation), "memory-reservation", "Soft memory limit")
	f.Var(cpusValue(&o.cpus), "cpus", "Number of processors, as 1.5")
	f.Int64VarP(&o.cpuShares, "cpu-shares", "c", 0, "Share of processor time, relative to others (1024)")
	f.StringVar(&o.cpusetCpus, "cpuset-cpus", "", "Processors to run on, as 0-3,5")
	f.StringVar(&o.cpusetMems, "cpuset-mems", "", "Memory nodes to use, as 0,1")
	f.Int64Var(&o.pidsLimit, "pids-limit", 0, "Most processes at a time, -1 for no limit")
	f.Var(list(&o.ulimits, nil), "ulimit", "Set a resource limit: NAME=SOFT[:HARD]")
	f.Var(keyValues(&o.sysctls, true), "sysctl", "Set a kernel parameter: NAME=VALUE")
	f.IntVar(&o.oomScoreAdj, "oom-score-adj", 0, "How likely the kernel kills it when memory is short (-1000 to 1000)")
	f.StringVar(&o.cgroupParent, "cgroup-parent", "", "Parent cgroup")
}

func (o *createFlags) addHealth(f *pflag.FlagSet) {
	f.StringVar(&o.healthCmd, "health-cmd", "", "Command that checks health")
	f.DurationVar(&o.healthInterval, "health-interval", 0, "Time between checks")
	f.DurationVar(&o.healthTimeout, "health-timeout", 0, "Longest time of a check")
	f.DurationVar(&o.healthStartPeriod, "health-start-period", 0, "Time at the start in which failures do not count")
	f.DurationVar(&o.healthStartInterval, "health-start-interval", 0, "Time between checks in the start period")
	f.IntVar(&o.healthRetries, "health-retries", 0, "Failures in a row that make it unhealthy")
	f.StringVar(&o.healthOnFailure, "health-on-failure", "", "What to do when it turns unhealthy: none, kill, restart or stop")
	f.BoolVar(&o.noHealthcheck, "no-healthcheck", false, "Do not use the image's health check")
}

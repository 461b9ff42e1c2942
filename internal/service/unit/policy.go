package unit

import "strings"

// class says what comes of a directive that Silo does not do.
type class uint8

const (
	noted  class = iota // the service runs; a Note says what is not done
	refuse              // the unit is Bad
)

// policy is one line of the table of what is not done.
type policy struct {
	class class
	why   string
	// when tells for which values it is asked for; nil is any but empty and no.
	when func(value string) bool
	list bool // values add up until an empty one
}

// asks tells whether a value asks for something at all: PrivateTmp=no does not.
func (p *policy) asks(value string) bool {
	if p.when != nil {
		return p.when(value)
	}
	yes, isBool := parseBool(value)
	return value != "" && (!isBool || yes)
}

// Reasons that many directives share.
const (
	walls   = "the container's walls do this"
	less    = "not done: the container's walls hold, the service has no further ones inside"
	limits  = "not set: the container's own limits hold"
	nothing = "has no effect in a container"
	undone  = "not done"
)

// policies is the table of directives that are known and not done, by name.
//
// Which ones refuse the unit: those without which another program would run or
// other files be seen (RootDirectory, BindPaths …), those that say who it runs
// as or what is asked of that user first (PAMName), those that bring secrets
// (LoadCredential …: without them a program may fall back to none), and those
// without which data goes where it should not (TemporaryFileSystem) or a
// socket is open wider than its author wanted (BindToDevice).
//
// Which ones are noted: hardening. It narrows what a service could do after it
// was broken into; a container already is such a narrowing, by stronger means
// than most of them, and Debian's own units ask for dozens of them where they
// happen to be there. What the walls do not do for a service against others in
// the same container is said as such.
func policies() map[string]policy {
	table := map[string]policy{}
	add := func(c class, why, names string) {
		for _, name := range strings.Fields(names) {
			table[name] = policy{class: c, why: why}
		}
	}
	addServicePolicies(add)
	addOtherPolicies(add)
	for name, when := range map[string]func(string) bool{
		"RootDirectory": func(v string) bool { return v != "" && v != "/" },
		"ExitType":      func(v string) bool { return v == "cgroup" },
		// Without a path it is one that may be missing.
		"LoadCredential":          func(v string) bool { return strings.Contains(v, ":") },
		"LoadCredentialEncrypted": func(v string) bool { return strings.Contains(v, ":") },
	} {
		p := table[name]
		p.when, p.list = when, strings.HasPrefix(name, "LoadCredential")
		table[name] = p
	}
	return table
}

type addPolicy = func(c class, why, names string)

func addServicePolicies(add addPolicy) {
	add(refuse, "the service would run in another file system than it was written for", `RootDirectory RootImage RootImageOptions RootHash
		RootHashSignature RootVerity RootEphemeral MountImages ExtensionImages ExtensionDirectories`)
	add(refuse, "the service would see other files than it was written for: bind them with silo run -v", "BindPaths BindReadOnlyPaths")
	add(refuse, "what the service means to throw away would be kept, and what it hides be seen", "TemporaryFileSystem")
	add(refuse, "the service would run without its secrets: pass them as files or variables", `LoadCredential LoadCredentialEncrypted
		SetCredential SetCredentialEncrypted`)
	add(refuse, "the checks of a login would be left out", "PAMName")
	add(refuse, "the service would run in another network than it was written for", "NetworkNamespacePath IPCNamespacePath")
	add(refuse, "no USB gadget in a container", "USBFunctionDescriptors USBFunctionStrings")

	add(noted, walls, `PrivateDevices PrivateUsers PrivateIPC PrivateMounts PrivatePIDs ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs
		ProtectKernelModules ProtectKernelTunables RestrictRealtime LockPersonality DevicePolicy DeviceAllow MountAPIVFS MountFlags KeyringMode`)
	add(noted, less, `ProtectSystem ProtectHome ProtectProc ProcSubset PrivateTmp PrivateNetwork PrivateBPF ReadWritePaths ReadOnlyPaths InaccessiblePaths
		ReadWriteDirectories ReadOnlyDirectories InaccessibleDirectories ExecPaths NoExecPaths MemoryDenyWriteExecute RestrictAddressFamilies
		RestrictNamespaces RestrictSUIDSGID RestrictFileSystems RestrictNetworkInterfaces SystemCallFilter SystemCallArchitectures
		SystemCallErrorNumber SystemCallLog SecureBits SELinuxContext AppArmorProfile SmackProcessLabel RemoveIPC IPAddressAllow IPAddressDeny
		IPIngressFilterPath IPEgressFilterPath BPFProgram SocketBindAllow SocketBindDeny NFTSet ManagedOOMSwap ManagedOOMMemoryPressure
		ManagedOOMMemoryPressureLimit ManagedOOMPreference`)
	add(noted, limits, `MemoryMin MemoryLow MemoryHigh MemoryMax MemoryLimit MemorySwapMax MemoryZSwapMax StartupMemoryLow StartupMemoryHigh StartupMemoryMax
		DefaultMemoryLow DefaultMemoryMin TasksMax CPUQuota CPUQuotaPeriodSec CPUWeight CPUShares StartupCPUWeight StartupCPUShares AllowedCPUs
		AllowedMemoryNodes StartupAllowedCPUs StartupAllowedMemoryNodes IOWeight IODeviceWeight IOReadBandwidthMax IOWriteBandwidthMax
		IOReadIOPSMax IOWriteIOPSMax IODeviceLatencyTargetSec StartupIOWeight BlockIOWeight StartupBlockIOWeight BlockIODeviceWeight
		BlockIOReadBandwidth BlockIOWriteBandwidth`)
	add(noted, "accounts are kept for the container as a whole", `CPUAccounting MemoryAccounting TasksAccounting IOAccounting BlockIOAccounting IPAccounting`)
	add(noted, "services have no slices", "Slice Delegate DelegateSubgroup DisableControllers CoredumpReceive")
	add(noted, "scheduling is the container's", `CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork CPUAffinity NUMAPolicy NUMAMask
		IOSchedulingClass IOSchedulingPriority TimerSlackNSec Personality CoredumpFilter MemoryKSM MemoryPressureWatch MemoryPressureThresholdSec`)
	add(noted, "the log keeps text as it comes", `LogLevelMax LogExtraFields LogRateLimitIntervalSec LogRateLimitBurst LogFilterPatterns LogNamespace
		SyslogFacility SyslogLevel SyslogLevelPrefix`)
	add(noted, "services have no terminals", "TTYPath TTYReset TTYVHangup TTYVTDisallocate TTYRows TTYColumns UtmpIdentifier UtmpMode")
	add(noted, "a missing credential is no error", "ImportCredential")
	add(noted, "the service is ended when its main process is killed for want of memory", "OOMPolicy")
	add(noted, undone, `FileDescriptorStoreMax FileDescriptorStorePreserve RestartMode RestartSteps RestartMaxDelaySec RuntimeRandomizedExtraSec
		TimeoutStartFailureMode TimeoutStopFailureMode TimeoutCleanSec RootDirectoryStartOnly OpenFile BusPolicy SetLoginEnvironment
		NonBlocking FsckPassNo SysVStartPriority`)
	add(refuse, "the service would be stopped while processes of it work", "ExitType")
}

func addOtherPolicies(add addPolicy) {
	// [Unit]
	add(noted, nothing, "RequiresMountsFor WantsMountsFor AllowIsolate IgnoreOnIsolate IgnoreOnSnapshot CollectMode SourcePath SurviveFinalKillSignal")
	add(noted, "what a service does cannot end the container; see --service-failure", `FailureAction SuccessAction FailureActionExitStatus
		SuccessActionExitStatus StartLimitAction JobTimeoutAction JobTimeoutRebootArgument RebootArgument`)
	add(noted, undone, "StopWhenUnneeded OnFailureJobMode OnSuccessJobMode OnFailureIsolate JobTimeoutSec JobRunningTimeoutSec")

	// [Socket]
	add(refuse, "such sockets are not made", "ListenSpecial ListenNetlink ListenMessageQueue ListenUSBFunction SocketProtocol")
	add(refuse, "the socket would be open to all networks", "BindToDevice")
	add(refuse, "commands of sockets are not run", "ExecStopPre ExecStopPost ExecStartPre ExecStartPost")
	add(noted, "the kernel's default is kept", `KeepAliveTimeSec KeepAliveIntervalSec KeepAliveProbes Priority DeferAcceptSec IPTOS IPTTL Mark TCPCongestion
		Broadcast Transparent MessageQueueMaxMessages MessageQueueMessageSize Timestamping PassSecurity PassPacketInfo PassFileDescriptorsToExec
		PassPIDFD PollLimitIntervalSec PollLimitBurst SmackLabel SmackLabelIPIn SmackLabelIPOut SELinuxContextFromNet AcceptFileDescriptors`)
	add(noted, undone, "TimeoutSec")

	// [Timer]
	add(noted, "never elapses for this in a container", "OnClockChange OnTimezoneChange")
	add(noted, nothing, "WakeSystem")
	add(noted, undone, "RandomizedOffsetSec DeferReactivation")
}

package unit

import "time"

// Infinity is the span that systemd writes as "infinity".
const Infinity time.Duration = 1<<63 - 1

// LoadState says what came of loading a unit.
type LoadState string

const (
	Loaded    LoadState = "loaded"    // from a file, and Silo can run it
	Synthetic LoadState = "synthetic" // a target of systemd's own without a file
	Provided  LoadState = "provided"  // the container itself does this: counts as started, Reason says why
	Masked    LoadState = "masked"    // linked to /dev/null or empty: must not start
	NotFound  LoadState = "not-found" // no file
	Bad       LoadState = "bad"       // broken file, or one that this package refuses: Reason says why
)

// Kind is the ending of a unit's name.
type Kind string

const (
	KindService Kind = "service"
	KindSocket  Kind = "socket"
	KindTimer   Kind = "timer"
	KindTarget  Kind = "target"
	KindOther   Kind = "" // path, mount, swap, device, slice, scope…: never run
)

// Unit is one unit with its drop-ins applied, specifiers expanded and
// defaults filled in.
type Unit struct {
	Name    string   // full name: redis@a.service
	Aliases []string // other names that links give it
	Kind    Kind
	State   LoadState
	Reason  string   // one line: why the unit is masked, provided, bad or not found
	Path    string   // of the file in the container, "" for none
	DropIns []string // paths of the drop-ins, in the order they were applied
	Notes   []Note   // what was not understood or is not done; never fatal

	Description   string // the unit's name if the file gives none
	Documentation []string
	DefaultDeps   bool
	Deps          map[Relation][]string // sorted; links, defaults and implicit ones included
	Conditions    []Condition

	StartLimitInterval time.Duration // 0 turns the limit off
	StartLimitBurst    int
	RefuseManualStart  bool
	RefuseManualStop   bool

	Service *Service // exactly one of these three, by Kind; none for targets
	Socket  *Socket
	Timer   *Timer
	Install Install
}

// Note is something in a unit file that Silo passes over.
type Note struct {
	Path string // file; line 0 if it is about the whole unit
	Line int
	Text string // one line, names the directive
}

// Relation is a kind of dependency; its text is the directive's name.
type Relation string

const (
	Requires         Relation = "Requires"
	Requisite        Relation = "Requisite"
	Wants            Relation = "Wants"
	BindsTo          Relation = "BindsTo"
	PartOf           Relation = "PartOf"
	Upholds          Relation = "Upholds" // taken as Wants when jobs are computed
	Conflicts        Relation = "Conflicts"
	Before           Relation = "Before"
	After            Relation = "After"
	OnFailure        Relation = "OnFailure"
	OnSuccess        Relation = "OnSuccess"
	PropagatesReload Relation = "PropagatesReloadTo"
	ReloadFrom       Relation = "ReloadPropagatedFrom"
	PropagatesStop   Relation = "PropagatesStopTo"
	StopFrom         Relation = "StopPropagatedFrom"
	JoinsNamespaceOf Relation = "JoinsNamespaceOf" // known, and does nothing
	Triggers         Relation = "Triggers"         // a socket's or timer's unit; implicit
)

// ServiceType is Type= of a service.
type ServiceType string

const (
	Simple       ServiceType = "simple"
	Exec         ServiceType = "exec"
	Forking      ServiceType = "forking"
	Oneshot      ServiceType = "oneshot"
	Notify       ServiceType = "notify"
	NotifyReload ServiceType = "notify-reload"
	Idle         ServiceType = "idle" // as simple, after the other jobs
)

// RestartPolicy is Restart= of a service.
type RestartPolicy string

const (
	RestartNo         RestartPolicy = "no"
	RestartAlways     RestartPolicy = "always"
	RestartOnSuccess  RestartPolicy = "on-success"
	RestartOnFailure  RestartPolicy = "on-failure"
	RestartOnAbnormal RestartPolicy = "on-abnormal"
	RestartOnWatchdog RestartPolicy = "on-watchdog"
	RestartOnAbort    RestartPolicy = "on-abort"
)

// Service is the [Service] section.
type Service struct {
	Type     ServiceType
	Commands map[Phase][]Command // in the order of the file
	Run      Run

	RemainAfterExit bool
	PIDFile         string // absolute; "" for none
	GuessMainPID    bool
	NotifyAccess    NotifyAccess
	Sockets         []string // units whose descriptors are passed, Sockets= and the socket of the same name excluded

	Restart            RestartPolicy
	RestartDelay       time.Duration
	SuccessExit        ExitSet // beyond 0 and HUP, INT, TERM, PIPE
	RestartPreventExit ExitSet
	RestartForceExit   ExitSet

	TimeoutStart time.Duration // Infinity for none
	TimeoutStop  time.Duration
	TimeoutAbort time.Duration
	RuntimeMax   time.Duration // Infinity for none
	Watchdog     time.Duration // 0 for none

	Kill         Kill
	ReloadSignal Signal // of notify-reload
}

// Phase is when a command of a service runs; its text is the directive's name.
type Phase string

const (
	ExecCondition Phase = "ExecCondition"
	ExecStartPre  Phase = "ExecStartPre"
	ExecStart     Phase = "ExecStart"
	ExecStartPost Phase = "ExecStartPost"
	ExecReload    Phase = "ExecReload"
	ExecStop      Phase = "ExecStop"
	ExecStopPost  Phase = "ExecStopPost"
)

// NotifyAccess says whose notify messages count.
type NotifyAccess string

const (
	NotifyNone NotifyAccess = "none"
	NotifyMain NotifyAccess = "main"
	NotifyExec NotifyAccess = "exec" // main and control processes
	NotifyAll  NotifyAccess = "all"
)

// Command is one command line. Argv gives the arguments at run time.
type Command struct {
	Path       string   // absolute, or a bare name to look up in the fixed search path
	Args       []string // Args[0] is the process's own name, variables not yet expanded
	Ignore     bool     // '-': failure counts as success
	NoExpand   bool     // ':': variables are not expanded
	Privileged bool     // '+' or '!': runs as the container's root, without User=
	KeepWalls  bool     // '!': with the other limits of the service; '!!' changes nothing
}

// Signal is a signal's number on Linux.
type Signal int

// ExitSet is a set of exit codes and signals that end a process.
type ExitSet struct {
	Codes   []int
	Signals []Signal
}

// KillMode says which processes of a service a stop reaches.
type KillMode string

const (
	KillControlGroup KillMode = "control-group"
	KillMixed        KillMode = "mixed"
	KillProcess      KillMode = "process"
	KillNone         KillMode = "none"
)

// Kill is how processes are ended.
type Kill struct {
	Mode           KillMode
	Signal         Signal // TERM by default
	RestartSignal  Signal // KillSignal by default
	FinalSignal    Signal // KILL by default
	WatchdogSignal Signal // ABRT by default
	SendHUP        bool
	SendKill       bool
}

// Run is what [Service] and [Socket] say about the processes they start.
type Run struct {
	User        string // "" is root; a name or number
	Group       string // "" is the user's
	ExtraGroups []string
	DynamicUser bool // a free id for the run; User names it

	WorkingDirectory string // absolute, "~" for the user's home, "" for /
	WorkingOptional  bool   // '-': / if it is not there
	UMask            uint32

	Environment      []string // NAME=value, later wins
	EnvironmentFiles []EnvFile
	PassEnvironment  []string
	UnsetEnvironment []string // NAME or NAME=value

	Dirs      map[DirKind]DirSet
	Stdin     Stdio
	Stdout    Stdio
	Stderr    Stdio
	LogName   string // SyslogIdentifier; "" is the command's name
	StdinData []byte // of Stdin.Kind StdioData

	Nice          *int // nil leaves what the container has
	OOMScore      *int
	Limits        map[string]Limit // by resource: "NOFILE", "CORE", …
	NoNewPrivs    bool
	IgnoreSIGPIPE bool

	// BoundingSet is the capabilities that may be had, as names such as
	// CAP_CHOWN; nil leaves what the container has, an empty set none.
	BoundingSet []string
	AmbientSet  []string
}

// EnvFile is one EnvironmentFile=. The path may hold * ? and [].
type EnvFile struct {
	Path     string
	Optional bool
}

// DirKind is where a directory of a service lies; its text is the directive's name.
type DirKind string

const (
	RuntimeDirectory       DirKind = "RuntimeDirectory"       // /run
	StateDirectory         DirKind = "StateDirectory"         // /var/lib
	CacheDirectory         DirKind = "CacheDirectory"         // /var/cache
	LogsDirectory          DirKind = "LogsDirectory"          // /var/log
	ConfigurationDirectory DirKind = "ConfigurationDirectory" // /etc
)

// DirSet is the directories of one kind.
type DirSet struct {
	Dirs     []Dir
	Mode     uint32
	Preserve string // "no", "yes", "restart"; RuntimeDirectory only
}

// Dir is a directory below its kind's place: relative, clean, no "..".
type Dir struct {
	Name  string
	Links []string // symbolic links to it, in the same place
}

// StdioKind is what a standard stream is connected to.
type StdioKind string

const (
	StdioInherit  StdioKind = "inherit" // output: as stdin or stdout; input: null
	StdioNull     StdioKind = "null"
	StdioJournal  StdioKind = "journal" // the service's log
	StdioFile     StdioKind = "file"
	StdioAppend   StdioKind = "append"
	StdioTruncate StdioKind = "truncate"
	StdioSocket   StdioKind = "socket" // the connection that activated it
	StdioFD       StdioKind = "fd"     // a passed descriptor, by name
	StdioData     StdioKind = "data"
)

// Stdio is StandardInput=, StandardOutput= or StandardError=.
type Stdio struct {
	Kind StdioKind
	Path string // of files, absolute; the name for StdioFD
}

// Limit is a resource limit; Unlimited is the largest number.
type Limit struct{ Soft, Hard uint64 }

// Unlimited is "infinity" in a Limit.
const Unlimited = ^uint64(0)

// ListenKind is the kind of a listening socket; its text is the directive's name.
type ListenKind string

const (
	ListenStream     ListenKind = "ListenStream"
	ListenDatagram   ListenKind = "ListenDatagram"
	ListenSequential ListenKind = "ListenSequentialPacket"
	ListenFIFO       ListenKind = "ListenFIFO"
)

// Listen is one address of a socket unit.
type Listen struct {
	Kind     ListenKind
	Path     string // of unix sockets and FIFOs; a leading @ is the abstract name space
	Host     string // an IP address, "" for all addresses of IPv6 and IPv4
	Port     int
	IPv6Only bool // decided by BindIPv6Only and the address
}

// Socket is the [Socket] section.
type Socket struct {
	Listen            []Listen
	Accept            bool
	Service           string // unit it starts; for Accept the template, NAME@.service
	Mode              uint32
	DirMode           uint32
	User              string
	Group             string
	Backlog           int
	FDName            string
	Links             []string // Symlinks=, absolute
	Remove            bool     // RemoveOnStop
	MaxConns          int      // MaxConnections
	MaxConnsPerSource int      // 0 for no limit

	KeepAlive     bool
	NoDelay       bool
	ReusePort     bool
	FreeBind      bool
	PassCred      bool
	Writable      bool
	FlushPending  bool
	ReceiveBuffer int // bytes, 0 for the kernel's
	SendBuffer    int
	PipeSize      int

	TriggerInterval time.Duration // TriggerLimitIntervalSec
	TriggerBurst    int           // 0 for no limit
}

// TimerBase is what a span of a timer counts from; its text is the directive's name.
type TimerBase string

const (
	OnActive       TimerBase = "OnActiveSec"
	OnBoot         TimerBase = "OnBootSec"    // start of the container
	OnStartup      TimerBase = "OnStartupSec" // the same here
	OnUnitActive   TimerBase = "OnUnitActiveSec"
	OnUnitInactive TimerBase = "OnUnitInactiveSec"
)

// TimerSpan is one monotonic trigger.
type TimerSpan struct {
	Base TimerBase
	Span time.Duration
}

// Timer is the [Timer] section.
type Timer struct {
	Spans       []TimerSpan
	Calendar    []*Calendar
	Accuracy    time.Duration
	RandomDelay time.Duration
	FixedDelay  bool
	Persistent  bool
	RemainAfter bool // RemainAfterElapse
	Unit        string
}

// Install is the [Install] section.
type Install struct {
	WantedBy        []string
	RequiredBy      []string
	UpheldBy        []string
	Also            []string
	Alias           []string
	DefaultInstance string
}

// Empty tells whether the unit cannot be enabled: it is static.
func (i *Install) Empty() bool {
	return len(i.WantedBy) == 0 && len(i.RequiredBy) == 0 && len(i.UpheldBy) == 0 && len(i.Also) == 0 && len(i.Alias) == 0
}

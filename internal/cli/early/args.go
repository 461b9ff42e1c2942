package early

// Bounds of a command line that is answered early.
const (
	mostArgs = 256
	mostEnv  = 64
)

// verb is a command that is answered early.
type verb int

const (
	verbRun verb = iota
	verbExec
	verbPs
	verbProperties
)

// command is a command line.
type command struct {
	verb   verb
	target string // the image or the container

	all, quiet, noTrunc, size bool // of ps

	name, hostname, user, workdir, network string

	entrypoint    string
	hasEntrypoint bool // an empty one resets the image's
	remove        bool
	env           [mostEnv]string
	envs          int
	args          []string // the command inside
}

// parse reads a command line, the program's name first. It is false if there
// is anything in it that this package does not know or that is not as it should
// be: the Go program then says so.
func (c *command) parse(args []string) bool {
	if len(args) < 2 {
		return false
	}
	switch args[1] {
	case "run":
		return c.parseStart(verbRun, args[2:])
	case "exec":
		return c.parseStart(verbExec, args[2:])
	case "ps":
		return c.parsePs(args[2:])
	case "properties":
		if len(args) != 3 || isFlag(args[2]) {
			return false
		}
		c.verb, c.target = verbProperties, args[2]
		return plain(c.target)
	}
	return false
}

// asks tells whether the answer is a text, and no process is started.
func (c *command) asks() bool { return c.verb == verbPs || c.verb == verbProperties }

// parsePs reads the flags of ps.
func (c *command) parsePs(args []string) bool {
	c.verb = verbPs
	for _, arg := range args {
		switch arg {
		case "--all":
			c.all = true
		case "--quiet":
			c.quiet = true
		case "--size":
			c.size = true
		case "--no-trunc":
			c.noTrunc = true
		default:
			if !isFlag(arg) || !c.setLetters(arg[1:]) {
				return false
			}
		}
	}
	return true
}

// setLetters takes flags of ps that are one letter each, such as aq.
func (c *command) setLetters(letters string) bool {
	for i := range len(letters) {
		switch letters[i] {
		case 'a':
			c.all = true
		case 'q':
			c.quiet = true
		case 's':
			c.size = true
		default:
			return false
		}
	}
	return true
}

// parseStart reads the arguments of run and exec.
func (c *command) parseStart(verb verb, args []string) bool {
	c.verb = verb
	i := 0
	for ; i < len(args) && isFlag(args[i]); i++ {
		if args[i] == "--rm" && verb == verbRun {
			c.remove = true
			continue
		}
		name, value, has := cut(args[i], '=')
		if has && args[i][1] != '-' { // -x=value, -xvalue=
			return false
		}
		if !has {
			if i+1 == len(args) {
				return false
			}
			i++
			value = args[i]
		}
		if !c.set(name, value) {
			return false
		}
	}
	if i == len(args) || args[i] == "" {
		return false
	}
	c.target, c.args = args[i], args[i+1:]
	if verb == verbExec {
		return len(c.args) > 0 && plain(c.target)
	}
	return true
}

// set takes one flag with a value.
func (c *command) set(name, value string) bool {
	switch name {
	case "-u", "--user":
		c.user = value
	case "-w", "--workdir":
		c.workdir = value
	case "-e", "--env":
		variable, _, has := cut(value, '=')
		if !has || variable == "" || c.envs == mostEnv { // without a value it takes that of this process
			return false
		}
		c.env[c.envs] = value
		c.envs++
	default:
		return c.verb == verbRun && c.setRun(name, value)
	}
	return true
}

// setRun takes a flag that only run has.
func (c *command) setRun(name, value string) bool {
	switch name {
	case "--name":
		c.name = value
		return plain(value)
	case "-h", "--hostname":
		c.hostname = value
	case "--entrypoint":
		c.entrypoint, c.hasEntrypoint = value, true
	case "--network":
		if c.network != "" { // only one can be joined
			return false
		}
		c.network = value
		return plain(value)
	default:
		return false
	}
	return true
}

func isFlag(s string) bool { return len(s) > 1 && s[0] == '-' }

// cut is strings.Cut at the first byte sep.
func cut(s string, sep byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// plain tells whether s is a name or id that stands in a URL as it is.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.' && i > 0:
		default:
			return false
		}
	}
	return s != ""
}

// Command stty prints or changes the settings of the terminal that is its
// standard input: stty size, stty -echo, stty sane, stty rows 24 cols 80.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"coretools.silo/getopt"
)

const usage = "stty [-a | -g | SETTING...]"

// window is struct winsize.
type window struct{ rows, cols, x, y uint16 }

func main() {
	args := os.Args[1:]
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		fmt.Println("usage: " + usage)
		return
	}
	var t syscall.Termios
	check(ioctl(syscall.TCGETS, unsafe.Pointer(&t)))
	var w window
	_ = ioctl(syscall.TIOCGWINSZ, unsafe.Pointer(&w)) // a terminal without a size has 0 of both
	switch {
	case len(args) == 0:
		fmt.Print(describe(&t, w, false))
		return
	case len(args) == 1 && (args[0] == "-a" || args[0] == "--all"):
		fmt.Print(describe(&t, w, true))
		return
	case len(args) == 1 && (args[0] == "-g" || args[0] == "--save"):
		fmt.Println(save(&t))
		return
	}
	was := w
	out, err := set(&t, &w, args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "stty: %v\nusage: %s\n", err, usage)
		os.Exit(2)
	}
	check(ioctl(syscall.TCSETS+1, unsafe.Pointer(&t))) // when what was written has gone out
	if w != was {
		check(ioctl(syscall.TIOCSWINSZ, unsafe.Pointer(&w)))
	}
	fmt.Print(out)
}

func ioctl(request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: standard input: %v\n", getopt.Name(), err)
		os.Exit(1)
	}
}

// set changes t and w as the settings say; what some of them print is out.
func set(t *syscall.Termios, w *window, args []string) (out string, err error) {
	for len(args) > 0 {
		name := args[0]
		args = args[1:]
		needs := func() (string, error) {
			if len(args) == 0 {
				return "", fmt.Errorf("%s: needs a value", name)
			}
			value := args[0]
			args = args[1:]
			return value, nil
		}
		i, isKey := keyOf(name)
		switch {
		case name == "size":
			out += fmt.Sprintln(w.rows, w.cols)
		case name == "speed":
			out += "38400\n"
		case name == "rows", name == "cols", name == "columns", name == "min", name == "time":
			value, err := needs()
			if err != nil {
				return "", err
			}
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil || n > 255 && (name == "min" || name == "time") {
				return "", fmt.Errorf("%s %s: not a number in range", name, value)
			}
			switch name {
			case "rows":
				w.rows = uint16(n)
			case "min":
				t.Cc[syscall.VMIN] = byte(n)
			case "time":
				t.Cc[syscall.VTIME] = byte(n)
			default:
				w.cols = uint16(n)
			}
		case isKey:
			value, err := needs()
			if err != nil {
				return "", err
			}
			if t.Cc[i], err = parseKey(value); err != nil {
				return "", fmt.Errorf("%s: %v", name, err)
			}
		case !setFlag(t, name) && !setMode(t, name) && !restore(t, name):
			return "", fmt.Errorf("%q: no such setting", name)
		}
	}
	return out, nil
}

// setMode carries out a word that stands for many settings.
func setMode(t *syscall.Termios, name string) bool {
	words := map[string]string{
		"raw":     "-ignbrk -brkint -parmrk -istrip -inlcr -igncr -icrnl -ixon -opost -isig -icanon -xcase min 1 time 0",
		"cbreak":  "-icanon min 1 time 0",
		"-cbreak": "icanon", "nl": "-icrnl -onlcr", "-nl": "icrnl onlcr",
		"cooked": "brkint icrnl ixon opost isig icanon", "-raw": "brkint icrnl ixon opost isig icanon",
		"sane": "-ignbrk brkint -inlcr -igncr icrnl ixon -ixoff -iuclc -ixany imaxbel opost -olcuc -ocrnl onlcr -onocr -onlret cread" +
			" isig icanon iexten echo echoe echok -echonl -noflsh -tostop echoctl echoke" +
			" intr ^C quit ^\\ erase ^? kill ^U eof ^D start ^Q stop ^S susp ^Z rprnt ^R werase ^W lnext ^V min 1 time 0",
		"ek": "erase ^? kill ^U",
	}[name]
	if words == "" {
		return false
	}
	_, err := set(t, &window{}, strings.Fields(words))
	return err == nil
}

func setFlag(t *syscall.Termios, name string) bool {
	plain, off := strings.CutPrefix(name, "-")
	for _, f := range flags {
		if f.name == plain {
			word := f.word(t)
			*word |= f.bit
			if off {
				*word &^= f.bit
			}
			return true
		}
	}
	return false
}

// save is t in a form that restore reads, that of other stty commands.
func save(t *syscall.Termios) string {
	parts := []string{}
	for _, n := range []uint32{t.Iflag, t.Oflag, t.Cflag, t.Lflag} {
		parts = append(parts, strconv.FormatUint(uint64(n), 16))
	}
	for _, c := range t.Cc {
		parts = append(parts, strconv.FormatUint(uint64(c), 16))
	}
	return strings.Join(parts, ":")
}

func restore(t *syscall.Termios, text string) bool {
	parts := strings.Split(text, ":")
	if len(parts) < 5 || len(parts) > 4+len(t.Cc) {
		return false
	}
	var n []uint32
	for i, p := range parts {
		bits := 32
		if i >= 4 {
			bits = 8
		}
		v, err := strconv.ParseUint(p, 16, bits)
		if err != nil {
			return false
		}
		n = append(n, uint32(v))
	}
	t.Iflag, t.Oflag, t.Cflag, t.Lflag = n[0], n[1], n[2], n[3]
	for i, c := range n[4:] {
		t.Cc[i] = byte(c)
	}
	return true
}

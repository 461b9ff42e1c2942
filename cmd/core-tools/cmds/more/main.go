// Command more shows text a page at a time: space goes on a page, Enter a
// line, b back a page, g and G to the ends, / searches, q ends. less is the
// same under another name.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("FRSXNn", "more [file ...]", nil)
	var status getopt.Status
	var text strings.Builder
	files := opt.Operands
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		f := os.Stdin
		if name != "-" {
			var err error
			if f, err = os.Open(name); err != nil {
				status.Note(err)
				continue
			}
		}
		_, err := io.Copy(&text, f)
		status.Note(err)
		f.Close()
	}
	rows, _ := size(1)
	tty, err := os.Open("/dev/tty")
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if rows == 0 || err != nil || len(lines) < rows {
		fmt.Print(text.String())
		status.Exit()
	}
	p := &pager{lines: lines, tty: tty}
	p.run()
	status.Exit()
}

// size gives rows and columns of a terminal, 0 for anything else.
func size(fd uintptr) (rows, columns int) {
	var s struct{ rows, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&s)))
	if errno != 0 {
		return 0, 0
	}
	return int(s.rows), int(s.columns)
}

type pager struct {
	lines  []string
	tty    *os.File
	top    int
	search string
}

func (p *pager) run() {
	p.lineMode(false)
	defer p.lineMode(true)
	for {
		rows, columns := size(1)
		page := max(1, rows-1)
		p.top = max(0, min(p.top, len(p.lines)-page))
		p.draw(page, columns)
		var key [1]byte
		if n, err := p.tty.Read(key[:]); n == 0 || err != nil {
			return
		}
		switch key[0] {
		case 'q', 'Q', 3, 4:
			fmt.Print("\r\x1b[K")
			return
		case ' ', 'f':
			if p.top+page >= len(p.lines) {
				fmt.Print("\r\x1b[K")
				return
			}
			p.top += page
		case 'b':
			p.top -= page
		case '\n', '\r', 'j':
			p.top++
		case 'k':
			p.top--
		case 'g':
			p.top = 0
		case 'G':
			p.top = len(p.lines)
		case '/':
			p.ask()
			p.find(p.top)
		case 'n':
			p.find(p.top + 1)
		}
	}
}

// lineMode turns the terminal's line editing and echo on or off.
func (p *pager) lineMode(on bool) {
	var t syscall.Termios
	ioctl := func(request uintptr) syscall.Errno {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, p.tty.Fd(), request, uintptr(unsafe.Pointer(&t)))
		return errno
	}
	if ioctl(syscall.TCGETS) != 0 {
		return
	}
	t.Lflag &^= syscall.ICANON | syscall.ECHO
	if on {
		t.Lflag |= syscall.ICANON | syscall.ECHO
	}
	_ = ioctl(syscall.TCSETS)
}

func (p *pager) draw(page, columns int) {
	fmt.Print("\x1b[H\x1b[2J")
	for i := p.top; i < min(p.top+page, len(p.lines)); i++ {
		line := []rune(strings.ReplaceAll(p.lines[i], "\t", "        "))
		if columns > 0 && len(line) > columns {
			line = line[:columns]
		}
		fmt.Printf("%s\n", string(line))
	}
	end := min(p.top+page, len(p.lines))
	fmt.Printf("\x1b[7m%d of %d lines (q ends)\x1b[0m", end, len(p.lines))
}

func (p *pager) ask() {
	fmt.Print("\r\x1b[K/")
	p.lineMode(true)
	var line []byte
	var c [1]byte
	for {
		if n, err := p.tty.Read(c[:]); n == 0 || err != nil || c[0] == '\n' {
			break
		}
		line = append(line, c[0])
	}
	p.lineMode(false)
	if len(line) > 0 {
		p.search = string(line)
	}
}

func (p *pager) find(from int) {
	for i := from; i < len(p.lines) && p.search != ""; i++ {
		if strings.Contains(p.lines[i], p.search) {
			p.top = i
			return
		}
	}
}

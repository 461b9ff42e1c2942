// Command stat shows what the file system knows about files; with -c in a
// format of choice, with -f about the file system itself.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coretools.silo/getopt"
	"coretools.silo/passwd"
)

func main() {
	opt := getopt.Parse("c:Lf", "stat [-Lf] [-c format] file ...", map[string]string{"format": "c", "dereference": "L", "file-system": "f"})
	if len(opt.Operands) == 0 {
		opt.Usage("no file named")
	}
	names := passwd.Load()
	var status getopt.Status
	for _, path := range opt.Operands {
		if opt.Has('f') {
			status.Note(fileSystem(path))
			continue
		}
		get := os.Lstat
		if opt.Has('L') {
			get = os.Stat
		}
		info, err := get(path)
		if err != nil {
			status.Note(err)
			continue
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		if f := opt.Value('c', ""); f != "" {
			fmt.Println(format(f, path, info, st, names))
			continue
		}
		fmt.Println(format("  File: %N\n  Size: %-11s Blocks: %-10b IO Block: %-6o %F\nDevice: %d\tInode: %-11i Links: %h\n"+
			"Access: (%04a/%A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\nAccess: %x\nModify: %y\nChange: %z", path, info, st, names))
	}
	status.Exit()
}

// format fills in the letters of GNU stat; a width before a letter pads it.
func format(f, path string, info os.FileInfo, st *syscall.Stat_t, names *passwd.Names) string {
	var out strings.Builder
	for i := 0; i < len(f); i++ {
		if f[i] != '%' || i+1 == len(f) {
			out.WriteByte(f[i])
			continue
		}
		j := i + 1
		for j < len(f)-1 && strings.IndexByte("-0123456789", f[j]) >= 0 {
			j++
		}
		width, left := f[i+1:j], false
		if strings.HasPrefix(width, "-") {
			width, left = width[1:], true
		}
		out.WriteString(pad(field(f[j], path, info, st, names), width, left))
		i = j
	}
	return out.String()
}

func pad(text, width string, left bool) string {
	n, err := strconv.Atoi(width)
	if err != nil || len(text) >= n {
		return text
	}
	fill := strings.Repeat(" ", n-len(text))
	if strings.HasPrefix(width, "0") {
		fill = strings.Repeat("0", n-len(text))
	}
	if left {
		return text + fill
	}
	return fill + text
}

func field(letter byte, path string, info os.FileInfo, st *syscall.Stat_t, names *passwd.Names) string {
	switch letter {
	case 'n':
		return path
	case 'N':
		if target, err := os.Readlink(path); err == nil {
			return path + " -> " + target
		}
		return path
	case 's':
		return fmt.Sprint(st.Size)
	case 'b':
		return fmt.Sprint(st.Blocks)
	case 'B':
		return "512"
	case 'o':
		return fmt.Sprint(st.Blksize)
	case 'd':
		return fmt.Sprint(st.Dev)
	case 'i':
		return fmt.Sprint(st.Ino)
	case 'h':
		return fmt.Sprint(st.Nlink)
	case 'a':
		return fmt.Sprintf("%o", st.Mode&0o7777)
	case 'f':
		return fmt.Sprintf("%x", st.Mode)
	case 'A':
		return info.Mode().String()
	case 'F':
		return kind(st)
	case 'u':
		return fmt.Sprint(st.Uid)
	case 'g':
		return fmt.Sprint(st.Gid)
	case 'U':
		return names.User(st.Uid)
	case 'G':
		return names.Group(st.Gid)
	case 'x':
		return clock(st.Atim)
	case 'y':
		return clock(st.Mtim)
	case 'z':
		return clock(st.Ctim)
	case 'X':
		return fmt.Sprint(st.Atim.Sec)
	case 'Y':
		return fmt.Sprint(st.Mtim.Sec)
	case 'Z':
		return fmt.Sprint(st.Ctim.Sec)
	case '%':
		return "%"
	}
	return "?"
}

func clock(t syscall.Timespec) string {
	return time.Unix(t.Sec, t.Nsec).Format("2006-01-02 15:04:05.000000000 -0700")
}

func kind(st *syscall.Stat_t) string {
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		return "directory"
	case syscall.S_IFLNK:
		return "symbolic link"
	case syscall.S_IFIFO:
		return "fifo"
	case syscall.S_IFSOCK:
		return "socket"
	case syscall.S_IFCHR:
		return "character special file"
	case syscall.S_IFBLK:
		return "block special file"
	}
	if st.Size == 0 {
		return "regular empty file"
	}
	return "regular file"
}

func fileSystem(path string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	fmt.Printf("  File: %s\n  Type: 0x%x  Block size: %d  Name length: %d\nBlocks: total %d  free %d  available %d\nInodes: total %d  free %d\n",
		path, st.Type, st.Bsize, st.Namelen, st.Blocks, st.Bfree, st.Bavail, st.Files, st.Ffree)
	return nil
}

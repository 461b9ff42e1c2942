package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"silo/internal/testenv"
)

// TestManualOptions runs the commands of core, as they are in the archive, with
// each option that the manual there names. None may answer that it does not
// know the option. An option that no command has comes last, so that nothing
// is done: the complaint must be about that one.
func TestManualOptions(t *testing.T) {
	core := Builtin()[0]
	testenv.Need(t, core.Size() > 0, "the images are not built: run make images")
	root := unpack(t, core)
	// printf stands with sh, which has options; and sh runs the value of -c.
	leave := []string{"sh", "[", "test", "printf"}
	tried := 0
	for _, topic := range synopses(t, root) {
		for _, name := range topic.names {
			if slices.Contains(leave, name) {
				continue
			}
			for _, option := range topic.options {
				tried++
				if said, ok := accepts(t, root, name, option); !ok {
					t.Errorf("%s %s, which the manual names, is answered with %q", name, strings.Join(option, " "), said)
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("%d options are tried, want at least 200", tried)
	}
}

const unknown = "--no-such-option"

var complaint = regexp.MustCompile("unknown option|not defined|usage")

// accepts tells whether a command knows an option, and what it said.
func accepts(t *testing.T, root, name string, option []string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin", name), append(slices.Clone(option), unknown)...)
	cmd.Args[0] = name
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=/nowhere"}
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return string(said), false
	}
	first, _, _ := strings.Cut(string(said), "\n")
	// Some look at their input or at a value before they look at all options.
	return first, strings.Contains(first, strings.TrimLeft(unknown, "-")) || !complaint.MatchString(first)
}

// TestQuit ends one command of each program of core but svcbox, which would serve
// this host, as Ctrl-\ does. It must be
// by that signal, and no word of the language that the command is written in.
func TestQuit(t *testing.T) {
	core := Builtin()[0]
	testenv.Need(t, core.Size() > 0, "the images are not built: run make images")
	root := unpack(t, core)
	for _, words := range [][]string{
		{"sh"},
		{"cat"},
		{"hexdump"},
		{"nc", "-l", "-U", filepath.Join(t.TempDir(), "socket")},
		{"httpd", "-p", "127.0.0.1:0"},
		{"sort-object", "x"},
	} {
		if said, err := quit(t, root, words); err == nil || err.Error() != "signal: quit" || said != "" {
			t.Errorf("%s: ended with %v, and said %q", words[0], err, said)
		}
	}
}

// quit starts a command, sends it SIGQUIT when it waits, and gives what it said
// after that.
func quit(t *testing.T, root string, words []string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin", words[0]), words[1:]...)
	cmd.Args[0] = words[0]
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	stdin, err := cmd.StdinPipe() // which says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waits(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	return said.String(), err
}

// waits returns when all threads of a process have slept for a while.
func waits(t *testing.T, pid int) {
	t.Helper()
	quiet := 0
	for range 1000 {
		time.Sleep(10 * time.Millisecond)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(stat), ") Z ") {
			return // it has ended by itself
		}
		if quiet++; !strings.Contains(string(stat), ") S ") {
			quiet = 0
		}
		if quiet == 10 {
			return
		}
	}
	t.Fatalf("process %d does not come to rest", pid)
}

// unpack lays out the commands and the manual of an image.
func unpack(t *testing.T, a Archive) string {
	t.Helper()
	root := t.TempDir()
	r, err := a.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, ".json") {
			continue
		}
		if err := unpackLayer(root, tar.NewReader(tr)); err != nil && !errors.Is(err, tar.ErrHeader) {
			t.Fatal(h.Name, err)
		}
	}
}

func unpackLayer(root string, layer *tar.Reader) error {
	for {
		h, err := layer.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir || !strings.HasPrefix(h.Name, "bin/") && !strings.HasPrefix(h.Name, "usr/share/help/") {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		switch h.Typeflag {
		case tar.TypeSymlink:
			err = os.Symlink(filepath.Base(h.Linkname), path)
		case tar.TypeLink:
			err = os.Link(filepath.Join(root, h.Linkname), path)
		default:
			var content bytes.Buffer
			if _, err = io.Copy(&content, layer); err == nil {
				err = os.WriteFile(path, content.Bytes(), 0o755)
			}
		}
		if err != nil {
			return err
		}
	}
}

// synopsis is what the manual says about how to call commands.
type synopsis struct {
	names   []string
	options [][]string // each with its value, if it takes one
}

func synopses(t *testing.T, root string) (all []synopsis) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "usr/share/help/*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no manual in the image", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			head, ok := strings.CutPrefix(strings.TrimSpace(line), "= ")
			if names, arguments, isCommand := strings.Cut(head, " |"); ok && isCommand {
				all = append(all, synopsis{strings.Split(names, ", "), options(arguments)})
			}
		}
	}
	return all
}

// written finds -abc, -n COUNT, --long, --long=VALUE and tar's [-]abc.
var written = regexp.MustCompile(`(?:^|[[| ])(?:(--[a-z-]+)([= ][A-Z]+)?|(?:-|\[-\])([A-Za-z0-9]+)( [A-Z]+)?)`)

// options lists the options of a synopsis. A value belongs to the last letter.
func options(arguments string) (all [][]string) {
	for _, m := range written.FindAllStringSubmatch(arguments, -1) {
		if m[1] != "" {
			if m[2] != "" {
				m[1] += "=1"
			}
			all = append(all, []string{m[1]})
			continue
		}
		if m[3] == "SIGNAL" { // kill -SIGNAL is no bundle
			continue
		}
		for i, letter := range m[3] {
			o := []string{"-" + string(letter)}
			if i == len(m[3])-1 && m[4] != "" {
				o = append(o, "1")
			}
			all = append(all, o)
		}
	}
	return all
}

func TestOptionsOfSynopsis(t *testing.T) {
	for arguments, want := range map[string]string{
		"[-1aF] FILE...":                        "-1,-a,-F",
		"[-n COUNT] [-0] [COMMAND...]":          "-n 1,-0",
		"-b LIST | -c LIST [-d CHARACTER]":      "-b 1,-c 1,-d 1",
		"[-SIGNAL | -l] NUMBER...":              "-l",
		"[-]cf ARCHIVE [-C FOLDER]":             "-c,-f 1,-C 1",
		"[-cf] --reference=FILE FILE | [--all]": "-c,-f,--reference=1,--all",
		"[-1..-9] | -l [-kuv]":                  "-1,-l,-k,-u,-v",
		"[-EFh] [-RP] X":                        "-E,-F,-h,-R,-P",
		"[FIRST [STEP]] LAST":                   "",
		"[--sort COLUMN] X":                     "--sort=1",
	} {
		var got []string
		for _, o := range options(arguments) {
			got = append(got, strings.Join(o, " "))
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%q: %q, want %s", arguments, got, want)
		}
	}
}

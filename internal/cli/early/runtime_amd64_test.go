package early

import (
	"bufio"
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pure are the functions of the runtime that need nothing to be ready. The last
// ones do need it; they stand for what cannot happen: stack that runs out (the
// limit is 0), pointers written while the collector runs, an index that is
// wrong.
var pure = []string{
	"runtime.memmove", "runtime.memequal", "runtime.memclrNoHeapPointers", "runtime.cmpstring",
	"runtime.duffzero", "runtime.duffcopy",
	"runtime.morestack_noctxt", "runtime.gcWriteBarrier1", "runtime.gcWriteBarrier2", "runtime.gcWriteBarrier3",
	"runtime.gcWriteBarrier4", "runtime.panicBounds", "runtime.panicunsafestringlen", "runtime.panicunsafestringnilptr",
}

// ours is what the package has in assembly, which the compiler does not list.
var ours = []string{"silo/internal/cli/early.syscall6"}

var (
	listed = regexp.MustCompile(`^(\S.*) STEXT .*\bsize=(\d+)`)
	jump   = regexp.MustCompile(`\t(CALL|JMP)\t(.+)$`)
)

// TestNothingNeedsTheRuntime looks at what the compiler makes of the package:
// all that start can get to is pure, and no variable is set by code.
func TestNothingNeedsTheRuntime(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-S", "silo/internal/cli/early", "unicode/utf8").CombinedOutput()
	if err != nil {
		t.Fatalf("go build -gcflags=-S: %v\n%s", err, out)
	}
	calls := map[string][]string{}
	function := ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if m := listed.FindStringSubmatch(lines.Text()); m != nil {
			function = m[1]
			calls[function] = append(calls[function], "")
			if strings.HasPrefix(function, "silo/internal/cli/early.init") && m[2] != "1" { // 1: it only returns
				t.Errorf("%s has %s bytes: a variable is set by code", function, m[2])
			}
			continue
		}
		if m := jump.FindStringSubmatch(lines.Text()); m != nil && !isOffset(m[2]) {
			calls[function] = append(calls[function], m[2])
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	const first = "silo/internal/cli/early.start"
	seen := map[string]bool{first: true}
	for todo := []string{first}; len(todo) > 0; todo = todo[1:] {
		if calls[todo[0]] == nil {
			t.Fatalf("the compiler lists no %s", todo[0])
		}
		for _, to := range calls[todo[0]] {
			name, direct := strings.CutSuffix(to, "(SB)")
			switch {
			case to == "", direct && (slices.Contains(pure, name) || slices.Contains(ours, name)) || seen[name]:
			case direct && calls[name] != nil:
				seen[name] = true
				todo = append(todo, name)
			default:
				t.Errorf("%s gets to %s", todo[0], to)
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("start gets to %d functions only: is the listing understood?", len(seen))
	}
}

// isOffset tells a jump within a function.
func isOffset(s string) bool { return strings.Trim(s, "0123456789") == "" }

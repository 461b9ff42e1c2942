package early

import (
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"silo/client"
)

// stackOf lays arguments and environment out as the kernel does. The texts are
// in pinned memory until the test ends.
func stackOf(t *testing.T, args, env []string) []uintptr {
	var pins runtime.Pinner
	t.Cleanup(pins.Unpin)
	stack := []uintptr{uintptr(len(args))}
	for _, list := range [][]string{args, env} {
		for _, s := range list {
			p := unsafe.SliceData([]byte(s + "\x00"))
			pins.Pin(p)
			stack = append(stack, uintptr(unsafe.Pointer(p)))
		}
		stack = append(stack, 0)
	}
	return stack
}

func TestHostIn(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, ""},
		{[]string{"", "A=1", "SILO_HOST", "SILO_HOSTS=x", "XSILO_HOST=y"}, ""},
		{[]string{"A=1", "SILO_HOST=/s"}, "/s"},
		{[]string{"SILO_HOST=/a", "SILO_HOST=/b"}, "/a"},
		{[]string{"SILO_HOST=", "SILO_HOST=/b"}, ""},
	} {
		stack := stackOf(t, []string{"silo", "x"}, c.env)
		if got := hostIn(unsafe.Pointer(&stack[1]), 3); got != c.want {
			t.Errorf("%q: %q, want %q", c.env, got, c.want)
		}
	}
}

func TestSocketOf(t *testing.T) {
	if defaultHost != client.DefaultHost[len(unixScheme):] {
		t.Errorf("the default is %s, for the Go program %s", defaultHost, client.DefaultHost)
	}
	for host, want := range map[string]string{
		"": defaultHost, "/s": "/s", "unix:///s": "/s", "unix:///a://b": "/a://b",
		"unix://": "", "unix:": "", "unix://s": "", "s": "", "tcp://h:1": "", "/a://b": "",
	} {
		if got := socketOf(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

// TestStartLeaves has stacks that are left to the Go program. (That which is
// answered would end in a connection to the default daemon.)
func TestStartLeaves(t *testing.T) {
	for _, args := range [][]string{{}, {"silo"}, {"silo", "ps", "x"}, {"silo", "run"}, {"silo", "run", "-="}, slices.Repeat([]string{"run"}, mostArgs+1)} {
		stack := stackOf(t, args, []string{"SILO_HOST=/nonexistent"})
		if code := start(&stack[0]); code != unanswered {
			t.Errorf("%.20q: %d", args, code)
		}
	}
}

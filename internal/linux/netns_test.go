package linux

import (
	"errors"
	"os"
	"sync"
	"testing"

	"silo/internal/testenv"
)

// TestInNetNS: work runs where it should, and no thread stays there.
func TestInNetNS(t *testing.T) {
	testenv.NeedRoot(t)
	home, err := os.Readlink(threadNetNS)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := NewNetNS()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	there, err := os.Readlink(ns.Path())
	if err != nil || there == home {
		t.Fatalf("new namespace %s, home %s: %v", there, home, err)
	}
	here := func(want string) {
		if got, err := os.Readlink(threadNetNS); err != nil || got != want {
			t.Errorf("in %s, want %s: %v", got, want, err)
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if err := InNetNS(ns, func() error {
					here(there)
					return WriteSysctl("net/ipv4/ip_unprivileged_port_start", "7")
				}); err != nil {
					t.Error(err)
				}
				here(home)
				InNetNS(nil, func() error { here(home); return nil })
			}
		})
	}
	wg.Wait()
	failure := errors.New("failure")
	if err := InNetNS(ns, func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	if err := InNetNS(NewFD(-1, "nothing"), func() error { return nil }); err == nil {
		t.Error("entered nothing")
	}
	if got, _ := ReadSysctl("net/ipv4/ip_unprivileged_port_start"); got == "7" {
		t.Error("the setting was written at home")
	}
}

package engine

import (
	"sync/atomic"
	"testing"
)

// All tasks are waited for, also those that tasks begin; later ones do not begin.
func TestTasks(t *testing.T) {
	var list tasks
	var ran atomic.Int32
	for range 100 {
		list.begin(func() { list.begin(func() { ran.Add(1) }) })
	}
	list.finish()
	if n := ran.Load(); n != 100 {
		t.Errorf("%d of 100 are done", n)
	}
	list.begin(func() { t.Error("one begins after the end") })
	list.finish()
}

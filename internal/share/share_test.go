package share

import "testing"

func TestEach(t *testing.T) {
	s := New[string](2)
	for i, want := range []bool{true, true, false} {
		if got := s.Enter("a"); got != want {
			t.Errorf("number %d of one: %t", i+1, got)
		}
	}
	if !s.Enter("b") {
		t.Error("another is kept out")
	}
	s.Leave("a")
	if !s.Enter("a") {
		t.Error("what was given back is not there")
	}
	s.Leave("a")
	s.Leave("a")
	s.Leave("b")
	if len(s.of) != 0 {
		t.Errorf("clients without anything are kept: %v", s.of)
	}
}

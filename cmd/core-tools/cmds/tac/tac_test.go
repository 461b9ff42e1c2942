package main

import (
	"os"
	"strings"
	"testing"

	"coretools.silo/treetest"
)

// TestReverse reads what cannot be wound back.
func TestReverse(t *testing.T) {
	for text, want := range map[string]string{"": "", "a\nb\nc\n": "c\nb\na\n", "a\nb": "ba\n", "\n\nx\n": "x\n\n\n", "a": "a"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = w.WriteString(text)
			w.Close()
		}()
		var out strings.Builder
		if err := reverse(&out, r); err != nil || out.String() != want {
			t.Errorf("%q: %q, %v, want %q", text, out.String(), err, want)
		}
		r.Close()
	}
}

func TestFile(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"a": "1\n2\n"}))
	var out strings.Builder
	if err := file(&out, "a"); err != nil || out.String() != "2\n1\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	for _, name := range []string{"none", "."} {
		if err := file(&out, name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

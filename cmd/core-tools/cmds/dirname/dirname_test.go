package main

import "testing"

func TestFolder(t *testing.T) {
	for path, want := range map[string]string{
		"a/b/": "a", "a/b": "a", "a//b//": "a", "a/": ".", "a": ".", "": ".", ".": ".", "..": ".", "a/../b": "a/..",
		"/": "/", "//": "/", "/a": "/", "//a/": "/", "/a/b/c": "/a/b", "a/.": "a",
	} {
		if got := folder(path); got != want {
			t.Errorf("dirname %q: %q, want %q", path, got, want)
		}
	}
}

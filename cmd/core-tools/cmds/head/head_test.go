package main

import (
	"os"
	"strings"
	"testing"
)

func TestHead(t *testing.T) {
	for _, tt := range []struct {
		lines, bytes int64
		want         string
	}{{2, -1, "a\nb\n"}, {9, -1, "a\nb\nc"}, {-1, -1, "a\nb\n"}, {0, -1, ""}, {10, 3, "a\nb"}, {10, 0, ""}, {10, 99, "a\nb\nc"}} {
		var out strings.Builder
		if err := head(&out, strings.NewReader("a\nb\nc"), tt.lines, tt.bytes); err != nil || out.String() != tt.want {
			t.Errorf("%d lines, %d bytes: %q, %v, want %q", tt.lines, tt.bytes, out.String(), err, tt.want)
		}
	}
}

func TestFolder(t *testing.T) {
	for _, bytes := range []int64{-1, 5} {
		dir, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := head(&strings.Builder{}, dir, 10, bytes); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
			t.Errorf("head of a folder, %d bytes: %v, want that it is a directory", bytes, err)
		}
		dir.Close()
	}
}

package argfix

import (
	"os"
	"slices"
	"testing"
)

func TestArgs(t *testing.T) {
	saved := os.Args
	defer func() { os.Args = saved }()
	tests := []struct{ in, want []string }{
		{[]string{"/bin/umount", "-fl", "a"}, []string{"umount", "-f", "-l", "a"}},
		{[]string{"truncate", "-s5", "f"}, []string{"truncate", "-s", "5", "f"}},
		{[]string{"uname", "-a"}, []string{"uname", "-a"}},
		{[]string{"umount", "--", "-fl"}, []string{"umount", "--", "-fl"}},
		{[]string{"uname", "-sz"}, []string{"uname", "-sz"}}, // left for uname to refuse
		{[]string{"echo", "-sf"}, []string{"echo", "-sf"}},
		{[]string{"tar", "czf", "x"}, []string{"tar", "-czf", "x"}},
		{[]string{"/usr/bin/sha256sum", "f"}, []string{"shasum", "-a", "256", "f"}},
		{[]string{"zcat", "f.gz"}, []string{"gzip", "-d", "-c", "f.gz"}},
		{[]string{"hexdump", "-C", "f"}, []string{"hexdump", "f"}},
		{[]string{"dd", "if=1k", "bs=4k", "count=2"}, []string{"dd", "if=1k", "bs=4096", "count=2"}},
		{nil, nil},
	}
	for _, tt := range tests {
		os.Args = slices.Clone(tt.in)
		Args()
		if !slices.Equal(os.Args, tt.want) {
			t.Errorf("%q became %q, want %q", tt.in, os.Args, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "1k": 1024, "1K": 1024, "2m": 2 << 20, "2M": 2 << 20, "3g": 3 << 30, "3G": 3 << 30, "1kB": 1000, "1KB": 1000,
		"1KiB": 1024, "1MiB": 1 << 20, "1MB": 1e6, "1GB": 1e9, "5c": 5, "2w": 4, "2b": 1024, "7E": 7 << 60,
	} {
		if got, ok := size(text); got != want || !ok {
			t.Errorf("%s: %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "k", "-1", "1x", "1kb", "1kiB2", "8E", "1B", "99999999999999999999", "9223372036854775807k"} {
		if got, ok := size(text); ok {
			t.Errorf("%q: %d, want that it is none", text, got)
		}
	}
}

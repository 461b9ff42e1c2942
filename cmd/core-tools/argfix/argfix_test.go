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
		{[]string{"/bin/ln", "-sf", "a", "b"}, []string{"ln", "-s", "-f", "a", "b"}},
		{[]string{"seq", "-s,", "1", "3"}, []string{"seq", "-s", ",", "1", "3"}},
		{[]string{"uname", "-a"}, []string{"uname", "-a"}},
		{[]string{"ln", "--", "-sf"}, []string{"ln", "--", "-sf"}},
		{[]string{"wc", "-lz"}, []string{"wc", "-lz"}}, // left for wc to refuse
		{[]string{"echo", "-sf"}, []string{"echo", "-sf"}},
		{[]string{"tar", "czf", "x"}, []string{"tar", "-czf", "x"}},
		{[]string{"/usr/bin/sha256sum", "f"}, []string{"shasum", "-a", "256", "f"}},
		{[]string{"zcat", "f.gz"}, []string{"gzip", "-d", "-c", "f.gz"}},
		{[]string{"hexdump", "-C", "f"}, []string{"hexdump", "f"}},
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

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

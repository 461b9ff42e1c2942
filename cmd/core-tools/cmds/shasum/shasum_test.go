package main

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

func TestCheck(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"a": "A", " b": "B", "*c": "C"}))
	digest := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	a, b := digest("A"), digest("B")
	for _, tt := range []struct {
		list    string
		c       checker
		ok      bool
		err     string
		out     string
		warning string // without the name of the command
	}{
		{list: a + "  a\n" + b + "   b\n" + digest("C") + " **c\n", ok: true, out: "a: OK\n b: OK\n*c: OK\n"},
		{list: strings.ToUpper(a) + " a\r\n# a list\n\n", ok: true, out: "a: OK\n"},
		{list: a + "  a\n", c: checker{quiet: true}, ok: true},
		{list: b + "  a\n", out: "a: FAILED\n", warning: "WARNING: 1 file differs from its digest"},
		{list: b + "  a\n", c: checker{silent: true}},
		{list: a + "  a\n" + a + "  none\n", out: "a: OK\nnone: FAILED open or read\n", warning: "open none: no such file or directory|WARNING: 1 listed file could not be read"},
		{list: a + "  a\nwhat\n" + a[2:] + "  a\n", ok: true, out: "a: OK\n", warning: "WARNING: 2 lines are improperly formatted"},
		{list: a + "  a\nwhat\n", c: checker{strict: true}, out: "a: OK\n", warning: "WARNING: 1 line is improperly formatted"},
		{list: "", err: "list: no properly formatted checksum lines found"},
		{list: "what\n", err: "list: no properly formatted checksum lines found"},
		{list: fmt.Sprintf("%x  a\n", md5.Sum([]byte("A"))), err: "list: no properly formatted checksum lines found"},
		{list: "g" + a[1:] + "  a\n", err: "list: no properly formatted checksum lines found"},
		{list: a + "  \n" + a + "\n", err: "list: no properly formatted checksum lines found"},
	} {
		if err := os.WriteFile("list", []byte(tt.list), 0o644); err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		c := tt.c
		c.digest, c.out, c.errs = digests["256"], &out, &errs
		ok, err := c.file("list")
		said := ""
		if err != nil {
			said = err.Error()
		}
		if ok != tt.ok || said != tt.err || out.String() != tt.out {
			t.Errorf("%q: %v, %q, printed %q, want %v, %q, %q", tt.list, ok, said, out.String(), tt.ok, tt.err, tt.out)
		}
		warning := strings.ReplaceAll(strings.TrimSuffix(errs.String(), "\n"), getopt.Name()+": ", "")
		if got := strings.ReplaceAll(warning, "\n", "|"); got != tt.warning {
			t.Errorf("%q: warned %q, want %q", tt.list, got, tt.warning)
		}
	}
}

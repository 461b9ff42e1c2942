package main

import (
	"os"
	"strings"
	"testing"

	"coretools.silo/getopt"
	"coretools.silo/treetest"
)

func TestPrint(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{
		"a": "one\n\n\n\ntwo\n", "b": "no end", "c": "\tx \x01\x7f\r\n\xc3\xa9\x80\xff\n",
	}))
	for _, tt := range []struct{ args, want, err string }{
		{"a b", "one\n\n\n\ntwo\nno end", ""},
		{"b none a", "no endone\n\n\n\ntwo\n", "open none: no such file or directory"},
		{"-n a b", "     1\tone\n     2\t\n     3\t\n     4\t\n     5\ttwo\n     6\tno end", ""},
		{"-n b none b", "     1\tno endno end", "open none: no such file or directory"},
		{"-nb a", "     1\tone\n\n\n\n     2\ttwo\n", ""},
		{"-sn a", "     1\tone\n     2\t\n     3\ttwo\n", ""},
		{"-E a", "one$\n$\n$\n$\ntwo$\n", ""},
		{"-T c", "^Ix \x01\x7f\r\n\xc3\xa9\x80\xff\n", ""},
		{"-v c", "\tx ^A^?^M\nM-CM-)M-^@M-^?\n", ""},
		{"-A c", "^Ix ^A^?^M$\nM-CM-)M-^@M-^?$\n", ""},
		{"-et c", "^Ix ^A^?^M$\nM-CM-)M-^@M-^?$\n", ""},
		{". b", "no end", "read .: is a directory"},
		{"-v . b", "no end", "read .: is a directory"},
	} {
		opt, err := getopt.Read("AbeEnstTuv", nil, strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create("../" + t.Name())
		if err != nil {
			t.Fatal(err)
		}
		p := newPrinter(opt, out)
		var errs []string
		for _, name := range opt.Operands {
			if err := p.file(name); err != nil {
				errs = append(errs, err.Error())
			}
		}
		out.Close()
		got, err := os.ReadFile(out.Name())
		if string(got) != tt.want || strings.Join(errs, "|") != tt.err {
			t.Errorf("cat %s: %q, %q, %v, want %q, %q", tt.args, got, errs, err, tt.want, tt.err)
		}
	}
}

func TestEndless(t *testing.T) {
	t.Chdir(treetest.Lay(t, map[string]string{"a": "text", "b": ""}))
	for name, want := range map[string]string{"a": "a: input file is output file", "b": ""} {
		out, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := (&printer{out: &output{file: out}}).file(name); err != nil {
			got = err.Error()
		}
		out.Close()
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

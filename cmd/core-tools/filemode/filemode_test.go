package filemode

import "testing"

func TestApply(t *testing.T) {
	for _, tt := range []struct {
		text      string
		old       uint32
		dir       bool
		umask     uint32
		want      uint32
		whyItIsSo string
	}{
		{"755", 0o644, false, 0o77, 0o755, "octal"},
		{"7777", 0, false, 0, 0o7777, "octal"},
		{"4755", 0o644, false, 0, 0o4755, "octal"},
		{"755", 0o2700, true, 0, 0o2755, "a folder keeps set-id bits"},
		{"00755", 0o2700, true, 0, 0o755, "five digits mean all"},
		{"755", 0o4700, false, 0, 0o755, "a file does not keep them"},
		{"u+x", 0o644, false, 0, 0o744, ""},
		{"+x", 0o644, false, 0o22, 0o755, ""},
		{"+w", 0o444, false, 0o22, 0o644, "umask"},
		{"-w", 0o666, false, 0o22, 0o466, "umask"},
		{"=r", 0o777, false, 0o27, 0o440, "umask"},
		{"a=r", 0o777, false, 0o27, 0o444, ""},
		{"go-rwx", 0o755, false, 0, 0o700, ""},
		{"u=rwx,g=rx,o=", 0o007, false, 0, 0o750, ""},
		{"g=u", 0o740, false, 0, 0o770, "copy"},
		{"o=g,g=", 0o750, false, 0, 0o705, "copy, then the next"},
		{"u-g", 0o770, false, 0, 0o070, "copy"},
		{"a+X", 0o644, false, 0, 0o644, ""},
		{"a+X", 0o744, false, 0, 0o755, ""},
		{"a+X", 0o644, true, 0, 0o755, ""},
		{"a-x+X", 0o755, false, 0, 0o644, "X looks at the mode so far"},
		{"u+s", 0o755, false, 0, 0o4755, ""},
		{"g+s,+t", 0o755, true, 0o22, 0o3755, ""},
		{"o+s", 0o755, false, 0, 0o755, "others have no s"},
		{"u=rwx", 0o4755, false, 0, 0o755, ""},
		{"u=rwx", 0o4755, true, 0, 0o4755, ""},
		{"g-s", 0o2755, true, 0, 0o755, ""},
		{"u+r-w+x", 0o200, false, 0, 0o500, ""},
		{"+0111", 0o644, false, 0o77, 0o755, "octal after an operator"},
		{"u=", 0o755, false, 0, 0o055, ""},
	} {
		c, err := Parse(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := c.Apply(tt.old, tt.dir, tt.umask); got != tt.want {
			t.Errorf("%s of %o (umask %o) is %o, want %o %s", tt.text, tt.old, tt.umask, got, tt.want, tt.whyItIsSo)
		}
	}
}

func TestBadModes(t *testing.T) {
	for _, text := range []string{"", "8", "10000", "77777777777", "u", "x", "u+q", "u+ux", ",", "u+x,", "+x,,-w", "u7", "u+7", "rwx"} {
		if c, err := Parse(text); err == nil {
			t.Errorf("%q is read as %+v", text, c)
		}
	}
}

func TestText(t *testing.T) {
	for mode, want := range map[uint32]string{0o644: "rw-r--r--", 0o7777: "rwsrwsrwt", 0o7000: "--S--S--T", 0: "---------"} {
		if got := Text(mode); got != want {
			t.Errorf("%o is %s, want %s", mode, got, want)
		}
	}
}

func TestForNew(t *testing.T) {
	for text, want := range map[string]uint32{"": 0o644, "600": 0o600, "777": 0o777, "u=rw,go=": 0o600, "a+x": 0o777, "a-w": 0o444, "=rw": 0o644} {
		if got, err := ForNew(text, 0o22); err != nil || got != want {
			t.Errorf("%q is %o, %v; want %o", text, got, err, want)
		}
	}
	for _, text := range []string{"1666", "u+s", "x"} {
		if got, err := ForNew(text, 0); err == nil {
			t.Errorf("%q is %o, want an error", text, got)
		}
	}
}
